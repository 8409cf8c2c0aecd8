"""One HTTP connection: takes bytes as they come, gives requests to the application.

uvicorn's own protocol, with three things mended. It lets the head of a request grow without bound,
waits for one without end, and loses the body of a request that offers to change to another
protocol, as Java's client does with each of its requests over plain HTTP.
"""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["Connection"]

# Room for a pixel whose message is as large as a message may be.
_HEAD_BYTES_MAX = 64 * 1024
_HEAD_WITHIN_S = 30.0


class Connection(HttpToolsProtocol):
    """uvicorn makes one for each connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Received since the last end of a head or part of a body: a head, or what follows a body.
        self._head_bytes = 0
        # The last request before the head that is waited for, and since when.
        self._awaited: tuple[RequestResponseCycle | None, float] | None = None

    def data_received(self, data: bytes) -> None:
        """Take what has come; part of asyncio's interface."""
        self._unset_keepalive_if_required()
        self._head_bytes += len(data)
        left = memoryview(data)
        try:
            while left:
                try:
                    self.parser.feed_data(left)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    left = left[upgrade.args[0] :]
                    self._decline_upgrade()
        except httptools.HttpParserError:
            self.send_400_response("This is not HTTP.")
            return
        if self._head_bytes > _HEAD_BYTES_MAX:
            self.send_400_response("The head of this request is too large.")

    def on_headers_complete(self) -> None:
        """Begin a request; called by the parser."""
        self._head_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; called by the parser."""
        self._head_bytes = 0
        super().on_body(body)

    def end_if_late(self, now_s: float) -> None:
        """End a connection whose next request does not come; to be asked from time to time."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            return
        if self._awaited is None or self._awaited[0] is not cycle:
            self._awaited = cycle, now_s
        elif now_s - self._awaited[1] > _HEAD_WITHIN_S:
            self.transport.close()

    def _decline_upgrade(self) -> None:
        """Go on with HTTP/1.1, as if nothing else had been offered.

        The parser takes such a request for one without a body, so another one is told again how
        the body is delimited.
        """
        framing = [
            b"%b: %b\r\n" % (name, value)
            for name, value in self.headers
            if name in (b"content-length", b"transfer-encoding")
        ]
        if framing:
            self.cycle.more_body = True
            self.cycle.message_event.clear()
            self.parser = httptools.HttpRequestParser(_ToldAgain(self))
            # As uvicorn's own: what follows a last request must not cost that request its answer.
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n")


class _ToldAgain:
    """What a parser calls that is told a head again: the connection, but not for that head."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._heads = 0
        self.on_body = connection.on_body
        self.on_message_complete = connection.on_message_complete

    def on_message_begin(self) -> None:
        if self._heads:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._heads:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._heads:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._heads:
            self._connection.on_headers_complete()
        self._heads += 1
