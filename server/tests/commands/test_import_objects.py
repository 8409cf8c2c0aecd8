"""`headcount import` from object stores and a web server on loopback, as the real program."""

from __future__ import annotations

import base64
import gzip
import json
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import obstore
import psutil
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from headcount.importing.objects import RemoteObject, found_objects
from support.azure_store import azure
from support.program import Program, program_with_source

MESSAGES = 500


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return program_with_source(tmp_path)


def lines(first: int, count: int = MESSAGES) -> bytes:
    return b"".join(
        json.dumps(
            {
                "type": "page",
                "messageId": f"m{number}",
                "anonymousId": f"a{number % 7}",
                "receivedAt": f"2021-02-{1 + number % 28:02d}T12:00:00Z",
            }
        ).encode()
        + b"\n"
        for number in range(first, first + count)
    )


ARCHIVE = {
    "archive/1.ndjson": lines(0),
    "archive/deep/2.ndjson.gz": gzip.compress(lines(MESSAGES)),
    "archive/notes.txt": b"not a message",
    "odd name?.ndjson": lines(0, 1),
}


def make_bucket(url: str, objects: Mapping[str, bytes]) -> None:
    """A bucket with objects that anybody may read, on a server that speaks S3."""
    import boto3

    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1",
        aws_access_key_id="key", aws_secret_access_key="s3cret",
    )  # fmt: skip
    with closing(client):
        client.create_bucket(Bucket="bucket")
        for name, content in objects.items():
            client.put_object(Bucket="bucket", Key=name, Body=content, ACL="public-read")


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The variables under which a bucket with an archive is found."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    try:
        make_bucket(variables["AWS_ENDPOINT_URL"], {})
        store = S3Store(
            "bucket", endpoint=variables["AWS_ENDPOINT_URL"], region="us-east-1",
            access_key_id="key", secret_access_key="s3cret", client_options={"allow_http": True},
        )  # fmt: skip
        for name, content in ARCHIVE.items():
            obstore.put(store, name, content)
        yield variables
    finally:
        server.stop()


def imported(program: Program, *arguments: str, **variables: str) -> Any:
    finished = program.run(
        "import", *arguments, "--workspace", "Shop", "--source", "web", "--json",
        "--skip", "notes.txt", **variables,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_objects_are_imported_one_by_one_or_all_below_an_address(
    program: Program, s3: dict[str, str]
) -> None:
    one = imported(program, "s3://bucket/archive/1.ndjson", **s3)
    assert (one["files"], one["admitted"]) == (1, MESSAGES)
    for address in ("s3://bucket/archive/", "s3://bucket/archive"):
        below = imported(program, address, "--dry-run", **s3)
        assert (below["files"], below["records"], below["skipped"]) == (2, 2 * MESSAGES, 1)
    left = program.run(
        "import",
        "s3://bucket/archive/",
        "--dry-run",
        "--workspace",
        "Shop",
        "--source",
        "web",
        **s3,
    )
    assert left.returncode == 1
    assert "s3://bucket/archive/notes.txt: left out" in left.stderr
    odd = imported(program, "s3://bucket/odd name?.ndjson", "--dry-run", **s3)
    assert odd["records"] == 1


def test_a_store_that_cannot_be_read_is_one_sentence_and_no_secret(
    program: Program, s3: dict[str, str]
) -> None:
    def refusal(address: str, **variables: str) -> tuple[int, str]:
        finished = program.run(
            "import", address, "--workspace", "Shop", "--source", "web", **s3 | variables
        )
        assert finished.stdout == ""
        assert len(finished.stderr.splitlines()) == 1
        assert "s3cret" not in finished.stderr
        return finished.returncode, finished.stderr

    status, words = refusal("s3://bucket/archive/3.ndjson")
    assert (status, "nothing to import at s3://bucket/archive/3.ndjson" in words) == (2, True)
    for address, variables in (
        ("s3://other/x.ndjson", {}),
        ("s3://bucket/archive/1.ndjson", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}),
        ("az://container/x.ndjson", {}),
    ):
        status, words = refusal(address, **variables)
        assert (status, f"{address} cannot be read" in words) == (1, True)


