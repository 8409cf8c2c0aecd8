"""`headcount export` to object stores on loopback, as the real program."""

from __future__ import annotations

import base64
import io
import json
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from moto.server import ThreadedMotoServer
from pyarrow import parquet

from support.azure_store import azure
from support.google_store import google
from support.server_fixture import Shop, serving

MONTH = ("--from", "2021-02", "--to", "2021-02")


class Stored(NamedTuple):
    """A bucket called `bucket`.

    Attributes:
        variables: under which it is found.
        read: what lies there under a name; None for nothing.
    """

    variables: dict[str, str]
    read: Callable[[str], bytes | None]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with serving(tmp_path_factory.mktemp("server"), "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        batch = [
            {
                "type": "page",
                "anonymousId": f"a{day % 5}",
                "receivedAt": f"2021-02-{day:02d}T12:00:00Z",
                "sourceId": shop.source_ids["web"],
            }
            for day in range(1, 29)
        ]
        body = json.dumps({"batch": batch}).encode()
        token = {"Authorization": f"Bearer {shop.token}"}
        assert server.send("POST", f"{server.tracking}/v1/import", body, **token).status == 200
        shop.wait_until_counted()
        yield shop


@pytest.fixture
def s3() -> Iterator[Stored]:
    import boto3
    from botocore.exceptions import ClientError

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1",
        aws_access_key_id="key", aws_secret_access_key="s3cret",
    )  # fmt: skip

    def read(name: str) -> bytes | None:
        try:
            with client.get_object(Bucket="bucket", Key=name)["Body"] as body:
                content: bytes = body.read()
                return content
        except ClientError:
            return None

    try:
        client.create_bucket(Bucket="bucket")
        yield Stored(
            {
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "s3cret",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": url,
            },
            read,
        )
    finally:
        client.close()
        server.stop()


@pytest.fixture
def gs(tmp_path: Path) -> Iterator[Stored]:
    objects: dict[str, bytes] = {}
    with google(objects) as url:
        account = tmp_path / "account.json"
        words = {"client_email": "", "private_key": "", "private_key_id": ""}
        account.write_text(json.dumps(words | {"gcs_base_url": url, "disable_oauth": True}))
        yield Stored({"GOOGLE_SERVICE_ACCOUNT": str(account)}, objects.get)


@pytest.fixture
def az() -> Iterator[Stored]:
    key = secrets.token_bytes(32)
    blobs: dict[str, bytes] = {}
    with azure(key, blobs) as url:
        yield Stored(
            {
                "AZURE_STORAGE_ACCOUNT_NAME": "account",
                "AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(key).decode(),
                "AZURE_STORAGE_ENDPOINT": url,
            },
            blobs.get,
        )


def export(shop: Shop, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return shop.server.program.run(
        "export", *arguments, HEADCOUNT_TOKEN=shop.token, HEADCOUNT_HOST=shop.server.api,
        **variables,
    )  # fmt: skip


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_an_export_is_written_to_a_store_as_to_a_file(
    shop: Shop, scheme: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    stored: Stored = request.getfixturevalue(scheme)
    for name in ("usage/2021.csv", "usage.ndjson"):
        finished = export(shop, *MONTH, f"{scheme}://bucket/{name}", **stored.variables)
        assert (finished.returncode, finished.stdout) == (0, ""), finished.stderr
        assert f"28 rows written to {scheme}://bucket/{name}." in finished.stderr
        kept = tmp_path / Path(name).name
        assert export(shop, *MONTH, str(kept)).returncode == 0
        assert stored.read(name) == kept.read_bytes()
    finished = export(shop, *MONTH, f"{scheme}://bucket/usage.parquet", **stored.variables)
    assert finished.returncode == 0, finished.stderr
    content = stored.read("usage.parquet")
    assert content is not None
    assert parquet.read_table(io.BytesIO(content)).num_rows == 28


def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing(shop: Shop, s3: Stored) -> None:
    def refused(status: int, *arguments: str, **variables: str) -> str:
        finished = export(shop, *arguments, **s3.variables | variables)
        assert (finished.returncode, finished.stdout) == (status, ""), finished.stderr
        assert "Traceback" not in finished.stderr
        assert "s3cret" not in finished.stderr
        return finished.stderr

    assert "names no object" in refused(2, *MONTH, "s3://bucket/")
    assert "names no object" in refused(2, *MONTH, "s3://bucket")
    for address in ("https://127.0.0.1/usage.csv?signature=s3cret", "ftp://host/usage.csv"):
        assert "only object stores can be" in refused(2, *MONTH, address, "--format", "csv")
    assert "export cannot write what" in refused(2, *MONTH, "s3://bucket/usage.xlsx")
    # Nothing is there once something went wrong: neither the store nor the months.
    words = refused(1, *MONTH, "s3://nowhere/usage.csv")
    assert "s3://nowhere/usage.csv cannot be written" in words
    assert "no usage" in refused(1, "--from", "2019-01", "--to", "2019-02", "s3://bucket/none.csv")
    assert s3.read("none.csv") is None


def test_a_store_that_is_not_there_is_said(shop: Shop, s3: Stored) -> None:
    nowhere = s3.variables | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    finished = export(shop, *MONTH, "s3://bucket/usage.csv", **nowhere)
    assert finished.returncode == 1
    assert "s3://bucket/usage.csv cannot be written" in finished.stderr
    assert "credentials" in finished.stderr
