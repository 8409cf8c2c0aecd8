"""The parts of a run file as former versions wrote them: columns, eight bytes a key and its days.

Takes a mapped file, gives blocks and, more slowly than today's runs, days of message keys. Nothing
is written like this any more: a run of message ids is written anew soon after it was opened, one
of tracked ids as soon as there are more of them.

Layout, little-endian: a header (magic, offset of the directory, whether there are identified days,
parts), then for each part its fingerprints, days and identified days, each padded to 8 bytes, and
words of a filter that nobody asks any more; then words that are left; then the directory (offset,
keys, first key and words of each part, the same of what was left, checksum).
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from headcount.counting.keys import (
    COLUMN_TYPES,
    FINGERPRINT_BITS,
    MESSAGE,
    NEVER,
    TRACKED,
    U8,
    U64,
    KeyBlock,
)

__all__ = ["MAGIC", "ColumnParts"]

MAGIC = b"HCRUN\0\0\2"
"""With these bytes such a file begins."""

_HEADER = np.dtype([("magic", "V8"), ("directory", "<u8"), ("identified", "<u8"), ("parts", "<u8")])
_PART = np.dtype([("offset", "<u8"), ("keys", "<u8"), ("first", "<u8"), ("words", "<u8")])
_CHECKSUM_BYTES = 16
_PADDING = 8
_SPREAD = 2  # four standard deviations of where a uniform key stands, each half of a root


class ColumnParts:
    """The parts of such a file; see `RunParts` in `runs`.

    Args:
        mapped: the file.

    Raises:
        ValueError: it is none, or not as long as it says.
    """

    former = True
    of_days = None
    resident_bytes = held_bytes = 0

    def __init__(self, mapped: mmap.mmap) -> None:
        self._map = mapped
        header = np.frombuffer(mapped, _HEADER, 1)[0]
        if header["identified"] > 1:
            raise ValueError("it is not a run file")
        self._columns = COLUMN_TYPES[TRACKED if header["identified"] else MESSAGE]
        self._directory = int(header["directory"])
        table = np.frombuffer(mapped, _PART, int(header["parts"]) + 1, self._directory)
        self._table = table.copy()
        self._require_a_chain()
        self._firsts = self._table["first"][:-1].astype(np.uint64)
        self.keys = int(self._table["keys"].sum())
        self.checked = (_HEADER.itemsize, self._directory)

    def _require_a_chain(self) -> None:
        """See that the parts fill the file without a gap, so that no look goes astray.

        Raises:
            ValueError: header and directory do not say what was written.
        """
        at = _HEADER.itemsize
        for offset, keys, _, words in self._table.tolist():
            if offset != at:
                raise ValueError("its parts do not follow one another")
            at += self._columns_bytes(keys) + 8 * words
        if self._table["keys"][-1] or self._table["first"][-1]:
            raise ValueError("its last part is no filter")
        if at != self._directory or at + self._table.nbytes + _CHECKSUM_BYTES != len(self._map):
            raise ValueError("it is not as long as its parts")

    def _columns_bytes(self, keys: int) -> int:
        return sum(_padded(keys * np.dtype(kind).itemsize) for kind in self._columns)

    def __len__(self) -> int:
        return len(self._firsts)

    def span(self, part: int) -> tuple[int, int]:
        """Where the keys of a part stand: offset and length in bytes."""
        offset, keys = self._table[["offset", "keys"]][part].tolist()
        return offset, self._columns_bytes(keys)

    def block(self, part: int) -> KeyBlock:
        """The keys of a part."""
        at, keys = self._table[["offset", "keys"]][part].tolist()
        columns: list[Any] = []
        for kind in self._columns:
            columns.append(np.frombuffer(self._map, kind, keys, at))
            at += _padded(columns[-1].nbytes)
        return KeyBlock(*columns)

    def hold(self) -> None:
        """There is nothing to be kept in memory."""

    def release(self) -> None:
        """There is nothing to let go of."""

    def is_in_place(self) -> bool:
        """Whether the directory, which is in no checksum, has the keys that stand in the parts."""
        firsts = self._keys_at(self._table["offset"][:-1] // 8)
        return bool((firsts == self._firsts).all())

    def look_up(self, fingerprints: U64) -> tuple[U8, int]:
        """Days of message keys, `NEVER` where they are not here; and how many were looked for."""
        days: U8 = np.full(len(fingerprints), NEVER, np.uint8)
        parts = np.searchsorted(self._firsts, fingerprints, side="right") - 1
        inside = np.flatnonzero(parts >= 0)
        wanted, parts = fingerprints[inside], parts[inside]
        if len(inside):
            bounds = self._table[parts]
            places = self._search(wanted, parts)
            hit = self._keys_at(bounds["offset"] // 8 + places) == wanted
            at_days = (bounds["offset"] + 8 * bounds["keys"] + places)[hit]
            days[inside[hit]] = np.frombuffer(self._map, np.uint8)[at_days]
        return days, len(inside)

    def _keys_at(self, places: U64) -> U64:
        # Everything before the directory is padded to 8 bytes, and the file to as many.
        held: U64 = np.frombuffer(self._map, "<u8")[places]
        return held

    def _search(self, wanted: U64, parts: npt.NDArray[np.intp]) -> U64:
        """Where in its part the last key stands that is not above each key; all at once.

        Keys are uniform, so where one stands can be guessed to some hundred places: what is then
        looked at are one or two pages of the file, and not one for each halving of a part.
        """
        start = self._table["offset"][parts] // 8
        keys = self._table["keys"][parts]
        ends = np.r_[self._firsts[1:], np.uint64(1 << FINGERPRINT_BITS)]
        below = (wanted - self._firsts[parts]).astype(np.float64)
        spans = (ends[parts] - self._firsts[parts]).astype(np.float64)
        guess = below / spans * keys
        spread = _SPREAD * np.sqrt(keys) + 1
        low = np.clip(guess - spread, 0, keys - np.uint64(1)).astype(np.uint64)
        high = np.clip(guess + spread, 1, keys).astype(np.uint64)
        low[self._keys_at(start + low) > wanted] = 0
        high[self._keys_at(start + high - np.uint64(1)) <= wanted] = 0
        high[high == 0] = keys[high == 0]
        while (high - low).max() > 1:
            middle = (low + high) // np.uint64(2)
            above = self._keys_at(start + middle) > wanted
            high, low = np.where(above, middle, high), np.where(above, low, middle)
        found: U64 = low
        return found


def _padded(nbytes: int) -> int:
    return nbytes + -nbytes % _PADDING
