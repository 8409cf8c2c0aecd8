"""The first-seen index: which keys a period has seen, and since which day.

Takes key fingerprints in ascending order, says which are known and since when; remembers new ones
and earlier days. It never decides what counts, and it forgets everything with its process: the
store's key blocks are what it is rebuilt from.

Theory of operation. Fingerprints are uniform (they come from a keyed hash), so a fingerprint's
high bits name a sub-table and the bits below them name its home slot, in ascending order: a batch
that is sorted walks memory from front to back. Collisions go to the next free slot. Work is done
on whole arrays, a loop turning once for each step of a probe; the few keys whose probes are long
are finished one by one. There is one sub-table at first; one that has become large is split in two
instead of growing on, each at a size of its own, so that no batch ever waits for a large rebuild.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.keys import FINGERPRINT_BITS, NEVER, U8, U64, KeyBlock, merged

__all__ = ["FirstSeenIndex", "Probe", "Slots"]

_SLOT_BITS = 32
_LOAD_MAX = 0.7
_GROWTH = 1.4
_FILL_ROOM = 1.15
_CAPACITY_MIN = 64
_SPLIT_FROM, _SPLIT_UPTO = 1 << 18, 1 << 19
_FILL_KEYS = 150_000
_FEW = 24
_SCATTER = 0x9E3779B97F4A7C15

Slots = npt.NDArray[np.int64]


class Probe(NamedTuple):
    """What the index knows of the keys of one probe; all arrays have their shape.

    Attributes:
        slots: where each known key stands, or the complement (`~slot`, negative) of the free slot
            at which the search for an unknown one ended; valid until the next insert.
        days: first day of each known key, `NEVER` for an unknown one.
        identified_days: first day with a userId, `NEVER` where there was none.
    """

    slots: Slots
    days: U8
    identified_days: U8


class _SubTable:
    """Open addressing with linear probing over the keys that share their high bits.

    Args:
        prefix: those bits.
        bits: how many they are.
        with_identified: whether keys have identified days.
    """

    def __init__(self, prefix: int, bits: int, with_identified: bool) -> None:
        self.prefix = prefix
        self.bits = bits
        self.first = prefix << (FINGERPRINT_BITS - bits)
        self.count = 0
        self.fingerprints: U64 = np.zeros(_CAPACITY_MIN, np.uint64)
        self.days: U8 = np.empty(_CAPACITY_MIN, np.uint8)
        self.identified: U8 | None = np.empty(_CAPACITY_MIN, np.uint8) if with_identified else None
        # Sub-tables fill evenly; were they all split at one size, one batch would wait for all.
        scattered = (self.prefix + 1) * _SCATTER % 2**64
        self._capacity_max = _SPLIT_FROM + scattered * (_SPLIT_UPTO - _SPLIT_FROM) // 2**64

    @property
    def nbytes(self) -> int:
        identified = 0 if self.identified is None else self.identified.nbytes
        return self.fingerprints.nbytes + self.days.nbytes + identified

    @property
    def end(self) -> int:
        """The lowest fingerprint above those whose high bits it is for."""
        return (self.prefix + 1) << (FINGERPRINT_BITS - self.bits)

    def _homes(self, fingerprints: U64) -> Slots:
        below = FINGERPRINT_BITS - self.bits - _SLOT_BITS
        fraction = (fingerprints >> np.uint64(below)) & np.uint64((1 << _SLOT_BITS) - 1)
        capacity = np.uint64(len(self.fingerprints))
        return ((fraction * capacity) >> np.uint64(_SLOT_BITS)).astype(np.int64)

    def find(self, fingerprints: U64) -> Slots:
        """The slot of each key, or the complement of the free one where it is not here."""
        found: Slots = np.empty(len(fingerprints), np.int64)
        slots = self._homes(fingerprints)
        waiting: Slots = np.arange(len(fingerprints))
        wanted = fingerprints
        capacity = len(self.fingerprints)
        while len(waiting) > _FEW:
            standing = self.fingerprints[slots]
            hit = standing == wanted
            free = standing == 0
            found[waiting] = np.where(hit, slots, ~slots)
            on = (~(hit | free)).nonzero()[0]
            waiting, wanted, slots = waiting[on], wanted[on], slots[on] + 1
            slots[slots == capacity] = 0
        standing_at = self.fingerprints.item
        rest = zip(waiting.tolist(), wanted.tolist(), slots.tolist(), strict=True)
        for place, fingerprint, home in rest:
            slot = home
            while (key := standing_at(slot)) and key != fingerprint:
                slot = slot + 1 if slot + 1 < capacity else 0
            found[place] = slot if key else ~slot
        return found

    def has_room(self, keys: int) -> bool:
        """Whether that many more keys fit in without a split."""
        return self.count + keys <= _LOAD_MAX * max(self._capacity_max, len(self.fingerprints))

    def halves(self) -> tuple[_SubTable, _SubTable]:
        """Two sub-tables with its keys, each for one more bit."""
        keys = self.block()
        with_identified = self.identified is not None
        lower = _SubTable(2 * self.prefix, self.bits + 1, with_identified)
        upper = _SubTable(2 * self.prefix + 1, self.bits + 1, with_identified)
        middle = int(np.searchsorted(keys.fingerprints, np.uint64(upper.first)))
        lower.fill(keys.part(slice(0, middle)))
        upper.fill(keys.part(slice(middle, None)))
        return lower, upper

    def insert(self, fingerprints: U64, slots: Slots, days: U8, identified: U8 | None) -> None:
        """Add keys that are not here and do not repeat, from the free slots that `find` gave."""
        needed = self.count + len(fingerprints)
        if needed > _LOAD_MAX * len(self.fingerprints):
            self._grow(needed)
            slots = self._homes(fingerprints)
        self.count = needed
        self._place(fingerprints, slots, days, identified)

    def block(self) -> KeyBlock:
        """Its keys, ascending."""
        held = np.flatnonzero(self.fingerprints)
        # In slot order keys are almost ascending, which this kind of sort is quick with.
        order = held[np.argsort(self.fingerprints[held], kind="stable")]
        identified = None if self.identified is None else self.identified[order]
        return KeyBlock(self.fingerprints[order], self.days[order], identified)

    def fill(self, keys: KeyBlock) -> None:
        """Take ascending keys into an empty table, which gets room to grow."""
        self.count = len(keys)
        capacity = max(len(self.fingerprints), int(len(keys) / _LOAD_MAX * _FILL_ROOM) + 1)
        self._lay_out(capacity, keys)

    def _place(self, fingerprints: U64, slots: Slots, days: U8, identified: U8 | None) -> None:
        """Put keys into the first free slots from those given on."""
        waiting: Slots = np.arange(len(fingerprints))
        capacity = len(self.fingerprints)
        while len(waiting) > _FEW:
            free = self.fingerprints[slots] == 0
            # Several keys may claim one free slot: the last to write holds it, the others move on.
            self.fingerprints[slots[free]] = fingerprints[waiting[free]]
            won = free & (self.fingerprints[slots] == fingerprints[waiting])
            winners, places = waiting[won], slots[won]
            self.days[places] = days[winners]
            if self.identified is not None and identified is not None:
                self.identified[places] = identified[winners]
            on = (~won).nonzero()[0]
            waiting, slots = waiting[on], slots[on] + 1
            slots[slots == capacity] = 0
        standing_at = self.fingerprints.item
        for place, home in zip(waiting.tolist(), slots.tolist(), strict=True):
            slot = home
            while standing_at(slot):
                slot = slot + 1 if slot + 1 < capacity else 0
            self.fingerprints[slot] = fingerprints[place]
            self.days[slot] = days[place]
            if self.identified is not None and identified is not None:
                self.identified[slot] = identified[place]

    def _grow(self, needed: int) -> None:
        capacity = len(self.fingerprints)
        while needed > _LOAD_MAX * capacity:
            capacity = int(capacity * _GROWTH) + 1
        self._lay_out(capacity, self.block())

    def _lay_out(self, capacity: int, keys: KeyBlock) -> None:
        """Fill a table of a new capacity with ascending keys, in one pass.

        In ascending order each key's slot is its home or the one after its predecessor's,
        whichever is later: a running maximum.
        """
        self.fingerprints = np.zeros(capacity, np.uint64)
        self.days = np.empty(capacity, np.uint8)
        self.identified = None if keys.identified_days is None else np.empty(capacity, np.uint8)
        ranks = np.arange(len(keys))
        slots = np.maximum.accumulate(self._homes(keys.fingerprints) - ranks) + ranks
        inside = int(np.searchsorted(slots, capacity))
        self.fingerprints[slots[:inside]] = keys.fingerprints[:inside]
        self.days[slots[:inside]] = keys.days[:inside]
        if self.identified is not None and keys.identified_days is not None:
            self.identified[slots[:inside]] = keys.identified_days[:inside]
        # The few that run over the end go round to the beginning, as probing does.
        rest = slice(inside, None)
        self._place(
            keys.fingerprints[rest],
            np.zeros(len(keys) - inside, np.int64),
            keys.days[rest],
            None if keys.identified_days is None else keys.identified_days[rest],
        )


class FirstSeenIndex:
    """Keys of one period and family, with their earliest days.

    Args:
        with_identified: also keep, for each key, the first day it was seen with a userId.
    """

    def __init__(self, *, with_identified: bool) -> None:
        self._with_identified = with_identified
        self._tables = [_SubTable(0, 0, with_identified)]
        self._firsts: U64 = np.zeros(1, np.uint64)

    def __len__(self) -> int:
        """How many keys it holds."""
        return sum(table.count for table in self._tables)

    @property
    def nbytes(self) -> int:
        """Bytes of memory in its tables."""
        return sum(table.nbytes for table in self._tables)

    def _bounds(self, fingerprints: U64) -> Iterator[tuple[_SubTable, int, int]]:
        """Each sub-table, with where its part of some ascending fingerprints starts and stops."""
        bounds = [*np.searchsorted(fingerprints, self._firsts).tolist(), len(fingerprints)]
        return zip(self._tables, bounds, bounds[1:], strict=False)

    def _parts(self, fingerprints: U64) -> Iterator[tuple[_SubTable, slice]]:
        """Each sub-table that the ascending fingerprints touch, with their slice for it."""
        for table, start, stop in self._bounds(fingerprints):
            if start < stop:
                yield table, slice(start, stop)

    def _make_room(self, fingerprints: U64) -> bool:
        """Split sub-tables that would become too large; whether any was."""
        tables: list[_SubTable] = []
        for table, start, stop in self._bounds(fingerprints):
            tables += [table] if table.has_room(stop - start) else table.halves()
        if len(tables) == len(self._tables):
            return False
        self._tables = tables
        self._firsts = np.array([table.first for table in tables], np.uint64)
        return True

    def probe(self, fingerprints: U64) -> Probe:
        """What is known of some keys.

        Args:
            fingerprints: ascending, each once, shape (n,), uint64, 63 bits, none zero.
        """
        slots: Slots = np.empty(len(fingerprints), np.int64)
        days: U8 = np.full(len(fingerprints), NEVER, np.uint8)
        identified = days.copy()
        for table, part in self._parts(fingerprints):
            found = table.find(fingerprints[part])
            known = np.flatnonzero(found >= 0)
            slots[part] = found
            days[part][known] = table.days[found[known]]
            if table.identified is not None:
                identified[part][known] = table.identified[found[known]]
        return Probe(slots, days, identified)

    def lower(self, fingerprints: U64, slots: Slots, days: U8, identified: U8 | None) -> None:
        """Set earlier days of known keys.

        Args:
            fingerprints: ascending, each once.
            slots: where they stand, from the probe just before.
            days: their new first days.
            identified: their new first days with a userId; None if the index has none.
        """
        for table, part in self._parts(fingerprints):
            table.days[slots[part]] = days[part]
            if table.identified is not None and identified is not None:
                table.identified[slots[part]] = identified[part]

    def insert(self, fingerprints: U64, slots: Slots, days: U8, identified: U8 | None) -> None:
        """Add unknown keys.

        Args:
            fingerprints: ascending, each once.
            slots: what the probe just before gave for them.
            days: their first days.
            identified: their first days with a userId; None if the index has none.
        """
        while self._make_room(fingerprints):
            slots = self.probe(fingerprints).slots
        for table, part in self._parts(fingerprints):
            table.insert(
                fingerprints[part],
                ~slots[part],
                days[part],
                None if identified is None else identified[part],
            )

    def learn(self, block: KeyBlock, slots: Slots) -> None:
        """Take in keys as they are now, known or not.

        Args:
            block: new keys, and known ones with an earlier day.
            slots: what the probe just before gave for them.
        """
        known = slots >= 0
        if known.any():
            lowered = block.chosen(known)
            self.lower(lowered.fingerprints, slots[known], lowered.days, lowered.identified_days)
            block, slots = block.chosen(~known), slots[~known]
        self.insert(block.fingerprints, slots, block.days, block.identified_days)

    def blocks(self) -> Iterator[KeyBlock]:
        """Its keys, ascending over all blocks, one block for each sub-table.

        Keys that are learned between two blocks may or may not come in those that follow.
        """
        first = 0
        while first < 1 << FINGERPRINT_BITS:
            # Looked up anew, since sub-tables are split meanwhile: whoever held on to the former
            # ones would keep their memory.
            table = self._tables[int(np.searchsorted(self._firsts, np.uint64(first)))]
            yield table.block()
            first = table.end

    def fill(self, blocks: Sequence[KeyBlock]) -> None:
        """Take many keys into an index that holds none, three times as fast as by learning.

        Args:
            blocks: ascending each; a key may stand in several, and has the minimum of its days.
        """
        keys = sum(map(len, blocks))
        bits = max(0, math.ceil(math.log2(max(keys, 1) / _FILL_KEYS)))
        self._tables = [
            _SubTable(prefix, bits, self._with_identified) for prefix in range(1 << bits)
        ]
        self._firsts = np.array([table.first for table in self._tables], np.uint64)
        parts: list[list[KeyBlock]] = [[] for _ in self._tables]
        for block in blocks:
            for number, (_, start, stop) in enumerate(self._bounds(block.fingerprints)):
                if start < stop:
                    parts[number].append(block.part(slice(start, stop)))
        # A sub-table is laid out once, with all keys of its range: were it begun with the lowest
        # of them, these would crowd at its beginning.
        for table, own in zip(self._tables, parts, strict=True):
            if own:
                table.fill(merged(own))
