"""Counts occurrences of equal things: takes digests one by one, gives how often each has come.

A file may hold a hundred million records that bring no id, nearly all of them different, so each
first one costs a slot of eight bytes and no object; only those that come again cost more.
"""

from __future__ import annotations

from array import array
from collections import Counter

__all__ = ["OccurrenceCounter"]

_SLOTS_FIRST = 1 << 10
_EMPTY, _ZERO_STAND_IN = 0, 1


class OccurrenceCounter:
    """Eight bytes of each digest, in a table with open addressing.

    Should two things ever share those, one gets a number that is too high by one, and is still the
    same whenever the same things come in the same order.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _SLOTS_FIRST))
        self._used = 0
        self._again: Counter[int] = Counter()

    def next(self, digest: bytes) -> int:
        """1 for a digest (eight bytes or more) that is new, 2 when it comes again, and so on."""
        value = int.from_bytes(digest[:8], "little") or _ZERO_STAND_IN
        slots = self._slots
        mask = len(slots) - 1
        at = value & mask
        while held := slots[at]:
            if held == value:
                self._again[value] += 1
                return self._again[value] + 1
            at = (at + 1) & mask
        slots[at] = value
        self._used += 1
        if self._used * 3 > len(slots) * 2:
            self._grow()
        return 1

    def _grow(self) -> None:
        former = self._slots
        self._slots = slots = array("Q", bytes(16 * len(former)))
        mask = len(slots) - 1
        for value in former:
            if value != _EMPTY:
                at = value & mask
                while slots[at]:
                    at = (at + 1) & mask
                slots[at] = value
