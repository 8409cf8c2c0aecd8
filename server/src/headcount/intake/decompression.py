"""Takes the content encoding off bodies, under bounds: bytes in, bytes out.

Refuses what is too large as soon as it is seen to be, so that no few kilobytes of gzip can fill the
memory.
"""

from __future__ import annotations

from typing import cast

from isal import isal_zlib

from headcount.intake.reasons import Reason, Refused
from headcount.intake.work import Work

__all__ = ["GZIP_MEMBERS_MAX", "decompress"]

GZIP_MEMBERS_MAX = 1_000
"""How many gzip members a body may have."""

# The largest window, and a gzip header and trailer around the data.
_GZIP_WINDOW_BITS = 31
_PACKED_BYTES = 1 << 14
_UNPACKED_BYTES = 1 << 18

# The library's type hints take its exception class for an instance.
_GZIP_ERROR = cast(type[Exception], isal_zlib.error)


def decompress(body: bytes, encoding: bytes, bytes_max: int) -> Work[bytes]:
    """A body without its content encoding.

    A gzip body may have several members (RFC 1952), as forwarders make them that join what they
    have gathered; zeros after a member are passed over, as the gzip program does.

    Args:
        body: as it was sent.
        encoding: the value of Content-Encoding, empty when there was none.
        bytes_max: what is longer afterwards, all members together, is refused, and never unpacked
            whole.

    Raises:
        Refused: the encoding is not gzip, the data is not what it says, has too many members, or is
            too large.
    """
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name not in (b"gzip", b"x-gzip"):
        raise Refused(Reason.UNSUPPORTED_ENCODING)
    try:
        return (yield from _unpacked(body, bytes_max))
    except _GZIP_ERROR:
        raise Refused(Reason.INVALID_GZIP) from None


def _unpacked(body: bytes, bytes_max: int) -> Work[bytes]:
    parts: list[bytes] = []
    unpacked_bytes = members = read_bytes = 0
    member: isal_zlib.Decompress | None = None
    # What was read of the body in pieces and is still to be unpacked: of one piece little is copied
    # when a member ends in it, of the whole body much would be, again and again.
    packed = b""
    may_hold_more = False
    while True:
        if member is None and members:
            packed = packed.lstrip(b"\0")
        if not packed and not may_hold_more:
            packed = body[read_bytes : read_bytes + _PACKED_BYTES]
            read_bytes += len(packed)
            if not packed:
                break
            continue
        if member is None:
            members += 1
            if members > GZIP_MEMBERS_MAX:
                raise Refused(Reason.TOO_MANY_GZIP_MEMBERS)
            member = isal_zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)
        room = min(_UNPACKED_BYTES, bytes_max + 1 - unpacked_bytes)
        part = member.decompress(packed, room)
        parts.append(part)
        unpacked_bytes += len(part)
        if unpacked_bytes > bytes_max:
            raise Refused(Reason.BODY_TOO_LARGE)
        may_hold_more = len(part) == room and not member.eof
        packed = member.unconsumed_tail
        if member.eof:
            packed = member.unused_data
            member = None
        if may_hold_more:
            yield
    if member is not None or not members:
        raise Refused(Reason.INVALID_GZIP)
    return b"".join(parts)
