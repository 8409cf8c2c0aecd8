"""Takes a deadline; gives urllib3 pools whose reads stop at it, however slowly bytes drip in.

urllib3's read timeout bounds the pause between two bytes, so a server that sends one byte at a time
could hold a call for ever. Here every read from the socket gets the time that is left.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import queue
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ends_at: ContextVar[float | None] = ContextVar("_ends_at", default=None)


@contextlib.contextmanager
def reads_end_within(seconds: float | None) -> Iterator[None]:
    """Inside the block, reads from connections of this module fail once `seconds` are over."""
    token = _ends_at.set(None if seconds is None else time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


class _BoundedReader(io.RawIOBase):
    """The reading side of a socket; raises `TimeoutError` at the deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        ends_at = _ends_at.get()
        if ends_at is not None:
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the time for this request is over")
            pause_s = self._sock.gettimeout()
            if pause_s is None or left_s < pause_s:
                self._sock.settimeout(left_s)
        return cast("int | None", self._raw.readinto(buffer))

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_BoundedReader(raw, sock))


class _BoundedHTTPConnection(HTTPConnection):
    response_class = _BoundedResponse


class _BoundedHTTPSConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _OwnQueue(queue.LifoQueue[Any]):
    """The idle connections of a pool; empty for every process but the one that opened them.

    urllib3 empties its pools when a process ends. In a forked child that would wait for a lock
    which another thread of the parent may have held at the fork, for ever.
    """

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._process = os.getpid()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if os.getpid() != self._process:
            raise queue.Empty
        return super().get(block, timeout)


class _BoundedHTTPPool(HTTPConnectionPool):
    QueueCls = _OwnQueue
    ConnectionCls = _BoundedHTTPConnection


class _BoundedHTTPSPool(HTTPSConnectionPool):
    QueueCls = _OwnQueue
    ConnectionCls = _BoundedHTTPSConnection


POOL_CLASSES = {"http": _BoundedHTTPPool, "https": _BoundedHTTPSPool}
