"""One HTTP connection: takes bytes as they come, gives requests to the application.

uvicorn's own protocol, with these things fixed. It lets the head of a request grow without bound,
waits for one without end, and loses the body of a request that offers to change to another
protocol, as Java's client does with each of its requests over plain HTTP. It reads on while
requests wait behind one another, and sets and stops a timer for each request.

Here the bytes behind a request stay as they are until it is answered, and the rest in the socket;
what a connection holds is told to the `Crowd`, which hangs up on the worst.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from headcount import telemetry
from headcount.http.cycle import Cycle
from headcount.http.declined import FRAMING, parser_behind_head
from headcount.http.ending import EndingConnection, bad_request
from headcount.http.flow import Flow
from headcount.http.pace import HEADER_BYTES, LARGE_BYTES, NO_SCOPE

__all__ = ["Connection"]

# Room for a pixel whose message is as large as a message may be.
_HEAD_BYTES_MAX, _HEADERS_MAX = 64 * 1024, 256
# An answer is mostly smaller; what waits beyond this is known to the crowd.
_UNSENT_BYTES_MAX = 4 * 1024
_HEAD_COPIES = 3  # how often a head's bytes are there while its request is under way
# Ends every head, and every body in chunks.
_END = b"\r\n\r\n"
# Of a body that comes with its head, and is looked through for another one; and of a head.
_SHORT_BYTES, _SHORT_HEAD_BYTES = 2048, 1024
# What is parsed at a time of heads and of bodies in chunks: each byte of them may be a step.
_PIECE_BYTES = 16 * 1024
# So that a body in chunks that is full of such ends is not looked at end by end.
_CHUNKED_BYTES_MIN = 512


class Connection(EndingConnection):
    """uvicorn makes one for each connection."""

    cycle: Cycle
    pipeline: deque[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Received since the last end of a head or part of a body: a head, or what follows a body.
        self._head_bytes = 0
        # What is left of the body of a request, if it was declared.
        self._is_chunked = False
        self._left_bytes = 0
        # Of the head of the request that is under way, if that is large.
        self._large_head_bytes = 0
        # The most that came at once, where TLS keeps as much room for what comes next.
        self._came_bytes = -1
        # Whether the crowd was told of what waits behind a request.
        self._is_told = False
        # Whether what is kept waits for a round of the loop, and not for an answer.
        self._waits_for_round = False
        # A request whose head has come, until what came with it is parsed.
        self._comes: Cycle | None = None
        # The request that is answered now, or was last; `cycle` is the one that came last.
        self._under_way: Cycle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin; part of asyncio's interface."""
        super().connection_made(transport)
        self.flow = Flow(self)
        transport.set_write_buffer_limits(_UNSENT_BYTES_MAX)
        self._crowd.admit(self)
        if self.scheme == "https":
            self._came_bytes = 0
            self._crowd.hold_tls(self, 0)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; part of asyncio's interface."""
        self._behind = b""
        super().connection_lost(exc)
        self._crowd.leave(self)
        # uvicorn tells the request that came last, and others may be before it.
        for cycle in (self._under_way, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        # Nothing of it may wait for the collector of garbage: many may come and go meanwhile.
        self.pipeline.clear()
        self.headers = []
        self.cycle = self._comes = self._under_way = None  # type: ignore[assignment]
        self.flow = None  # type: ignore[assignment]

    def pause_writing(self) -> None:
        """The client does not read what it is sent; part of asyncio's interface."""
        super().pause_writing()
        self._crowd.unread(self)

    def resume_writing(self) -> None:
        """The client has read; part of asyncio's interface."""
        super().resume_writing()
        self._crowd.read(self)

    @property
    def is_held(self) -> bool:
        """Whether something was read that waits until a request is answered."""
        return bool(self._behind or self.pipeline)

    def data_received(self, data: bytes) -> None:
        """Take what has come; part of asyncio's interface."""
        if self.parser is None:
            self.drop(len(data))
            return
        if 0 <= self._came_bytes < len(data):
            self._came_bytes = len(data)
            self._crowd.hold_tls(self, len(data))
        if self._behind:
            self._behind += data
        elif not self._take_plain(data):
            self._take(data)
        if self._behind:
            self.flow.pause_reading()
        if self._behind or self._head_bytes or self._is_told or self._large_head_bytes:
            self._tell()

    def _tell(self) -> None:
        """Tell the crowd what is held, if that is anything or was."""
        size = len(self._behind) + self._head_bytes + self._large_head_bytes
        if self._head_bytes:
            size += HEADER_BYTES * len(self.headers or ())
        if size or self._is_told:
            self._is_told = bool(size)
            self._crowd.hold(self, size)

    def _take_plain(self, data: bytes) -> bool:
        """Begin with a request that has come whole, with a plain head; whether it is one."""
        last = self.cycle
        if (
            not self._is_whole
            or self._head_bytes
            or (last is not None and not last.response_complete)
            or self._crowd.fast_path is None
            or (cycle := Cycle.plain(self, data)) is None
        ):
            return False
        self.since_s = self._crowd.now_s
        self.cycle = cycle
        self._start(cycle)
        return True

    def _take(self, data: bytes, *, is_granted: bool = False) -> None:
        """Parse what has come, and let a request begin whose head was there."""
        self._parse_pieces(data, is_granted=is_granted)
        if self._comes is not None:
            self._start(self._comes)

    def _parse_pieces(self, data: bytes, *, is_granted: bool) -> None:
        """Parse what can be answered, and keep the rest.

        Where `is_granted`, a round of the loop has been waited for already.

        No piece that is parsed at once holds more than one end of a request, save small ones.
        """
        at, size = 0, len(data)
        while at < size and self.parser is not None:
            is_slow = False  # whether it is a large head, or one that goes on
            if self._is_whole:
                if self.cycle is not None and not self.cycle.response_complete:
                    self._behind = data[at:]
                    return
                end = data.find(_END, at) + len(_END)
                # What is short and holds no other end is one request at most, head and body.
                is_open = end < len(_END)
                is_slow = is_open or end - at > _SHORT_HEAD_BYTES
                if is_open or (size - end < _SHORT_BYTES and data.find(_END, end) < 0):
                    end = size
            elif self._left_bytes > 0 and not self._is_chunked:
                end = min(size, at + self._left_bytes)
            else:
                skipped = _CHUNKED_BYTES_MIN if self._is_chunked else 0
                end = data.find(_END, at + skipped) + len(_END)
                if end < len(_END):
                    is_slow, end = not self._is_chunked, size
            if (is_slow or end - at > _SHORT_BYTES) and (self._left_bytes <= 0 or self._is_chunked):
                end = min(end, at + _PIECE_BYTES)
                if is_granted:
                    is_granted = False
                elif not self._crowd.parsing.begin(end - at):
                    self._behind = data[at:]
                    self._waits_for_round = True
                    self._crowd.parsing.join(end - at, self._go_on)
                    return
            self._head_bytes += end - at
            if not self._parse(data if end - at == size else memoryview(data)[at:end]):
                return
            at = end
            if self._is_whole and self._comes is not None:
                self._start(self._comes)

    def _go_on(self) -> None:
        """Parse on, in a round of the loop that has time for it."""
        self._waits_for_round = False
        if self.transport.is_closing():
            self._behind = b""
            return
        self._take_behind(is_granted=True)
        if self.cycle is None or len(self.cycle.body) <= HIGH_WATER_LIMIT:
            self.flow.resume_reading()

    def _take_behind(self, *, is_granted: bool = False) -> None:
        behind, self._behind = self._behind, b""
        self._take(behind, is_granted=is_granted)
        self._tell()

    def _parse(self, data: bytes | memoryview) -> bool:
        """Give the parser what has come; whether it may get more."""
        left = data
        try:
            while left:
                try:
                    self.parser.feed_data(left)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    left = left[upgrade.args[0] :]
                    self._decline_upgrade()
        except httptools.HttpParserError:
            is_http = self._is_head_too_large
        else:
            if not self._head_bytes or not self._is_head_too_large:
                return True
            is_http = True
        self._refuse("The head of this request is too large." if is_http else "This is not HTTP.")
        return False

    def _refuse(self, sentence: str) -> None:
        """Answer what is no request, and hang up; later, where the process falls behind."""
        self.since_s = self._crowd.now_s
        telemetry.MALFORMED_REQUESTS.labels(self._crowd.address).inc()
        # Nothing more is read of it, or kept.
        self.parser = None  # type: ignore[assignment]
        self.url, self.headers, self._head_bytes, self._comes = b"", [], 0, None
        self.flow.pause_reading()
        self.loop.call_later(self._crowd.pace.delay_s(NO_SCOPE), self.send_400_response, sentence)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, and end."""
        if self.flow is None or self.transport.is_closing():
            return  # whoever sent it has left while the answer was put off
        if self.is_silent:
            self.transport.write(bad_request(msg))
            self.linger()
        else:
            super().send_400_response(msg)

    @property
    def _is_head_too_large(self) -> bool:
        return self._head_bytes > _HEAD_BYTES_MAX or len(self.headers or ()) > _HEADERS_MAX

    def on_message_begin(self) -> None:
        """Begin to take a request; called by the parser."""
        self._is_whole = self._is_chunked = False
        self._left_bytes = 0
        self.since_s = self._crowd.now_s
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; called by the parser."""
        headers = self.headers
        headers.append((name.lower(), value))
        if len(headers) > _HEADERS_MAX:
            raise ValueError  # as below; what comes behind a body in chunks is of them too

    def on_headers_complete(self) -> None:
        """Begin a request; called by the parser."""
        if self._is_head_too_large:
            raise ValueError  # the parser takes it for what is no HTTP, and stops
        # The body, if it came with the head, is no part of what is counted from here.
        size = _HEAD_COPIES * self._head_bytes + HEADER_BYTES * len(self.headers)
        self._large_head_bytes = size if size > LARGE_BYTES else 0
        self._head_bytes = 0
        before = self.cycle
        self.cycle = cycle = Cycle.of(self)
        self._left_bytes = int(cycle.fields.get(b"content-length", 0))
        self._is_chunked = b"transfer-encoding" in cycle.fields
        if before is None or before.response_complete:
            self._comes = cycle
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _start(self, cycle: Cycle) -> None:
        """Take the fast path with a request, or ask the application."""
        self._under_way, self._comes = cycle, None
        fast_path = self._crowd.fast_path
        if (
            fast_path is None
            or cycle.more_body
            or cycle.waiting_for_100_continue
            or self.flow.write_paused
            or not fast_path(cycle)
        ):
            self.ask_application(cycle)

    def ask_application(self, cycle: Cycle) -> None:
        """Let the application begin with a request, in a round of the loop that has time for it."""
        cycle.complete_head(self)
        cycle.message_event = asyncio.Event()
        if cycle.body or not cycle.more_body:
            cycle.message_event.set()
        entrance = self._crowd.entrance
        if entrance is None:
            self._start_asgi_task(cycle, self.app)
        else:
            entrance.enter(cycle.scope, functools.partial(self._begin, cycle), self.app)

    def _begin(self, cycle: Cycle, app: Any) -> None:
        if not cycle.disconnected:
            self._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; called by the parser."""
        self._head_bytes = 0
        self._left_bytes -= len(body)
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.add(body)
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """A request is whole; called by the parser."""
        self._is_whole = True
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def on_response_complete(self) -> None:
        """A request is answered; called by its cycle."""
        self.server_state.total_requests += 1
        self.since_s = self._crowd.now_s
        if (answered := self._under_way) is not None:
            answered.body = b""  # nobody asks for it now, and the connection may stay for minutes
        if self._large_head_bytes and not self.pipeline:
            self._forget_head()  # of the request that came last, which is answered
        if self.cycle.lingers:
            self.linger()
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            self._start(cycle)
        elif self._behind and not self._waits_for_round:
            self._take_behind()
        if self.flow.read_paused:
            self.flow.resume_reading()

    def _forget_head(self) -> None:
        """Keep nothing of a large head whose request is answered, until there is another one."""
        self._large_head_bytes = 0
        self.url, self.headers = b"", []
        self.cycle.scope, self.cycle.fields = {}, {}  # type: ignore[typeddict-item]
        self._tell()

    def _decline_upgrade(self) -> None:
        """Go on with HTTP/1.1, as if nothing else had been offered."""
        framing = [header for header in self.headers if header[0] in FRAMING]
        if framing:
            self._is_whole = False
            self.cycle.more_body = True
            self.cycle.message_event.clear()
            self.parser = parser_behind_head(self, framing)
