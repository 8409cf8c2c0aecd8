"""Reads request bodies and decompresses them under bounds: takes ASGI's `receive`, gives bytes.

Refuses what is too large as soon as it is seen to be, so that neither a body without a declared
length nor a few kilobytes of gzip can fill the memory; and what does not arrive in time.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from isal import isal_zlib

from headcount.intake.asgi import Receive
from headcount.intake.reasons import Reason, Refused

__all__ = ["BodyReader", "ClientGone", "decompress"]

# The largest window, and a gzip header and trailer around the data.
_GZIP_WINDOW_BITS = 31

# The library's type hints take its exception class for an instance.
_GZIP_ERROR = cast(type[Exception], isal_zlib.error)


class ClientGone(Exception):
    """The client went away before its body was whole; there is nobody to answer."""


class BodyReader:
    """Reads bodies, many at a time, in one event loop.

    One timer serves all of them, set to when the oldest is due: a timer for each would cost a
    tenth of all the work for a small request.

    Args:
        bytes_max: a body that is longer is refused.
        timeout_s: how long a client may take to send one.
    """

    def __init__(self, bytes_max: int, timeout_s: float) -> None:
        self._bytes_max = bytes_max
        self._timeout_s = timeout_s
        # Tasks that are reading, oldest first, each with the loop's time at which it is due.
        self._due_at: dict[asyncio.Task[Any], float] = {}
        self._expired: set[asyncio.Task[Any]] = set()
        self._timer_runs = False

    async def read(self, receive: Receive) -> bytes:
        """The whole body of a request, as it was sent.

        Raises:
            Refused: the body is too large or too slow.
            ClientGone: the connection ended first.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._due_at[task] = loop.time() + self._timeout_s
        if not self._timer_runs:
            self._timer_runs = True
            loop.call_later(self._timeout_s, self._expire, loop)
        try:
            return await self._read(receive)
        except asyncio.CancelledError:
            if task not in self._expired:
                raise
            task.uncancel()
            raise Refused(Reason.BODY_TIMEOUT) from None
        finally:
            self._due_at.pop(task, None)
            self._expired.discard(task)

    async def _read(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        received_bytes = 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientGone
            chunk: bytes = event.get("body", b"")
            received_bytes += len(chunk)
            if received_bytes > self._bytes_max:
                raise Refused(Reason.BODY_TOO_LARGE)
            chunks.append(chunk)
            if not event.get("more_body", False):
                return b"".join(chunks)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the reads that are due, and come back when the next one is."""
        now = loop.time()
        due = [task for task, due_at in self._due_at.items() if due_at <= now]
        for task in due:
            del self._due_at[task]
            self._expired.add(task)
            task.cancel()
        self._timer_runs = bool(self._due_at)
        if self._due_at:
            loop.call_at(next(iter(self._due_at.values())), self._expire, loop)


def decompress(body: bytes, encoding: bytes, bytes_max: int) -> bytes:
    """A body without its content encoding.

    Args:
        body: as it was sent.
        encoding: the value of Content-Encoding, empty when there was none.
        bytes_max: what is longer afterwards is refused, and never unpacked whole.

    Raises:
        Refused: the encoding is not gzip, the data is not what it says, or it is too large.
    """
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name not in (b"gzip", b"x-gzip"):
        raise Refused(Reason.UNSUPPORTED_ENCODING)
    inflate = isal_zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)
    try:
        unpacked: bytes = inflate.decompress(body, bytes_max + 1)
    except _GZIP_ERROR:
        raise Refused(Reason.INVALID_GZIP) from None
    if len(unpacked) > bytes_max:
        raise Refused(Reason.BODY_TOO_LARGE)
    # No client sends several members, and a body of many tiny ones would be dear to unpack.
    if not inflate.eof or inflate.unused_data:
        raise Refused(Reason.INVALID_GZIP)
    return unpacked
