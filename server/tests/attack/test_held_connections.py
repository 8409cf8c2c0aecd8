"""Strangers who hold connections, bodies, requests and answers: honest clients notice nothing."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from attack.support import MIB, Honest, answers_of, connect, held, measured
from support.server_fixture import Server, Shop, eventually, serving

POST = b"POST /v1/batch HTTP/1.1\r\nHost: t\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
DECLARED = POST + b"Content-Length: 4194304\r\n\r\n"
SIGN_IN = b"POST /page/sign-in HTTP/1.1\r\nHost: t\r\nContent-Length: 60000\r\nContent-Type: "
FORM = SIGN_IN + b"application/x-www-form-urlencoded\r\n\r\ntoken="
MULTIPART = SIGN_IN + b"multipart/form-data; boundary=x\r\n\r\n--x\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("attack"), "--workers", "1") as server:
        yield server


@pytest.fixture(scope="module")
def shop(server: Server) -> Shop:
    return server.shop("Shop", "web")


@pytest.fixture
def honest(shop: Shop) -> Honest:
    return Honest(shop)


def assert_healthy(server: Server) -> None:
    for address in (server.tracking, server.api):
        assert server.send("GET", f"{address}/healthz").status == 200
    # Whether counting keeps up is another question; here it has to be answered.
    eventually(lambda: server.ask("/readyz").status == 200, "the server to be ready")


@pytest.mark.parametrize(
    ("data", "drip"),
    [(CHUNKED, b""), (DECLARED, b""), (CHUNKED + b"1\r\n{\r\n", b"1\r\n \r\n"), (DECLARED, b" ")],
)
def test_bodies_that_do_not_come_take_nobody_s_place(
    server: Server, honest: Honest, data: bytes, drip: bytes
) -> None:
    with measured(server), held(server.tracking, 1000, data, drip=drip):
        honest.post(10)
        assert_healthy(server)
    honest.assert_answered()


@pytest.mark.parametrize("size", [60_000, 3 * MIB])
def test_bodies_that_stand_still_half_way_take_nobody_s_place(
    server: Server, honest: Honest, size: int
) -> None:
    with measured(server), held(server.tracking, 96 * MIB // size // 2, DECLARED + b" " * size):
        honest.post(5)
        assert_healthy(server)
    honest.assert_answered()


def test_known_keys_that_send_no_body_take_nobody_s_place(
    server: Server, shop: Shop, honest: Honest
) -> None:
    basic = f"Authorization: {_basic(shop.write_keys['web'])}\r\n\r\n".encode()
    data = DECLARED.replace(b"\r\n\r\n", b"\r\n" + basic)
    with measured(server), held(server.tracking, 3000, data):
        honest.post(5)
        assert_healthy(server)
    honest.assert_answered()


def _basic(write_key: str) -> str:
    import urllib3

    return urllib3.make_headers(basic_auth=f"{write_key}:")["authorization"]


def test_an_answer_to_many_rejections_is_bounded_and_so_is_what_is_not_read(
    server: Server, honest: Honest
) -> None:
    body = gzip.compress(b'{"batch":[' + b",".join([b'{"writeKey":"x"}'] * 99_999) + b"]}", 9)
    request = POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    answer = server.send("POST", f"{server.tracking}/v1/batch", body, Content_Encoding="gzip")
    assert (answer.status, answer.json()["rejectedMore"]) == (200, 99_899)
    assert len(answer.body) < 8192
    with measured(server), held(server.tracking, 30, request * 4, receive_bytes=4096):
        honest.post(2)
        assert_healthy(server)
    honest.assert_answered()


# Of small answers it takes thousands before the system's own buffers hold no more of them.
@pytest.mark.parametrize(
    ("path", "clients", "times"),
    [(b"/docs", 100, 400), (b"/openapi.json", 100, 400), (b"/page/sign-in", 10, 6_000)],
)
def test_whoever_does_not_read_an_answer_is_hung_up_on(
    server: Server, path: bytes, clients: int, times: int
) -> None:
    many = b"GET %b HTTP/1.1\r\nHost: t\r\n\r\n" % path * times
    with measured(server), held(server.api, clients, many, receive_bytes=4096) as strangers:
        assert_healthy(server)

        def are_gone() -> bool:
            [api] = server.children("api")
            return len(api.net_connections()) < len(strangers) // 2

        eventually(are_gone, "the strangers to be hung up on")


def test_requests_behind_one_another_wait_in_the_socket(server: Server, honest: Honest) -> None:
    one = b"POST /v1/m HTTP/1.1\r\nHost:t\r\nContent-Length:0\r\n\r\n"
    count = 30_000
    with measured(server) as memory, connect(server.tracking) as connection:
        connection.settimeout(1)
        sent = 0
        with suppress(TimeoutError):  # the server takes no more than it answers
            while sent < count:
                sent += connection.send(one * 1000) // len(one)
        honest.post(2)
    honest.assert_answered()
    assert memory.grown() < 10 * MIB


@pytest.mark.parametrize("address", ["tracking", "api"])
def test_every_request_of_a_long_pipeline_is_answered_in_turn(server: Server, address: str) -> None:
    count = 2000
    with measured(server) as memory, connect(getattr(server, address)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n" * count)
        assert_healthy(server)
        assert answers_of(connection, count) == count
    assert memory.grown() < 10 * MIB


@pytest.mark.parametrize("address", ["tracking", "api"])
def test_many_pipelines_that_are_not_read_fill_no_memory(
    server: Server, honest: Honest, address: str
) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"
    url = getattr(server, address)
    with measured(server), held(url, 200, request * 20_000, receive_bytes=4096):
        honest.post(2)
        assert_healthy(server)
    honest.assert_answered()


@pytest.mark.parametrize("part", [b"x" * 60_000, b"x: y\r\n" * 250 + b"z: " + b"y" * 50_000])
@pytest.mark.parametrize("address", ["tracking", "api"])
def test_heads_that_stop_half_way_fill_no_memory(
    server: Server, honest: Honest, address: str, part: bytes
) -> None:
    url = getattr(server, address)
    with measured(server), held(url, 2000, b"GET / HTTP/1.1\r\nX: y\r\n" + part):
        honest.post(2)
        assert_healthy(server)
    honest.assert_answered()


# As objects each of these headers takes forty times its bytes.
@pytest.mark.parametrize("end", [b"", b"\r\n{"])
@pytest.mark.parametrize("address", ["tracking", "api"])
def test_heads_of_hundreds_of_headers_fill_no_memory(
    server: Server, honest: Honest, address: str, end: bytes
) -> None:
    head = b"POST /v1/p HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n" + b"a:b\r\n" * 240
    url = getattr(server, address)
    with measured(server) as memory, held(url, 6000, head + end):
        honest.post(2)
        assert_healthy(server)
    honest.assert_answered()
    assert memory.grown() < 120 * MIB


@pytest.mark.parametrize(
    ("address", "request_"),
    [("tracking", b"GET /v1/" + b"%41" * 20_000), ("api", b"GET /readyz?" + b"%79" * 20_000),
     ("api", b"GET / HTTP/1.1\r\nCookie: " + b"a=b; " * 12_000)],
)  # fmt: skip
def test_large_heads_of_whole_requests_fill_no_memory(
    server: Server, honest: Honest, address: str, request_: bytes
) -> None:
    end = b"" if b"HTTP" in request_ else b" HTTP/1.1"
    whole = request_ + end + b"\r\nHost: t\r\n\r\n"
    with measured(server) as memory, held(getattr(server, address), 1000, whole * 3):
        honest.post(2)
        assert_healthy(server)
    honest.assert_answered()
    assert memory.grown() < 120 * MIB


# By Basic, and by a header that the fast path leaves to the application.
@pytest.mark.parametrize("key", [b"Authorization: Basic bm9uZTo=", b"X-Write-Key: none"])
def test_bodies_of_requests_that_were_answered_fill_no_memory(
    server: Server, honest: Honest, key: bytes
) -> None:
    head = b"POST /v1/track HTTP/1.1\r\nHost: t\r\n%b\r\nContent-Length: 200000\r\n\r\n" % key
    with measured(server) as memory, ExitStack() as stack:
        for _ in range(700):
            connection = stack.enter_context(connect(server.tracking))
            connection.sendall(head + b" " * 200_000)
            assert b" 401 " in connection.recv(1 << 16)
        honest.post(2)
        assert_healthy(server)
    honest.assert_answered()
    assert memory.grown() < 60 * MIB


@pytest.mark.parametrize("data", [FORM, MULTIPART, FORM + b"x" * 59_000])
def test_forms_that_do_not_come_take_nobody_s_place(
    server: Server, shop: Shop, data: bytes
) -> None:
    with measured(server), held(server.api, 1000, data):
        for _ in range(20):
            assert_healthy(server)
            form = f"token={shop.token}".encode()
            answer = server.http.request(
                "POST", f"{server.api}/page/sign-in", body=form, redirect=False,
                headers={"Content-Type": "application/x-www-form-urlencoded",
                         "Origin": server.api},
            )  # fmt: skip
            assert answer.status == 303, answer.data


def test_an_idle_connection_outlives_those_of_before(server: Server) -> None:
    with ExitStack() as stack:
        kept = [stack.enter_context(connect(url)) for url in (server.tracking, server.api) * 3]
        for pause_s in (0, 6):
            time.sleep(pause_s)
            for connection in kept:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n")
                assert answers_of(connection, 1) == 1


def test_what_was_dropped_is_in_the_metrics(server: Server) -> None:
    metrics = server.ask("/metrics").body.decode()
    for address in ("tracking", "api"):
        assert f'headcount_connections{{address="{address}"' in metrics
        assert f'headcount_connections_dropped_total{{address="{address}"' in metrics


@pytest.mark.parametrize(
    ("form", "status"),
    [
        (b"application/x-www-form-urlencoded\r\n\r\n" + b"a&" * 30_000, 400),
        (b"multipart/form-data; boundary=x\r\n\r\n" + b"--x\r\na: b\r\n" * 5000, 422),
    ],
)
def test_a_form_of_thousands_of_fields_is_not_taken_apart(
    server: Server, form: bytes, status: int
) -> None:
    head, _, body = form.partition(b"\r\n\r\n")
    request = SIGN_IN.replace(b"60000", b"%d" % len(body)) + head + b"\r\n\r\n" + body
    with connect(server.api) as connection:
        connection.sendall(request)
        assert connection.recv(4096).startswith(b"HTTP/1.1 %d " % status)
