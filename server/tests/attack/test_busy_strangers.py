"""A thousand strangers who ask again once they are answered: readers and senders are served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import urllib3

from attack.support import Honest, asking, measured
from support.server_fixture import Server, Shop, eventually, serving

STRANGERS = 1000
GET = b"GET %b HTTP/1.1\r\nHost: t\r\n\r\n"
NO_TOKEN = GET % b"/usage/api-calls/daily?period=2026-11-01"
WRONG_TOKEN = (
    b"GET /headcount/v1/summary HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer hct_a\r\n\r\n"
)
POSTED = b"POST %b HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\nContent-Type: %b\r\n\r\ntoken=abc"
SIGN_IN = POSTED % (b"/page/sign-in", b"application/x-www-form-urlencoded")
NO_HTTP = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"x" * 80
CLOSING = b"GET /headcount/v1/summary HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("attack")
    with serving(folder, "--workers", "1", "--rate-limit-per-minute", "1000000") as server:
        yield server


@pytest.fixture(scope="module")
def shop(server: Server) -> Shop:
    return server.shop("Shop", "web")


def _until_busy(statuses: Counter[str]) -> None:
    eventually(lambda: statuses.total() >= STRANGERS, "the strangers to be answered")


@pytest.mark.parametrize(
    "request_",
    [NO_TOKEN, WRONG_TOKEN, SIGN_IN, GET % b"/metrics", GET % b"/docs", GET % b"/", NO_HTTP,
     CLOSING, b"HEAD /nothing HTTP/1.1\r\nHost: t\r\n\r\n"],
)  # fmt: skip
def test_readers_are_served_whatever_strangers_ask(
    server: Server, shop: Shop, request_: bytes
) -> None:
    bearer = {"Authorization": f"Bearer {shop.token}"}
    with measured(server), asking(server.api, STRANGERS, request_) as statuses:
        _until_busy(statuses)
        found: Counter[int] = Counter()
        for _ in range(20):
            with urllib3.PoolManager(
                retries=False, timeout=10
            ) as readers:  # one that has just come
                for path in ("/headcount/v1/summary", "/healthz", "/readyz"):
                    headers = {} if path.endswith("z") else bearer
                    found[readers.request("GET", server.api + path, headers=headers).status] += 1
    assert found[200] >= 0.95 * found.total(), found


@pytest.mark.parametrize(
    "request_",
    [GET % b"/healthz", GET % b"/nothing", NO_HTTP, b"OPTIONS /v1/p HTTP/1.1\r\nHost: t\r\n\r\n",
     POSTED % (b"/v1/p", b"text/plain"), POSTED % (b"/v1/m", b"text/plain"),
     GET % b"/v1/projects/none/settings", GET[:-2] % b"/nothing" + b"a:b\r\n" * 250 + b"\r\n"],
)  # fmt: skip
def test_senders_are_served_whatever_strangers_ask(
    server: Server, shop: Shop, request_: bytes
) -> None:
    honest = Honest(shop)
    with measured(server), asking(server.tracking, STRANGERS, request_) as statuses:
        _until_busy(statuses)
        honest.post(5)
        assert server.send("GET", f"{server.tracking}/healthz").status == 200
    honest.assert_answered()


def test_strangers_who_find_no_place_are_counted_and_said(server: Server, shop: Shop) -> None:
    with asking(server.api, STRANGERS, NO_TOKEN) as statuses:
        eventually(lambda: statuses["503"] >= STRANGERS, "strangers to be turned away")

        def is_said() -> bool:
            troubles = server.ask("/readyz").json().get("troubles", [])
            return any(each["kind"] == "unauthenticated" for each in troubles)

        eventually(is_said, "the operator to be told")
    metrics = server.ask("/metrics").body.decode()
    [line] = [line for line in metrics.splitlines() if line.startswith("headcount_requests_shed_t")]
    assert float(line.split()[1]) >= statuses["503"]
