"""Libraries that cannot run here, by their recorded requests, over TLS.

The server ends it itself, or an nginx before it does.

Most of those for apps speak https only. What each has sent is what usage says, and by its name.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import urllib3

from clients.recorded import SENDERS, Request, messages_of
from clients.test_tracking_sdks import Client, expected, made_calls
from sdk_tls import self_signed
from support.needed import needed_node, needed_program
from support.server_fixture import PATIENCE_S, Server, Shop, eventually, serving

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("certificate"))


@contextmanager
def ending_tls(folder: Path, certificate: tuple[Path, Path], tracking: str) -> Iterator[str]:
    """A real nginx that ends TLS before a tracking address; the beginning of its URLs."""
    program = needed_program("nginx", "apt-get install nginx-light")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    chain, key = certificate
    temporary = "".join(f" {name}_temp_path {folder}/{name};" for name in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
    settings = folder / "nginx.conf"
    settings.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off;{temporary}\n"
        f"server {{ listen 127.0.0.1:{port} ssl; client_max_body_size 5m;\n"
        f"ssl_certificate {chain}; ssl_certificate_key {key};\n"
        f"location / {{ proxy_pass {tracking}; proxy_set_header Host $http_host;\n"
        "proxy_set_header X-Forwarded-Proto $scheme; proxy_request_buffering off;\n"
        "proxy_http_version 1.1; } } }\n"
    )
    with subprocess.Popen([program, "-c", str(settings), "-e", f"{folder}/early.log"]) as process:

        def listens() -> bool:
            assert process.poll() is None, (folder / "early.log").read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        try:
            eventually(listens, "nginx to listen")
            yield f"https://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="module", params=["in the process", "behind a proxy"])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificate: tuple[Path, Path],
) -> Iterator[Server]:
    """A server that is reached over TLS, which it ends itself or a proxy does before it."""
    chain, key = map(str, certificate)
    folder = tmp_path_factory.mktemp("tls")
    own = request.param == "in the process"
    tls = ("--tls-cert", chain, "--tls-key", key) if own else ()
    with ExitStack() as stack:
        server = stack.enter_context(serving(folder, *tls, "--workers", "1"))
        if not own:
            proxy = tmp_path_factory.mktemp("proxy")
            server.tracking = stack.enter_context(ending_tls(proxy, certificate, server.tracking))
        assert server.tracking.startswith("https://")
        server.http = urllib3.PoolManager(ca_certs=chain, retries=False, timeout=PATIENCE_S)
        yield server


def sent(server: Server, request: Request) -> None:
    """Send one request as it is, and see that its library takes the answer for a success."""
    url = f"{server.tracking}{request.path}"
    answer = server.http.request(
        request.method, url, body=request.body, headers=dict(request.headers),
        chunked=request.chunked,
    )  # fmt: skip
    assert answer.status == 200, answer.data


def usage_of(shop: Shop, source_id: str) -> dict[str, str]:
    """The last row of a source, of calls and of users."""
    last: dict[str, str] = {}
    for path in ("api-calls", "mtu"):
        query = f"period={shop.month()}&pagination.count=1000"
        data = shop.ask(f"/usage/{path}/sources/daily?{query}").data
        [rows] = [rows for name, rows in data.items() if name != "pagination"]
        last |= [row for row in rows if row["sourceId"] == source_id][-1]
    return last


@pytest.mark.parametrize("name", SENDERS)
def test_usage_is_what_a_recorded_library_sent(server: Server, name: str) -> None:
    sender = SENDERS[name]
    shop = server.shop(name, "app")
    key, source_id = shop.write_keys["app"], shop.source_ids["app"]
    agent = {"User-Agent": sender.agent} if sender.agent else {}
    messages = messages_of(name, sender.library)
    for request in sender.requests(key, messages, agent):
        sent(server, request)
        if request.body is not None:  # a library sends again what it has no answer to
            sent(server, request)
    shop.wait_until_counted()
    usage = usage_of(shop, source_id)
    assert [usage[each] for each in ("apiCalls", "identified", "anonymous", "neverIdentified")] == [
        "4", "1", "1", "0",
    ]  # fmt: skip
    [source] = shop.ask("/headcount/v1/libraries").data["sources"]
    assert [each["name"] for each in source["libraries"]] == [sender.told]


def test_settings_lead_libraries_for_apps_back_over_https(server: Server) -> None:
    shop = server.shop("App", "app")
    key = shop.write_keys["app"]
    answer = server.send("GET", f"{server.tracking}/v1/projects/{key}/settings").json()
    destination = answer["integrations"]["Segment.io"]
    # Such a library puts https:// before apiHost and /b behind it, whatever it was told itself.
    assert f"https://{destination['apiHost']}" == f"{server.tracking}/v1"
    assert destination["protocol"] == "https"
    assert destination["httpConfig"].keys() == {"rateLimitConfig", "backoffConfig"}


def test_a_library_for_node_posts_over_tls(
    server: Server, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = needed_node()
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(certificate[0]))
    for program in ("node_client", "rudder_node_client"):
        shop = server.shop(program, "server")
        calls = made_calls(program)
        Client((node, str(HERE / "programs" / f"{program}.mjs"))).play(
            server, shop.write_keys["server"], calls
        )
        shop.wait_until_counted()
        usage = usage_of(shop, shop.source_ids["server"])
        wanted = expected({program: calls})[program]
        assert (int(usage["apiCalls"]), int(usage["identified"])) == (
            wanted.api_calls, wanted.identified,
        )  # fmt: skip
