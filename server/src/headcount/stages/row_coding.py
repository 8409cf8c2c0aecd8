"""Rows of one width with what they have in common said once: half of what a log would carry.

Facts of one moment and source differ in their hashes and little else. So the first row stands
there whole, and of all rows only the bytes that are not the same in each.

    1 byte   width of a row; 0 where the data follows as it is
    4 bytes  how many rows
    width    the first row
    width/8  which of its bytes differ in other rows, a bit each
    ...      of each row those bytes
"""

from __future__ import annotations

import struct

import numpy as np

__all__ = ["coded_rows", "decoded_rows"]

_HEAD = struct.Struct("<BI")
_WORD = 8
_AS_IT_IS = b"\0"
_ROWS_MAX = 1 << 24


def coded_rows(data: bytes, width: int) -> bytes:
    """Rows as they are published.

    Args:
        data: rows; anything that is not whole rows stays as it is.
        width: of a row, a multiple of eight below 256; 0 where nobody knows of rows.
    """
    if not width or not data or len(data) % width:
        return _AS_IT_IS + data
    words = np.frombuffer(data, "<u8").reshape(-1, width // _WORD)
    differing = np.bitwise_or.reduce(words ^ words[0], axis=0).view(np.uint8) != 0
    rows = np.frombuffer(data, np.uint8).reshape(-1, width)
    return b"".join(
        [
            _HEAD.pack(width, len(rows)),
            data[:width],
            np.packbits(differing).tobytes(),
            np.take(rows, np.flatnonzero(differing), axis=1).tobytes(),
        ]
    )


def decoded_rows(coded: memoryview) -> bytes:
    """The data of `coded_rows`.

    Raises:
        ValueError: it is none.
    """
    if coded[:1] == _AS_IT_IS:
        return bytes(coded[1:])
    if len(coded) < _HEAD.size:
        raise ValueError("its rows are cut off")
    width, count = _HEAD.unpack_from(coded)
    at = _HEAD.size + width + width // _WORD
    if width % _WORD or len(coded) < at or count > _ROWS_MAX:
        raise ValueError("it has no rows of this width")
    mask = np.frombuffer(coded[_HEAD.size + width : at], np.uint8)
    differing = np.flatnonzero(np.unpackbits(mask))
    if len(coded) - at != count * len(differing):
        raise ValueError("it has another number of rows than it says")
    rows = np.empty((count, width), np.uint8)
    rows[:] = np.frombuffer(coded[_HEAD.size : _HEAD.size + width], np.uint8)
    rows[:, differing] = np.frombuffer(coded[at:], np.uint8).reshape(count, len(differing))
    return rows.tobytes()
