"""Takes the content encoding off bodies, under bounds: bytes in, bytes out.

Refuses what is too large as soon as it is seen to be, so that no few kilobytes of gzip can fill the
memory.
"""

from __future__ import annotations

from typing import cast

from isal import isal_zlib

from headcount.intake.reasons import Reason, Refused

__all__ = ["decompress"]

# The largest window, and a gzip header and trailer around the data.
_GZIP_WINDOW_BITS = 31

# The library's type hints take its exception class for an instance.
_GZIP_ERROR = cast(type[Exception], isal_zlib.error)


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
