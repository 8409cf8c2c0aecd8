"""One request and its answer: uvicorn's own cycle, with an answer sent in one piece.

Nearly every answer is short and comes whole. Its head waits for its body, and both are written at
once; this, and one check of the whole head in place of two of each header, saves a fifth of the
time of a small request. Answers that come in parts take uvicorn's way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from headcount.http.plain_head import digits_again, headers_in, match_plain
from headcount.http.refused import Refusals
from headcount.http.request_target import target_of
from headcount.tracing import headers_of, id_of

__all__ = ["Cycle", "FastPath"]

FastPath = Callable[["Cycle"], bool]
"""Takes a request that is whole, and says whether it will be answered or passed on; else the
application is asked at once."""

_ASGI = {"version": "3.0", "spec_version": "2.3"}
_WITHOUT_BODY = (204, 304)
_NAMED, _END = b"x-request-id: ", b"\r\n\r\n"


class _Unheard:
    """An event as long as nobody can wait for it; one of asyncio's is made of three objects."""

    def set(self) -> None:
        pass

    def clear(self) -> None:
        pass


class Cycle(RequestResponseCycle):
    """A connection makes one for each request.

    Attributes:
        sender: Authorization and User-Agent of a plain head, which has nothing else that the fast
            path asks for; None for any other.
        ask_application: lets the application begin with it.
        message_event: by which the application waits, once it is asked.
        lingers: whether the connection ends with this answer, and the rest of the request's body
            is still to come.
        refusals: names requests that are refused in the log.
    """

    sender: tuple[bytes, bytes] | None = None
    ask_application: Callable[[Cycle], None]
    message_event: Any = _Unheard()
    lingers = False
    refusals: ClassVar[Refusals] = Refusals()
    # What uvicorn's sets anew for each request, and is the same for all of them until it changes.
    disconnected = response_started = response_complete = access_log = False
    more_body = True
    chunked_encoding = None
    expected_content_length = 0
    body: Any = b""
    _head = b""
    # While `scope` has no more of it than method and target; and where its length stands in it.
    _plain_head, _digits = b"", (0, 0)
    # The last head that a connection which goes on was sent, up to the id of its request, and of
    # what it was made: the headers of the server and of the application, the latter as a tuple,
    # which cannot change; its length.
    _made: ClassVar[tuple[Any, Any, int, bytes, int]] = (None, None, 0, b"", 0)

    @classmethod
    def of(cls, connection: Any) -> Cycle:
        """The request whose head the parser of a connection has just taken."""
        parser = connection.parser
        version = parser.get_http_version()
        scope = _scope(connection, parser.get_method().decode("ascii"), connection.url, version)
        scope["headers"] = connection.headers
        fields = headers_of(scope)
        cycle = cls._made_for(connection, scope)
        cycle.fields = fields
        cycle.waiting_for_100_continue = (
            b"expect" in fields and fields[b"expect"].lower() == b"100-continue"
        )
        cycle.keep_alive = version != "1.0" and parser.should_keep_alive()
        return cycle

    @classmethod
    def plain(cls, connection: Any, data: bytes) -> Cycle | None:
        """The request that came over a connection as a whole, if its head is plain; else None.

        Until an application is asked, `scope` has no more than the fast path asks for.
        """
        last: Cycle | None = connection.cycle
        if last is not None and (again := digits_again(last._plain_head, last._digits, data)):
            path, sender, brought_id = last.scope["path"], last.sender, None
            digits, end = again
        elif found := match_plain(data):
            target, authorization, agent, _, brought_id = found.groups()
            path = target_of(target)[0]
            sender = authorization or b"", agent or b""
            # One that brings an id is not that of the next request as well.
            digits, end = found.span(0 if brought_id else 4), found.end()
        else:
            return None
        scope: dict[str, Any] = {"method": "POST", "path": path, "query_string": b""}
        if brought_id:
            scope["headers"] = [(b"x-request-id", brought_id)]
        cycle = cls._made_for(connection, scope)
        cycle._plain_head, cycle.body = data[:end], data[end:]
        cycle._digits, cycle.sender = digits, sender
        cycle.waiting_for_100_continue = cycle.more_body = False
        cycle.keep_alive = True
        return cycle

    @classmethod
    def _made_for(cls, connection: Any, scope: Any) -> Cycle:
        # Not by uvicorn's way of making one, which sets what stands in the class already.
        cycle = cls.__new__(cls)
        cycle.scope = scope
        cycle.transport, cycle.flow = connection.transport, connection.flow
        cycle.logger = connection.logger
        cycle.default_headers = connection.server_state.default_headers
        cycle.on_response = connection.on_response_complete
        cycle.ask_application = connection.ask_application
        return cycle

    def complete_head(self, connection: Any) -> None:
        """Have all of a head that an application may ask for."""
        if not self._plain_head:
            return
        head, self._plain_head = self._plain_head, b""
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope |= _scope(connection, "POST", head.split(b" ", 2)[1], "1.1")
        scope["headers"] = headers_in(head)
        self.fields = headers_of(self.scope)

    @cached_property
    def fields(self) -> Mapping[bytes, bytes]:
        """The headers by their names, in lower case."""
        return dict(headers_in(self._plain_head))

    def add(self, body: bytes) -> None:
        """Take a part of the body; the first stays the object that it is, and mostly is all."""
        held: bytes | bytearray = self.body
        if not held:
            self.body = body
        elif isinstance(held, bytearray):
            held += body
        else:
            self.body = bytearray(held) + body

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
            if self._sent_whole(head, message):
                return
            self.transport.write(head)
        await super().send(message)

    def pass_on(self) -> None:
        """Leave it to the application after all."""
        if not self.disconnected:
            self.ask_application(self)

    def answer(self, start: Any, body: Any) -> None:
        """Answer at once, in the place of an application.

        Args:
            start, body: the two messages of an answer with a length.
        """
        if self.disconnected:
            return
        ours, theirs, status, head, body_bytes = Cycle._made
        text = body["body"]
        if (
            theirs is start["headers"]
            and ours is self.default_headers
            and status == start["status"]
            and body_bytes == len(text)
            and self.keep_alive
            and self.scope["method"] != "HEAD"
        ):
            # As nearly all are: what comes below, at once.
            self.response_started = self.response_complete = True
            self.transport.write(head + id_of(self.scope).encode() + _END + text)
            self.on_response()
            return
        whole = self._sent_whole(self._started(start), body)
        assert whole, "an answer of one piece, with its length"

    def _sent_whole(self, head: bytes, message: Any) -> bool:
        """Send head and body at once, where that is all of the answer; whether it is."""
        body = message.get("body", b"")
        if (
            self.chunked_encoding
            or len(body) != self.expected_content_length
            or self.scope["method"] == "HEAD"
            or message.get("more_body", False)
        ):
            return False
        self.expected_content_length = 0
        self.response_complete = True
        self.transport.write(head + body)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True

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


def _scope(connection: Any, method: str, target: bytes, version: str) -> dict[str, Any]:
    """What an application is told of a request, but for its headers."""
    path, raw_path, query = target_of(target)
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": version,
        "server": connection.server,
        "client": connection.client,
        "scheme": connection.scheme,
        "method": method,
        "root_path": "",
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "state": {},
    }
