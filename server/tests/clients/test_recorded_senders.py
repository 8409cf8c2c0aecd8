"""Libraries that cannot run here, by their recorded requests, over TLS that the server ends itself.

Most of those for apps speak https only. What each has sent is what usage says, and by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from clients.recorded import SENDERS, Request, messages_of
from clients.test_tracking_sdks import Client, expected, made_calls
from sdk_tls import self_signed
from support.needed import needed_node
from support.server_fixture import PATIENCE_S, Server, Shop, serving

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[Server]:
    chain, key = map(str, certificate)
    tls = ("--tls-cert", chain, "--tls-key", key)
    with serving(tmp_path_factory.mktemp("tls"), *tls, "--workers", "1") as server:
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
