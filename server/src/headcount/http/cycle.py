"""One request and its answer: uvicorn's own cycle, with an answer sent in one piece.

Nearly every answer is short and comes whole. Its head waits for its body, and both are written at
once; this, and one check of the whole head in place of two of each header, saves a fifth of the
time of a small request. Answers that come in parts take uvicorn's way.
"""

from __future__ import annotations

from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from headcount.http.refused import Refusals
from headcount.tracing import id_of

__all__ = ["Cycle"]

_WITHOUT_BODY = (204, 304)
_NAMED, _END = b"x-request-id: ", b"\r\n\r\n"


class Cycle(RequestResponseCycle):
    """A connection makes one for each request.

    Attributes:
        lingers: whether the connection ends with this answer, and the rest of the request's body
            is still to come.
        refusals: names requests that are refused in the log.
    """

    lingers = False
    refusals: ClassVar[Refusals] = Refusals()

    _head = b""
    # The last head that a connection which goes on was sent, up to the id of its request, and of
    # what it was made: the headers of the server and of the application, the latter as a tuple,
    # which cannot change; its length.
    _made: ClassVar[tuple[Any, Any, int, bytes, int]] = (None, None, 0, b"", 0)

    async def send(self, message: Any) -> None:
        """Take one message of the application, in ASGI's terms.

        Raises:
            RuntimeError: the application made a mistake.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            self._head = self._started(message)
            return
        if head := self._head:
            self._head = b""
            body = message.get("body", b"")
            if (
                not self.chunked_encoding
                and len(body) == self.expected_content_length
                and self.scope["method"] != "HEAD"
                and not message.get("more_body", False)
            ):
                self.expected_content_length = 0
                self.response_complete = True
                self.transport.write(head + body)
                self.message_event.set()
                if not self.keep_alive:
                    self.transport.close()
                self.on_response()
                return
            self.transport.write(head)
        await super().send(message)

    def _started(self, message: Any) -> bytes:
        """The head of an answer, and what it says of how the answer ends."""
        if message["type"] != "http.response.start":
            raise RuntimeError(f"an answer begins with its head, not with {message['type']}")
        self.response_started = True
        self.waiting_for_100_continue = False
        status = message["status"]
        given = message.get("headers", ())
        ours, theirs, made_status, head, body_bytes = Cycle._made
        if (
            ours is self.default_headers
            and theirs is given
            and made_status == status
            and self.keep_alive
        ):
            self.expected_content_length, self.chunked_encoding = body_bytes, False
            return head + id_of(self.scope).encode() + _END
        headers = [*self.default_headers, *given]
        parts = [STATUS_LINE[status]]
        says_close = says_id = False
        for name, value in headers:
            lowered = name.lower()
            if lowered == b"content-length":
                if self.chunked_encoding is None:
                    self.expected_content_length = int(value)
                    self.chunked_encoding = False
            elif lowered == b"transfer-encoding":
                if value.lower() == b"chunked":
                    self.expected_content_length = 0
                    self.chunked_encoding = True
            elif lowered == b"x-request-id":
                says_id = True
            elif lowered == b"connection" and b"close" in value.lower():
                self.keep_alive = False
                says_close = True
            parts.append(b"%b: %b\r\n" % (lowered, value))
        if not self.keep_alive and not says_close:
            parts.append(b"connection: close\r\n")
        if (
            self.chunked_encoding is None
            and status not in _WITHOUT_BODY
            and self.scope["method"] != "HEAD"
        ):
            self.chunked_encoding = True
            parts.append(b"transfer-encoding: chunked\r\n")
        parts.append(b"\r\n")
        head = b"".join(parts)
        # Each part ends its line: any end more would be a header that nobody meant.
        if head.count(b"\n") != len(parts) or head.count(b"\r") != len(parts):
            raise RuntimeError("a header of the answer holds the end of a line")
        if self.keep_alive and self.chunked_encoding is False and isinstance(given, tuple):
            named = head[:-2] + _NAMED
            Cycle._made = (self.default_headers, given, status, named, self.expected_content_length)
        if not says_id:
            head = head[:-2] + _NAMED + id_of(self.scope).encode() + _END
        if status >= 400:
            self.refusals.say(self.scope, status)
        if not self.keep_alive and self.more_body:
            # Whoever gets the answer ends the connection; it is not ended here behind it.
            self.lingers = self.keep_alive = True
        return head
