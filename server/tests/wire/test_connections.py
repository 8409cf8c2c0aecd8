"""Connections as they come from the internet: heads without end, and offers of other protocols."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import socket
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, suppress

import pytest

from headcount.http import connection as connections
from headcount.http import ending
from headcount.http.crowd import connections_max
from headcount.http.entrance import Entrance, Owner
from headcount.troubles import Troubles
from headcount.wiring.whole_bodies import WholeBodies
from support.served_app import served
from support.server_fixture import Server, Shop, eventually, serving

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
MUCH = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("connections"), "--workers", "1") as server:
        yield server
    assert not [line for line in server.log if "pip install" in line]


@pytest.fixture
def shop(server: Server, request: pytest.FixtureRequest) -> Shop:
    return server.shop(request.node.name, "web")


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def message(number: int, write_key: str) -> bytes:
    record = {"userId": f"u{number}", "messageId": f"m{number}", "writeKey": write_key}
    return json.dumps(record).encode()


def post(offer: bytes, framing: bytes, body: bytes) -> bytes:
    return b"POST /v1/page HTTP/1.1\r\nHost: t\r\n" + offer + framing + b"\r\n" + body


def sized(body: bytes, offer: bytes = b"") -> bytes:
    return post(offer, b"Content-Length: %d\r\n" % len(body), body)


def chunked(body: bytes, offer: bytes = b"") -> bytes:
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    return post(offer, b"Transfer-Encoding: chunked\r\n", parts + b"0\r\n\r\n")


def answers(connection: socket.socket, count: int) -> bytes:
    """What comes back until so many answers are there, or the connection ends."""
    received = b""
    while received.count(b'{"success":true}') < count and (part := connection.recv(65536)):
        received += part
    return received


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET])
@pytest.mark.parametrize("pieces", [1, 7, 100_000])
def test_a_request_that_offers_another_protocol_is_taken_as_it_is(
    shop: Shop, offer: bytes, pieces: int
) -> None:
    key = shop.write_keys["web"]
    stream = b"".join(
        (
            sized(message(1, key), offer), chunked(message(2, key), offer), sized(message(3, key)),
            chunked(message(4, key)), sized(message(5, key), offer),
            sized(b"", offer).replace(b"/v1/page", b"/v1/m"), sized(message(6, key)),
        )
    )  # fmt: skip
    with connect(shop.server.tracking) as connection:
        size = max(1, len(stream) // pieces)
        for at in range(0, len(stream), size):
            connection.sendall(stream[at : at + size])
        received = answers(connection, 7)
    assert received.count(b"HTTP/1.1 200 OK") == 7, received
    shop.wait_until_counted()
    assert shop.usage()[""].identified == 6


@pytest.mark.parametrize("offer", [b"", H2C])
def test_what_follows_a_last_request_is_left_alone(shop: Shop, offer: bytes) -> None:
    key = shop.write_keys["web"]
    last = sized(message(2, key), b"Connection: close\r\n")
    with connect(shop.server.tracking) as connection:
        connection.sendall(sized(message(1, key), offer) + last + sized(message(3, key)))
        received = answers(connection, 3)
    assert received.count(b"HTTP/1.1 200 OK") == 2, received
    assert received.count(b"HTTP/1.1") == 2, received


def test_an_offer_on_the_api_address_is_declined_too(shop: Shop) -> None:
    ask = b"GET /healthz HTTP/1.1\r\nHost: t\r\n"
    with connect(shop.server.api) as connection:
        connection.sendall(ask + H2C + b"\r\n" + ask + b"Connection: close\r\n\r\n")
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "start",
    [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\n",
     b"POST /v1/m HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"],
)  # fmt: skip
@pytest.mark.parametrize("address", ["tracking", "api"])
def test_a_head_without_end_fills_no_memory(server: Server, address: str, start: bytes) -> None:
    role = {"tracking": "intake", "api": "api"}[address]
    [process] = server.children(role)
    before = process.memory_info().rss
    part = (b"x" if start.endswith((b"/", b" ")) else b"x: y\r\n") * 10_000
    # The server hangs up on whoever goes on for so long.
    with connect(getattr(server, address)) as connection, suppress(ConnectionError):
        connection.sendall(start)
        for _ in range(MUCH // len(part)):
            connection.sendall(part)
        pytest.fail("all of it was taken")
    assert process.memory_info().rss - before < MUCH // 4


def test_a_large_head_that_ends_is_taken(shop: Shop) -> None:
    padding = b"x: %b\r\n" % (b"y" * 60_000)
    with connect(shop.server.tracking) as connection:
        connection.sendall(sized(message(1, shop.write_keys["web"]), padding))
        assert answers(connection, 1).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nX: y"])
def test_whoever_never_ends_a_head_is_hung_up_on(
    start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "_HEAD_WITHIN_S", 0.05)

    async def app(_scope: object, _receive: object, send: Callable[..., object]) -> None:
        raise AssertionError("no request came")

    with (
        served(app) as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        connection.sendall(start)
        assert connection.recv(1) == b""


def test_connections_that_come_while_it_stops_keep_nobody_from_being_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # As if all of them had been accepted right after those before them were told.
    monkeypatch.setattr(connections.Connection, "shutdown", lambda _: None)
    body_awaited = threading.Event()

    async def app(
        _scope: object, receive: Callable[[], Awaitable[object]], send: Callable[..., object]
    ) -> None:
        body_awaited.set()
        await receive()

    with served(app) as (told, port), ExitStack() as stack:
        *silent, posting = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(8)
        ]
        posting.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n")
        body_awaited.wait()
        told.stop()
        assert [each.recv(1) for each in (posting, *silent)] == [b""] * 8
    assert "exceeded" not in caplog.text


Send = Callable[[dict[str, object]], Awaitable[None]]


@pytest.mark.parametrize(
    ("method", "headers", "parts", "expected"),
    [
        ("GET", [(b"Content-Length", b"4")], [b"body"], b"body"),
        ("GET", [(b"Content-Length", b"4")], [b"bo", b"dy"], b"body"),
        ("GET", [], [b"body"], b"4\r\nbody\r\n0\r\n\r\n"),
        ("GET", [], [b"bo", b"dy"], b"2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"),
        ("HEAD", [(b"Content-Length", b"4")], [b"body"], b""),
        ("HEAD", [], [b"body"], b""),
    ],
)
def test_an_answer_comes_as_the_application_sends_it(
    method: str, headers: list[tuple[bytes, bytes]], parts: list[bytes], expected: bytes
) -> None:
    async def app(_scope: object, _receive: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, part in enumerate(parts, 1):
            await send(
                {"type": "http.response.body", "body": part, "more_body": number < len(parts)}
            )

    with (
        served(app) as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        ask = f"{method} / HTTP/1.1\r\nHost: t\r\n".encode()
        connection.sendall(ask + b"\r\n" + ask + b"Connection: close\r\n\r\n")
        received = b""
        while part := connection.recv(4096):
            received += part
    first, second = received.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.partition(b"\r\n\r\n")[2] == expected
    assert second.partition(b"\r\n\r\n")[2] == expected
    assert (b"connection: close" in first, b"connection: close" in second) == (False, True)


@pytest.mark.parametrize(("name", "value"), [(b"x", b"y\r\nz: 1"), (b"x\n", b"y"), (b"x", b"\r")])
def test_no_header_of_an_answer_holds_another_one(
    name: bytes, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: object, _receive: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(name, value)]})

    with (
        served(app) as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert not connection.recv(4096).startswith(b"HTTP/1.1 200")
    assert "the end of a line" in caplog.text


def test_at_the_bound_the_longest_silent_make_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("headcount.http.crowd._CONNECTIONS_MAX", 20)
    monkeypatch.setattr("headcount.http.crowd._CALM_AFTER_S", 2.0)
    troubles = Troubles(None, "test", lambda: 0)
    going_on = threading.Event()

    async def app(scope: dict[str, str], _receive: object, send: Send) -> None:
        if scope["path"] == "/slow":
            await asyncio.to_thread(going_on.wait)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    def ask(connection: socket.socket, path: bytes = b"/") -> None:
        connection.sendall(b"GET %b HTTP/1.1\r\nHost: t\r\n\r\n" % path)

    with served(app, troubles=troubles) as (_, port), ExitStack() as stack:

        def connect() -> socket.socket:
            address = ("127.0.0.1", port)
            return stack.enter_context(socket.create_connection(address, timeout=20))

        slow, kept = connect(), connect()
        ask(slow, b"/slow")
        ask(kept)
        assert kept.recv(4096).startswith(b"HTTP/1.1 204")
        silent = [connect() for _ in range(40)]
        in_a_head = [connect() for _ in range(40)]
        for each in in_a_head:
            with suppress(OSError):
                each.sendall(b"GET / HTTP/1.1\r\nX: y")
        for _ in range(100):
            late = connect()
            ask(late)
            assert late.recv(4096).startswith(b"HTTP/1.1 204")
        # Whoever is served, and whoever has just been, stayed; the oldest silent ones did not.
        assert silent[0].recv(1) == b""
        going_on.set()
        assert slow.recv(4096).startswith(b"HTTP/1.1 204")
        eventually(lambda: bool(troubles.now()), "the trouble to be told")
        assert not troubles.now()[0].hinders
        eventually(lambda: not troubles.now(), "the trouble to be over")
    said = [record for record in caplog.records if record.name == "headcount.troubles"]
    assert len(said) == 2


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [(1024, 1024, 768), (1024, 4096, 3072), (256, 256, 192), (1024, 1 << 20, 8192),
     (1024, resource.RLIM_INFINITY, 8192)],
)  # fmt: skip
def test_connections_leave_descriptors_for_everything_else(
    soft: int, hard: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    assert connections_max() == expected
    assert raised == ([] if soft == hard else [(hard, hard)])


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
def test_a_body_on_the_api_address_has_to_come_in_time(
    framing: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: object, receive: Callable[[], Awaitable[object]], send: object) -> None:
        await receive()
        raise AssertionError("there is no whole body")

    with (
        served(WholeBodies(app, within_s=0.1)) as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: t\r\n" + framing)
        answer = b""
        while part := connection.recv(4096):
            answer += part
        assert answer.startswith(b"HTTP/1.1 408"), answer
        assert b"connection: close" in answer
    assert not caplog.records


class Blocked:
    """An application that stands still at `/block`, so that all that comes meanwhile is there.

    Attributes:
        begun: the paths of requests, as they began.
        steps: what a test counts.
        at_health: how many steps there were when `/healthz` began.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.steps = self.at_health = 0
        self.stands, self.go_on = threading.Event(), threading.Event()

    async def __call__(
        self, scope: dict[str, str], receive: Callable[[], Awaitable[object]], send: Send
    ) -> None:
        self.begun.append(scope["path"])
        if scope["path"] == "/block":
            self.stands.set()
            self.go_on.wait()
        elif scope["path"] == "/healthz":
            self.at_health = self.steps
        await receive()
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def ask_behind(self, address: str, count: int, data: bytes, path: bytes = b"/healthz") -> None:
        """Ask for health, or something else, behind so many others, who have all sent something."""

        def owner_of(scope: Mapping[str, object]) -> Owner:
            return Owner(scope["path"], 3 * count)

        entrance = Entrance(owner_of, self) if address == "api" else None
        with (
            served(self, address=address, entrance=entrance) as (_, port),
            ExitStack() as stack,
        ):
            first, *others, last = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
                for _ in range(count + 2)
            ]
            first.sendall(b"GET /block HTTP/1.1\r\nHost: t\r\n\r\n")
            self.stands.wait()
            for other in others:
                other.sendall(data)
            last.sendall(b"GET %b HTTP/1.1\r\nHost: t\r\n\r\n" % path)
            self.go_on.set()
            assert last.recv(100).startswith(b"HTTP/1.1 200")

    def count(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        """Count what the parser calls."""
        calls = getattr(connections.Connection, method)

        def counted(*args: object) -> None:
            self.steps += 1
            calls(*args)

        monkeypatch.setattr(connections.Connection, method, counted)


def test_health_is_answered_ahead_of_requests_that_came_before() -> None:
    app = Blocked()
    app.ask_behind("api", 200, b"GET /costly HTTP/1.1\r\nHost: t\r\n\r\n" * 3)
    assert app.begun.index("/healthz") < 20


def test_a_reader_is_answered_ahead_of_strangers_that_came_before() -> None:
    app = Blocked()
    app.ask_behind("api", 200, b"GET /costly HTTP/1.1\r\nHost: t\r\n\r\n" * 3, path=b"/reader")
    assert app.begun.index("/reader") < 20


def test_what_is_dear_to_parse_is_parsed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Blocked()
    app.count(monkeypatch, "on_body")
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    app.ask_behind("tracking", 16, head + b"1\r\n \r\n" * (100_000 // 6))
    assert app.at_health < 50_000


def test_headers_behind_a_body_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Blocked()
    app.count(monkeypatch, "on_header")
    body = b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    app.ask_behind("tracking", 8, b"POST / HTTP/1.1\r\n" + body + b"a: b\r\n" * 2000)
    assert app.steps < 8 * 300


def test_a_large_body_in_chunks_comes_whole_whatever_waits() -> None:
    whole = bytes(range(1, 250)) * 2000
    got: list[bytes] = []

    async def app(
        _scope: object, receive: Callable[[], Awaitable[dict[str, object]]], send: Send
    ) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + bytes(event["body"]), bool(event["more_body"])  # type: ignore[call-overload]
        got.append(body)
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    parts = b"".join(
        b"%x\r\n%b\r\n" % (len(part), part)
        for part in (whole[at : at + 50] for at in range(0, len(whole), 50))
    )
    one = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"
    with served(app) as (_, port), ExitStack() as stack:
        strangers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(6)
        ]
        sending = [threading.Thread(target=each.sendall, args=(one * 2,)) for each in strangers]
        for each in sending:
            each.start()
        for stranger in strangers:
            received = b""
            while received.count(b"HTTP/1.1 200") < 2:
                received += stranger.recv(4096)
        for each in sending:
            each.join()
    assert got == [whole] * 12


def test_a_connection_that_has_ended_waits_for_no_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = []
    made = connections.Connection.connection_made

    def remembered(self: connections.Connection, transport: asyncio.Transport) -> None:
        begun.append(weakref.ref(self))
        made(self, transport)

    monkeypatch.setattr(connections.Connection, "connection_made", remembered)
    app = Blocked()
    app.go_on.set()
    gc.disable()
    try:
        with served(app) as (_, port):
            for ask in (b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", b"GET / HTTP/1.1\r\nX: ", b""):
                with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                    connection.sendall(ask)
                    if ask.endswith(b"\r\n\r\n"):
                        connection.recv(100)
            eventually(lambda: len(begun) == 3, "three connections")
            eventually(lambda: not any(each() for each in begun), "all of them to be gone")
    finally:
        gc.enable()
