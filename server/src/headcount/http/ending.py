"""How a connection ends: when it is late, when it is told to, and so that its answer is read.

Where a socket is closed while something that came is unread, the system breaks the connection off,
and whoever is still sending, such as a proxy in the middle of a body, may never see the answer that
was there: a proxy makes a 502 of it, which clients send again for ever. So after an answer that is
the last one, to a request that is not whole, nothing more is sent, and what comes is read and
dropped until the client ends the connection: for a few seconds, and as much as a body may have.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headcount import telemetry
from headcount.http.crowd import ConnectionBounds, Crowd
from headcount.http.cycle import Cycle
from headcount.tracing import id_of, tell_outcome

__all__ = ["EndingConnection", "bad_request"]

_HEAD_WITHIN_S = 30.0
_LINGER_S = 5.0
_LINGER_BYTES = 4 << 20


class EndingConnection(HttpToolsProtocol):
    """uvicorn's protocol, which ends when it should.

    Attributes:
        since_s: when it began, last began a request, or was last given an answer to its end.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        crowd: Crowd | None = getattr(self.server_state, "crowd", None)
        self._crowd = crowd or Crowd(self.connections, ConnectionBounds())  # type: ignore[arg-type]
        self.since_s = self._crowd.now_s
        # Whether what was received last ends a request.
        self._is_whole = True
        # What came behind a request that is not answered yet; told to the crowd.
        self._behind = b""
        self._dropped_bytes = 0

    @property
    def is_silent(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_idle(self) -> bool:
        """Whether it is between two requests."""
        return self._is_whole and self.cycle is not None and self.cycle.response_complete

    @property
    def unsent_bytes(self) -> int:
        """What of its answers waits in this process."""
        size: int = self.transport.get_write_buffer_size()
        return size

    def end_if_late(self, now_s: float) -> None:
        """Hang up if what is waited for does not come; to be asked from time to time."""
        bounds = self._crowd.bounds
        lingers = self.parser is None
        if self.transport.is_closing():
            within_s = bounds.unread_s
        elif not self.is_silent:
            return
        elif lingers:
            within_s = _LINGER_S
        elif self.is_idle:
            within_s = bounds.idle_s
        else:
            within_s = _HEAD_WITHIN_S
        if now_s - self.since_s <= within_s:
            return
        if not self.is_idle and not lingers:
            telemetry.CONNECTIONS_DROPPED.labels(self._crowd.address, "late").inc()
        self.hang_up()

    def linger(self) -> None:
        """Send no more, and drop what still comes, until the client ends or it is late."""
        self.parser = None  # type: ignore[assignment]
        self._behind = b""
        self.since_s = self._crowd.now_s
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def drop(self, size: int) -> None:
        """So many bytes came where nothing is expected any more."""
        self._dropped_bytes += size
        if self._dropped_bytes > _LINGER_BYTES:
            self.hang_up()

    def hang_up(self) -> None:
        """End, and wait for nobody who does not read."""
        if self.unsent_bytes:
            self.transport.abort()
        else:
            self.transport.close()

    def abort(self) -> None:
        """End at once, whatever was still to be sent."""
        # Much of what comes in one round of the loop may have to go before that round is over.
        self._behind, self.url, self.headers = b"", b"", []
        self.transport.abort()


def bad_request(sentence: str) -> bytes:
    """The whole answer to what is no request; the log has its id."""
    scope: dict[str, Any] = {}
    tell_outcome(scope, "", "malformed request")
    Cycle.refusals.say(scope, 400)
    return (
        b"HTTP/1.1 400 Bad Request\r\n"
        b"content-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\nconnection: close\r\nx-request-id: %b\r\n\r\n%b"
    ) % (len(sentence), id_of(scope).encode("ascii"), sentence.encode("ascii"))
