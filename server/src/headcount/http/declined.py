"""A request that offered another protocol, read on as the HTTP/1.1 that it is.

The parser stops behind the head of such a request, so another one is told again how its body is
delimited. Takes what that parser calls, gives it to the connection, save what the head made it say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httptools

__all__ = ["FRAMING", "parser_behind_head"]

FRAMING = (b"content-length", b"transfer-encoding")
"""The names of headers that say how a body is delimited."""


def parser_behind_head(connection: Any, framing: Iterable[tuple[bytes, bytes]]) -> Any:
    """A parser that goes on with the body of a request, whose own took it for one without.

    Args:
        connection: gets what the parser calls.
        framing: the headers of that request that say how its body is delimited.
    """
    parser = httptools.HttpRequestParser(_BodyOnlyCallbacks(connection))
    # As uvicorn's own: what follows a last request must not cost that request its answer.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    lines = b"".join(b"%b: %b\r\n" % header for header in framing)
    parser.feed_data(b"POST / HTTP/1.1\r\n" + lines + b"\r\n")
    return parser


class _BodyOnlyCallbacks:
    """What a parser calls that is told a head again: the connection, but not for that head.

    Args:
        connection: gets what the parser calls otherwise.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._heads = 0
        self.on_body = connection.on_body
        self.on_message_complete = connection.on_message_complete

    def on_message_begin(self) -> None:
        """Begin to take the next request."""
        if self._heads:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take the next request's target."""
        if self._heads:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, unless it is told again."""
        if self._heads:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the next request, or go on with the one that was told again."""
        if self._heads:
            self._connection.on_headers_complete()
        self._heads += 1
