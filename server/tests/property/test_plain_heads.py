"""A plain head is not parsed, and whatever is sent, nobody can tell: a connection that looks for
such heads is held against one that parses each."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.http.connection import Connection
from headcount.http.crowd import ConnectionBounds, Crowd
from headcount.http.cycle import Cycle
from headcount.http.plain_head import digits_again, match_plain
from headcount.intake.fast_path import _sender_in
from headcount.tracing import id_of

SUCCESS: tuple[Any, Any] = (
    {"type": "http.response.start", "status": 200, "headers": ((b"content-length", b"2"),)},
    {"type": "http.response.body", "body": b"ok"},
)
LENGTH = b"Content-Length"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Transport:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def write_eof(self) -> None: ...

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, _name: str) -> Any:
        return None

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, _high: int) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    abort = close


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Says what it was asked; what it is given is its own, to change as it likes."""
    size, more = 0, True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            return
        size, more = size + len(event["body"]), event["more_body"]
    told = {name: scope[name] for name in scope if name not in ("headcount.request_id", "state")}
    body = b"%d of %r" % (size, sorted(told.items()))
    scope["headers"].append((b"x-changed", b"by the application"))
    scope["state"]["changed"] = True
    await send({
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-length", b"%d" % len(body))],
    })  # fmt: skip
    await send({"type": "http.response.body", "body": body})


def _brought(scope: Any) -> str:
    """The id that a request brought, and nothing where it was given one."""
    found = id_of(scope)
    return "" if re.fullmatch("[0-9a-f]{32}", found) and found != TRACE else found


class Served:
    """One connection, and what came of it."""

    def __init__(self, *, parses: bool, at_once: bool) -> None:
        self.taken: list[object] = []
        self.plain = 0
        self._at_once = at_once
        config = uvicorn.Config(
            application, loop="none", http=Connection, ws="none", log_config=None
        )
        config.load()
        state: Any = uvicorn.server.ServerState()
        state.crowd = Crowd(state.connections, ConnectionBounds(), fast_path=self._take)
        self.connection = Connection(config=config, server_state=state, app_state={})
        if parses:
            self.connection._take_plain = lambda _data: False  # type: ignore[method-assign]
        self.transport = Transport()
        self.connection.connection_made(self.transport)

    def _take(self, cycle: Cycle) -> bool:
        scope: Any = cycle.scope
        if scope["path"].startswith("/app"):
            return False
        asked = [scope[name] for name in ("method", "path", "query_string")]
        found = cycle.sender or _sender_in(cycle.fields)
        self.plain += cycle.sender is not None
        self.taken.append((asked, found, {**cycle.fields}, cycle.body, _brought(scope)))
        then = cycle.pass_on if scope["path"] == "/not" else lambda: cycle.answer(*SUCCESS)
        if self._at_once and scope["path"] != "/not":
            then()
        else:
            asyncio.get_running_loop().call_soon(then)
        return True

    async def send(self, pieces: list[bytes], *, waits: list[bool] | None = None) -> None:
        """Let pieces come: after each, as a rule, until what it brought is answered."""
        for piece, is_waited_for in zip(pieces, waits or [True] * len(pieces), strict=True):
            if not self.transport.closed:
                self.connection.data_received(piece)
            for _ in range(8 if is_waited_for else 0):
                await asyncio.sleep(0)
        for _ in range(8 * len(pieces)):
            await asyncio.sleep(0)

    def answers(self) -> bytes:
        return re.sub(rb"x-request-id: [0-9a-f]+", b"x-request-id: made", self.transport.sent)


def request(path: bytes, more: bytes, length: bytes, body: bytes) -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nHost: t\r\n%b" % (path, more)
        + (b"" if length is None else LENGTH + b": " + length + b"\r\n")
        + b"Accept: */*\r\n\r\n"
        + body
    )


BODIES = st.sampled_from(
    [b"", b"one", b"two", b"x" * 99, b"v" * 1000, b"w" * 1900, b"y" * 3000, b"\r\n\r\n", b"POST /"]
)
PATHS = st.sampled_from(
    [b"/fast"] * 4
    + [b"/else", b"/fast?q=1", b"/app", b"/not", b"/", b"//a/b", b"/f%41st", b"/a:1/b", b"*"]
)
ODD = (
    b"X-Request-ID: brought\r\n", b"X-Request-ID: not one\r\n", b"Connection: close\r\n",
    b"connection: Keep-Alive\r\n", b"Connection: keep-alive, x\r\n", b"Proxy-Connection: close\r\n",
    b"Expect: 100-continue\r\n", b"X: a\r\nX: b\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Y: Content-Length: 3\r\n", b"Content-Length: 3\r\n", b"CONTENT-LENGTH: 3\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n", b"X-Write-Key: k\r\n",
    b"Authorization: Basic a2V5Og==\r\n", b"Authorization: Basic b3RoOg==\r\n",
    b"authorization: other \r\n", b"Authorization: \r\n",
    b"User-Agent: analytics-python/2.4.0\r\n", b"User-Agent:Mozilla/5.0\r\n",
    b"User-Agent:  two spaces\r\n", b"user-agent: a\tb\r\n", b"Accept: \xe4\r\n", b"A: b\r\n c\r\n",
    b"A: b\nB: c\r\n", b"A b: c\r\n", b"A : b\r\n", b": b\r\n", b"_: b\r\n", b"1: b\r\n",
    b"A: \0\r\n",
    b"traceparent: 00-%b-00f067aa0ba902b7-01\r\n" % TRACE.encode(),
    b"".join(b"X-%d: of a browser\r\n" % each for each in range(18)),
    b"".join(b"X-%d: too many\r\n" % each for each in range(30)),
    b"Cookie: %b\r\n" % (b"c" * 3000),
)  # fmt: skip
MORE = st.lists(st.sampled_from(ODD), max_size=2).map(b"".join)