@pytest.fixture
def gs(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables under which a bucket of Google's is found.

    Google's XML API, with which objects are read, lists and serves them in the words of S3.
    """
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        make_bucket(f"http://{host}:{port}", ARCHIVE)
        account = tmp_path / "account.json"
        words = {"client_email": "", "private_key": "", "private_key_id": ""}
        place = {"gcs_base_url": f"http://{host}:{port}", "disable_oauth": True}
        account.write_text(json.dumps(words | place))
        yield {"GOOGLE_SERVICE_ACCOUNT": str(account)}
    finally:
        server.stop()


@pytest.fixture
def az() -> Iterator[dict[str, str]]:
    """The variables under which a container of Azure's is found."""
    key = secrets.token_bytes(32)
    with azure(key, ARCHIVE) as url:
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": "account",
            "AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(key).decode(),
            "AZURE_STORAGE_ENDPOINT": url,
        }


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_the_other_stores_are_read_in_their_own_way(
    program: Program, scheme: str, request: pytest.FixtureRequest
) -> None:
    variables = request.getfixturevalue(scheme)
    one = imported(program, f"{scheme}://bucket/archive/1.ndjson", **variables)
    assert (one["files"], one["admitted"]) == (1, MESSAGES)
    below = imported(program, f"{scheme}://bucket/archive/", **variables)
    assert (below["files"], below["admitted"]) == (2, 2 * MESSAGES)
    arguments = ("--workspace", "Shop", "--source", "web")
    missing = program.run("import", f"{scheme}://bucket/none.ndjson", *arguments, **variables)
    assert missing.returncode == 2
    assert "nothing to import" in missing.stderr


def test_a_wrong_key_is_said_without_showing_it(program: Program, az: dict[str, str]) -> None:
    wrong = {"AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(secrets.token_bytes(32)).decode()}
    finished = program.run(
        "import", "az://bucket/archive/1.ndjson", "--workspace", "Shop", "--source", "web",
        **az | wrong,
    )  # fmt: skip
    assert finished.returncode == 1
    assert "cannot be read: access is denied" in finished.stderr
    assert wrong["AZURE_STORAGE_ACCOUNT_KEY"] not in finished.stderr


class Web:
    """A web server with one file.

    Attributes:
        file: what it serves at every path.
        cut_bytes: how much of each answer it gives before it breaks the connection.
        ranges: where each answer began.
    """

    def __init__(self, file: bytes, cut_bytes: int) -> None:
        self.file = file
        self.cut_bytes = cut_bytes
        self.ranges: list[int] = []
        self.paths: list[str] = []


@contextmanager
def web(file: bytes, cut_bytes: int = 1 << 60) -> Iterator[tuple[Web, str]]:
    """Such a server on loopback, and the beginning of its URL."""
    state = Web(file, cut_bytes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.paths.append(self.path)
            if self.path.startswith("/none"):
                self.send_error(404)
                return
            asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            begin = int(asked[1]) if asked else 0
            state.ranges.append(begin)
            self.send_response(206 if asked else 200)
            self.send_header("ETag", '"one"')
            self.send_header("Content-Length", str(len(file) - begin))
            if asked:
                self.send_header("Content-Range", f"bytes {begin}-{len(file) - 1}/{len(file)}")
            self.end_headers()
            with suppress(ConnectionError):  # whoever reads may have seen enough
                self.wfile.write(file[begin : begin + state.cut_bytes])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_file_of_the_web_is_read_by_its_signed_address_which_is_not_shown(
    program: Program,
) -> None:
    broken = lines(0) + b"{broken\n"
    with web(gzip.compress(broken)) as (state, url):
        finished = program.run(
            "import", f"{url}/archive.ndjson.gz?signature=s3cret%2F1",
            "--workspace", "Shop", "--source", "web", "--json",
        )  # fmt: skip
        missing = program.run(
            "import", f"{url}/none.ndjson?signature=s3cret", "--workspace", "Shop"
        )
    assert state.paths[0] == "/archive.ndjson.gz?signature=s3cret%2F1"
    assert json.loads(finished.stdout)["admitted"] == MESSAGES
    assert f"{url}/archive.ndjson.gz:{MESSAGES + 1}: " in finished.stderr
    assert missing.returncode == 1
    assert f"{url}/none.ndjson: cannot be read to its end: there is nothing." in missing.stderr
    assert "s3cret" not in finished.stderr + missing.stderr


def _found(address: str) -> RemoteObject:
    [found], below = found_objects(address)
    assert not below
    return found


def test_a_connection_that_breaks_is_taken_up_where_it_broke() -> None:
    file = lines(0, 40_000)
    with web(file, cut_bytes=len(file) // 3) as (state, url):
        found = _found(f"{url}/large.ndjson")
        assert found.opened().read() == file
    assert state.ranges[0] == 0
    assert sorted(state.ranges) == state.ranges
    assert len(state.ranges) > 1


def test_a_large_object_is_never_kept_whole() -> None:
    file = b"x" * (64 << 20)
    with web(file) as (_, url):
        found = _found(f"{url}/large.ndjson")
        process = psutil.Process()
        with found.opened() as stream:
            stream.read(1)
            before = process.memory_info().rss
            read = 1
            while piece := stream.read(1 << 20):
                read += len(piece)
            assert read == len(file)
            assert process.memory_info().rss - before < len(file) // 2
