"""A head that comes again is not parsed again, and whatever is sent, nobody can tell: a connection
that remembers heads is held against one that parses each."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.http import connection as module
from headcount.http.connection import Connection
from headcount.http.crowd import ConnectionBounds, Crowd
from headcount.http.cycle import Cycle

SUCCESS: tuple[Any, Any] = (
    {"type": "http.response.start", "status": 200, "headers": ((b"content-length", b"2"),)},
    {"type": "http.response.body", "body": b"ok"},
)
LENGTH = b"Content-Length"


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
    body = b"%d of %r" % (size, sorted(scope["headers"]))
    scope["headers"].append((b"x-changed", b"by the application"))
    await send({
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-length", b"%d" % len(body))],
    })  # fmt: skip
    await send({"type": "http.response.body", "body": body})


class Served:
    """One connection, and what came of it."""

    def __init__(self, remembers: int, *, at_once: bool) -> None:
        self.taken: list[object] = []
        self.again = 0
        self._at_once, self._remembers = at_once, remembers
        config = uvicorn.Config(
            application, loop="none", http=Connection, ws="none", log_config=None
        )
        config.load()
        state: Any = uvicorn.server.ServerState()
        state.crowd = Crowd(state.connections, ConnectionBounds(), fast_path=self._take)
        self.connection = Connection(config=config, server_state=state, app_state={})
        self.transport = Transport()
        self.connection.connection_made(self.transport)

    def _take(self, cycle: Cycle) -> bool:
        scope: Any = cycle.scope
        if scope["path"].startswith("/app"):
            return False
        told = {name: scope[name] for name in scope if not name.startswith("headcount.")}
        self.taken.append(({**told, "headers": [*scope["headers"]]}, {**cycle.fields}, cycle.body))
        then = cycle.pass_on if scope["path"] == "/not" else lambda: cycle.answer(*SUCCESS)
        if self._at_once and scope["path"] != "/not":
            then()
        else:
            asyncio.get_running_loop().call_soon(then)
        return True

    async def send(self, pieces: list[bytes], *, waits: list[bool] | None = None) -> None:
        """Let pieces come: after each, as a rule, until what it brought is answered."""
        for piece, is_waited_for in zip(pieces, waits or [True] * len(pieces), strict=True):
            former, module._OTHER_HEADS_MAX = module._OTHER_HEADS_MAX, self._remembers
            try:
                if not self.transport.closed:
                    self.again += self.connection._repeated is not None
                    self.connection.data_received(piece)
            finally:
                module._OTHER_HEADS_MAX = former
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
PATHS = st.sampled_from([b"/fast", b"/fast", b"/fast", b"/fast?q=1", b"/app", b"/not"])
MORE = st.sampled_from([
    b"", b"", b"", b"X: 1\r\n", b"X-Request-ID: brought\r\n", b"Connection: close\r\n",
    b"Expect: 100-continue\r\n", b"X: a\r\nX: b\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Y: Content-Length: 3\r\n", b"Content-Length: 3\r\n",
    b"".join(b"X-%d: of a browser\r\n" % each for each in range(18)),
    b"Cookie: %b\r\n" % (b"c" * 3000),
])  # fmt: skip


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
            cut = draw(st.integers(1, len(each) - 1)) if draw(st.integers(0, 4)) == 4 else 0
            parts = [each[:cut], each[cut:]] if cut else [each]
            if pieces and draw(st.integers(0, 5)) == 5:
                pieces[-1] += parts.pop(0)
            pieces += parts
    return pieces


async def both(
    pieces: list[bytes], *, at_once: bool, waits: list[bool] | None = None
) -> tuple[Served, Served]:
    parsed, remembering = Served(0, at_once=at_once), Served(1000, at_once=at_once)
    for served in (parsed, remembering):
        await served.send(pieces, waits=waits)
    return parsed, remembering


@given(streams(), st.booleans(), st.data())
@settings(deadline=None)
def test_a_head_that_is_remembered_is_the_head_that_is_parsed(
    pieces: list[bytes], at_once: bool, data: st.DataObject
) -> None:
    size = len(pieces)
    waits = data.draw(st.lists(st.booleans(), min_size=size, max_size=size), label="waits")
    parsed, remembering = asyncio.run(both(pieces, at_once=at_once, waits=waits))
    assert parsed.again == 0
    assert remembering.taken == parsed.taken
    assert remembering.answers() == parsed.answers()
    assert remembering.transport.closed == parsed.transport.closed


def test_heads_are_remembered_at_all_and_not_for_ever_where_they_differ() -> None:
    alike = [request(b"/fast", b"", b"%d" % size, b"x" * size) for size in (3, 3, 10, 0, 3000)]
    _, remembering = asyncio.run(both(alike, at_once=False))
    assert remembering.again == 4
    differ = [request(b"/fast", b"X: %d\r\n" % each, b"1", b"x") for each in range(20)]

    async def counted() -> int:
        served = Served(module._OTHER_HEADS_MAX, at_once=True)
        await served.send(differ)
        return served.again

    assert asyncio.run(counted()) == module._OTHER_HEADS_MAX


def test_posts_of_a_browser_are_answered_one_after_the_other() -> None:
    """Its head and body together weigh what a large head does."""
    more = b"".join(b"X-%d: of a browser, as it comes\r\n" % each for each in range(15))
    posts = [request(b"/fast", more, b"%d" % size, b"x" * size) for size in (1500, 1500, 1300)]
    _, remembering = asyncio.run(both(posts, at_once=False))
    assert [body for _, _, body in remembering.taken] == [b"x" * 1500, b"x" * 1500, b"x" * 1300]
    assert remembering.again == 2


def test_what_waits_is_not_taken_for_the_request_before_it() -> None:
    """Requests with three heads and bodies of one length, two of which come before an answer."""
    heads = [b"X: %d\r\n" % each for each in range(3)]
    first, second, third = (request(b"/fast", head, b"1", b"x") for head in heads)
    pieces, waits = [first, second, third, second], [False, False, True, True]
    parsed, remembering = asyncio.run(both(pieces, at_once=False, waits=waits))
    assert remembering.taken == parsed.taken
    assert len(parsed.taken) == 4


def test_a_line_that_says_nothing_behind_a_large_head_is_passed_over() -> None:
    large = request(b"/fast", b"Cookie: %b\r\n" % (b"c" * 3000), b"1", b"x")
    parsed, remembering = asyncio.run(both([large, b"\r\n", large], at_once=False))
    assert remembering.taken == parsed.taken
    assert len(parsed.taken) == 2
