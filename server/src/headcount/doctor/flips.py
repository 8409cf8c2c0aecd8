"""Finding the one bit that was flipped: takes what a row holds and the CRC-32 that it was written
with, gives the row as it was.

A checksum that only tells that something is wrong would do for finding damage. A CRC tells more:
of all rows that differ from what is there in one bit, at most one has the checksum that was stored.
What is something else altogether has such a neighbour by chance, once in 2^32 divided by the bits
of the row: for a row of counts, once in four hundred thousand. Pure: touches no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["NoText", "unflipped"]

_POLYNOMIAL = 0xEDB88320
_INTEGER_BITS = (8, 16, 24, 32, 48, 64)  # the widths in which SQLite keeps integers
_BITS_MAX = 1 << 24  # of a key block of 2 MB; a longer row takes too long to search

Values = tuple[Any, ...]


class NoText(bytes):
    """The bytes of a text that are no UTF-8 any more."""


def unflipped(
    values: Sequence[Any], stored: int, checksum: Callable[[Sequence[Any]], int]
) -> Values | None:
    """The row that one flipped bit has turned into this one; None where no such row is.

    Args:
        values: what the row holds, without its checksum; texts that are none any more as `NoText`.
        stored: its checksum, as it stands there.
        checksum: of a row's values.
    """
    whole = tuple(values)
    try:
        there = checksum(whole)
    except (TypeError, ValueError, OverflowError):
        there = None
    if there is not None and (there ^ stored).bit_count() <= 1:
        return whole  # as it was written: the bit is one of the checksum
    for at, value in enumerate(whole):
        for candidate in _neighbours(whole, at, value, stored, checksum):
            found = (*whole[:at], candidate, *whole[at + 1 :])
            try:
                if checksum(found) == stored:
                    return found
            except (TypeError, ValueError, OverflowError):
                continue
    return None


def _neighbours(
    values: Values,
    at: int,
    value: Any,
    stored: int,
    checksum: Callable[[Sequence[Any]], int],
) -> Iterator[Any]:
    """Values of a column that one bit may have turned into this one."""
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return
    if isinstance(value, int):
        yield from _integers(value)
    elif isinstance(value, NoText | str):
        data = value.encode() if isinstance(value, str) else bytes(value)
        for bit in range(8 * len(data)):
            try:
                yield _flip(data, bit).decode()
            except UnicodeDecodeError:
                continue
    elif isinstance(value, bytes) and value and 8 * len(value) <= _BITS_MAX:
        place = _bit_of(values, at, value, stored, checksum)
        if place is not None:
            yield _flip(value, place)


def _integers(value: int) -> Iterator[int]:
    for bits in _INTEGER_BITS:
        if -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            for bit in range(bits):
                flipped = (value ^ (1 << bit)) & ((1 << bits) - 1)
                yield flipped - (1 << bits) if flipped >> (bits - 1) else flipped
    yield from (0, 1)


def _flip(data: bytes, bit: int) -> bytes:
    byte = bit // 8
    return data[:byte] + bytes([data[byte] ^ 1 << bit % 8]) + data[byte + 1 :]


def _bit_of(
    values: Values,
    at: int,
    value: bytes,
    stored: int,
    checksum: Callable[[Sequence[Any]], int],
) -> int | None:
    """Which bit of a column of bytes the checksum points to; None where it points to none.

    A flipped bit changes a CRC in a way that depends on how many bits follow it, and on nothing
    else, so that one walk over all places is enough.
    """
    try:
        wanted = checksum(values) ^ stored
        last = checksum((*values[:at], _flip(value, 8 * len(value) - 1), *values[at + 1 :]))
    except (TypeError, ValueError, OverflowError):
        return None
    change = last ^ checksum(values)  # what the last bit of the column changes
    for place in range(8 * len(value) - 1, -1, -1):
        if change == wanted:
            return place
        change = change >> 1 ^ (_POLYNOMIAL if change & 1 else 0)
    return None
