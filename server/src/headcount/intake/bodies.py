"""Reads request bodies and decompresses them under bounds: takes ASGI's `receive`, gives bytes.

Refuses what is too large as soon as it is seen to be, so that neither a body without a declared
length nor a few kilobytes of gzip can fill the memory.
"""

from __future__ import annotations

import asyncio
from typing import cast

from isal import isal_zlib

from headcount.intake.asgi import Receive
from headcount.intake.reasons import Reason, Refused

__all__ = ["ClientGone", "decompress", "read_body"]

# The largest window, and a gzip header and trailer around the data.
_GZIP_WINDOW_BITS = 31

# The library's type hints take its exception class for an instance.
_GZIP_ERROR = cast(type[Exception], isal_zlib.error)


class ClientGone(Exception):
    """The client went away before its body was whole; there is nobody to answer."""


async def read_body(receive: Receive, bytes_max: int, timeout_s: float) -> bytes:
    """The whole body of a request, as it was sent.

    Args:
        receive: the request's channel.
        bytes_max: what is longer is refused.
        timeout_s: how long the client may take.

    Raises:
        Refused: the body is too large or too slow.
        ClientGone: the connection ended first.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(receive, bytes_max)
    except TimeoutError:
        raise Refused(Reason.BODY_TIMEOUT) from None


async def _read(receive: Receive, bytes_max: int) -> bytes:
    chunks: list[bytes] = []
    received_bytes = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = event.get("body", b"")
        received_bytes += len(chunk)
        if received_bytes > bytes_max:
            raise Refused(Reason.BODY_TOO_LARGE)
        chunks.append(chunk)
        if not event.get("more_body", False):
            return b"".join(chunks)


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