@st.composite
def lengths(draw: st.DrawFn, body: bytes) -> bytes:
    """What a head says of how long a body is, nearly always the truth."""
    size = len(body)
    right = b"%d" % size
    wrong = [b"0" + right, b"+" + right, right + b" ", b" " + right, right + b"x", b"", b"1\n2"]
    wrong += [b"%d" % (size + 1), b"%d" % max(0, size - 1), b"9999999"]
    return draw(st.sampled_from(wrong)) if draw(st.integers(0, 9)) == 9 else right


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """What comes over a connection, in the pieces in which it comes."""
    pieces: list[bytes] = []
    for _ in range(draw(st.integers(1, 3))):
        path, more = draw(PATHS), draw(MORE)
        for body in draw(st.lists(BODIES, min_size=1, max_size=4)):
            each = request(path, more, draw(lengths(body)), body)
            if draw(st.integers(0, 9)) == 9:
                at = draw(st.integers(0, len(each) - 1 - len(body)))
                each = each[:at] + draw(st.binary(max_size=2)) + each[at + 1 :]
            cut = draw(st.integers(1, len(each) - 1)) if draw(st.integers(0, 4)) == 4 else 0
            parts = [each[:cut], each[cut:]] if cut else [each]
            if pieces and draw(st.integers(0, 5)) == 5:
                pieces[-1] += parts.pop(0)
            pieces += parts
    return pieces


async def both(
    pieces: list[bytes], *, at_once: bool, waits: list[bool] | None = None
) -> tuple[Served, Served]:
    parsing, looking = (Served(parses=parses, at_once=at_once) for parses in (True, False))
    for served in (parsing, looking):
        await served.send(pieces, waits=waits)
    return parsing, looking


@given(streams(), st.booleans(), st.data())
@settings(deadline=None, max_examples=400)
def test_what_is_seen_in_a_plain_head_is_what_the_parser_sees(
    pieces: list[bytes], at_once: bool, data: st.DataObject
) -> None:
    size = len(pieces)
    waits = data.draw(st.lists(st.booleans(), min_size=size, max_size=size), label="waits")
    parsing, looking = asyncio.run(both(pieces, at_once=at_once, waits=waits))
    assert parsing.plain == 0
    assert looking.taken == parsing.taken
    assert looking.answers() == parsing.answers()
    assert looking.transport.closed == parsing.transport.closed


def test_heads_as_trackers_browsers_and_proxies_send_them_are_plain() -> None:
    heads = [
        b"",
        b"User-Agent: analytics-python/2.4.0\r\nAccept-Encoding: gzip, deflate\r\n"
        b"Connection: keep-alive\r\nContent-Type: application/json\r\n"
        b"Authorization: Basic a2V5Og==\r\nX-Forwarded-For: 203.0.113.9, 198.51.100.1\r\n"
        b"X-Request-ID: 0af7651916cd43dd8448eb211c80319c\r\n",
        b'sec-ch-ua: "Chromium";v="126", "Not;A=Brand";v="8"\r\nsec-ch-ua-mobile: ?0\r\n'
        b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
        b"Origin: https://shop.example.com\r\nSec-Fetch-Mode: cors\r\nCookie: a=b; c=%20\r\n",
    ]
    posts = [
        request(b"/fast", head, b"%d" % size, b"x" * size) for head in heads for size in (0, 9)
    ]
    posts += [request(b"/fast", b"", b"3000", b"x" * 3000), posts[0]]
    parsing, looking = asyncio.run(both(posts, at_once=False))
    assert looking.taken == parsing.taken
    assert looking.plain == len(posts)


def test_a_head_that_comes_again_is_known_by_all_but_its_length() -> None:
    first = request(b"/fast", b"A: b\r\n", b"3", b"one")
    found = match_plain(first)
    assert found is not None
    head, digits = found[0], found.span(4)
    for size in (3, 0, 99, 123_456):
        again = request(b"/fast", b"A: b\r\n", b"%d" % size, b"x" * size)
        known = digits_again(head, digits, again)
        assert known is not None
        (start, behind), end = known
        assert (int(again[start:behind]), again[end:]) == (size, b"x" * size)
    for other in (b"/other", b"A: c\r\n", b"03", b"4"):
        data = first.replace({b"/": b"/fast", b"A": b"A: b\r\n"}.get(other[:1], b"3"), other)
        assert digits_again(head, digits, data) is None
    assert digits_again(b"", (0, 0), first) is None


def test_what_waits_is_not_taken_for_the_request_before_it() -> None:
    """Requests with three heads and bodies of one length, two of which come before an answer."""
    heads = [b"X: %d\r\n" % each for each in range(3)]
    first, second, third = (request(b"/fast", head, b"1", b"x") for head in heads)
    pieces, waits = [first, second, third, second], [False, False, True, True]
    parsing, looking = asyncio.run(both(pieces, at_once=False, waits=waits))
    assert looking.taken == parsing.taken
    assert len(parsing.taken) == 4


def test_a_line_that_says_nothing_behind_a_large_head_is_passed_over() -> None:
    large = request(b"/fast", b"Cookie: %b\r\n" % (b"c" * 3000), b"1", b"x")
    parsing, looking = asyncio.run(both([large, b"\r\n", large], at_once=False))
    assert looking.taken == parsing.taken
    assert len(parsing.taken) == 2
