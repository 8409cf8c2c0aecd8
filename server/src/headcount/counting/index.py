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

from headcount.counting.keys import (
    FINGERPRINT_BITS,
    NEVER,
    U8,
    U64,
    Family,
    KeyBlock,
    Slots,
    merged,
)

__all__ = ["FirstSeenIndex", "Probe"]

_SLOT_BITS = 32
_LOAD_MAX = 0.7
_GROWTH = 1.4
_FILL_ROOM = 1.15
_CAPACITY_MIN = 64
_SPLIT_FROM, _SPLIT_UPTO = 1 << 18, 1 << 19
_FILL_KEYS = 150_000
_FEW = 24
_SCATTER = 0x9E3779B97F4A7C15


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
        family: whose columns its keys have.
    """

    def __init__(self, prefix: int, bits: int, family: Family) -> None:
        self.prefix = prefix
        self.bits = bits
        self.family = family
        self.first = prefix << (FINGERPRINT_BITS - bits)
        self.count = 0
        self.held = KeyBlock.blank(_CAPACITY_MIN, family)
        """A key in each slot, and zero as the fingerprint of a free one."""
        # Sub-tables fill evenly; were they all split at one size, one batch would wait for all.
        scattered = (self.prefix + 1) * _SCATTER % 2**64
        self._capacity_max = _SPLIT_FROM + scattered * (_SPLIT_UPTO - _SPLIT_FROM) // 2**64

    @property
    def end(self) -> int:
        """The lowest fingerprint above those whose high bits it is for."""
        return (self.prefix + 1) << (FINGERPRINT_BITS - self.bits)

    def _homes(self, fingerprints: U64) -> Slots:
        below = FINGERPRINT_BITS - self.bits - _SLOT_BITS
        fraction = (fingerprints >> np.uint64(below)) & np.uint64((1 << _SLOT_BITS) - 1)
        capacity = np.uint64(len(self.held))
        return ((fraction * capacity) >> np.uint64(_SLOT_BITS)).astype(np.int64)

    def find(self, fingerprints: U64) -> Slots:
        """The slot of each key, or the complement of the free one where it is not here."""
        found: Slots = np.empty(len(fingerprints), np.int64)
        slots = self._homes(fingerprints)
        waiting: Slots = np.arange(len(fingerprints))
        wanted = fingerprints
        table = self.held.fingerprints
        capacity = len(table)
        while len(waiting) > _FEW:
            standing = table[slots]
            hit = standing == wanted
            free = standing == 0
            found[waiting] = np.where(hit, slots, ~slots)
            on = (~(hit | free)).nonzero()[0]
            waiting, wanted, slots = waiting[on], wanted[on], slots[on] + 1
            slots[slots == capacity] = 0
        standing_at = table.item
        rest = zip(waiting.tolist(), wanted.tolist(), slots.tolist(), strict=True)
        for place, fingerprint, home in rest:
            slot = home
            while (key := standing_at(slot)) and key != fingerprint:
                slot = slot + 1 if slot + 1 < capacity else 0
            found[place] = slot if key else ~slot
        return found

    def has_room(self, keys: int) -> bool:
        """Whether that many more keys fit in without a split."""
        return self.count + keys <= _LOAD_MAX * max(self._capacity_max, len(self.held))

    def halves(self) -> tuple[_SubTable, _SubTable]:
        """Two sub-tables with its keys, each for one more bit."""
        keys = self.block()
        lower = _SubTable(2 * self.prefix, self.bits + 1, self.family)
        upper = _SubTable(2 * self.prefix + 1, self.bits + 1, self.family)
        middle = int(np.searchsorted(keys.fingerprints, np.uint64(upper.first)))
        lower.fill(keys.part(slice(0, middle)))
        upper.fill(keys.part(slice(middle, None)))
        return lower, upper

    def insert(self, keys: KeyBlock, slots: Slots) -> None:
        """Add keys that are not here and do not repeat, from the free slots that `find` gave."""
        needed = self.count + len(keys)
        if needed > _LOAD_MAX * len(self.held):
            self._grow(needed)
            slots = self._homes(keys.fingerprints)
        self.count = needed
        self._place(keys, slots)

    def block(self) -> KeyBlock:
        """Its keys, ascending."""
        held = np.flatnonzero(self.held.fingerprints)
        # In slot order keys are almost ascending, which this kind of sort is quick with.
        order = np.argsort(self.held.fingerprints[held], kind="stable")
        return self.held.chosen(held[order])

    def fill(self, keys: KeyBlock) -> None:
        """Take ascending keys into an empty table, which gets room to grow."""
        self.count = len(keys)
        capacity = max(len(self.held), int(len(keys) / _LOAD_MAX * _FILL_ROOM) + 1)
        self._lay_out(capacity, keys)

    def _place(self, keys: KeyBlock, slots: Slots) -> None:
        """Put keys into the first free slots from those given on."""
        table, fingerprints = self.held.fingerprints, keys.fingerprints
        places: Slots = np.empty(len(keys), np.int64)
        waiting: Slots = np.arange(len(keys))
        capacity = len(table)
        while len(waiting) > _FEW:
            free = table[slots] == 0
            # Several keys may claim one free slot: the last to write holds it, the others move on.
            table[slots[free]] = fingerprints[waiting[free]]
            won = free & (table[slots] == fingerprints[waiting])
            places[waiting[won]] = slots[won]
            on = (~won).nonzero()[0]
            waiting, slots = waiting[on], slots[on] + 1
            slots[slots == capacity] = 0
        standing_at = table.item
        for number, home in zip(waiting.tolist(), slots.tolist(), strict=True):
            slot = home
            while standing_at(slot):
                slot = slot + 1 if slot + 1 < capacity else 0
            table[slot] = fingerprints[number]
            places[number] = slot
        self.held.put_days(places, keys)

    def _grow(self, needed: int) -> None:
        capacity = len(self.held)
        while needed > _LOAD_MAX * capacity:
            capacity = int(capacity * _GROWTH) + 1
        self._lay_out(capacity, self.block())

    def _lay_out(self, capacity: int, keys: KeyBlock) -> None:
        """Fill a table of a new capacity with ascending keys, in one pass.

        In ascending order each key's slot is its home or the one after its predecessor's,
        whichever is later: a running maximum.
        """
        self.held = KeyBlock.blank(capacity, self.family)
        ranks = np.arange(len(keys))
        slots = np.maximum.accumulate(self._homes(keys.fingerprints) - ranks) + ranks
        inside = int(np.searchsorted(slots, capacity))
        self.held.put(slots[:inside], keys.part(slice(0, inside)))
        # The few that run over the end go round to the beginning, as probing does.
        rest = keys.part(slice(inside, None))
        self._place(rest, np.zeros(len(rest), np.int64))


class FirstSeenIndex:
    """Keys of one period and family, with their earliest days.

    Args:
        family: whose columns its keys have.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        self._tables = [_SubTable(0, 0, family)]
        self._firsts: U64 = np.zeros(1, np.uint64)

    def __len__(self) -> int:
        """How many keys it holds."""
        return sum(table.count for table in self._tables)

    @property
    def nbytes(self) -> int:
        """Bytes of memory in its tables."""
        return sum(table.held.nbytes for table in self._tables)

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

    def probe(self, fingerprints: U64, _since_day: int = 0, /) -> Probe:
        """What is known of some keys.

        Args:
            fingerprints: ascending, each once, shape (n,), uint64, 63 bits, none zero.
            _since_day: what is from an earlier day need not be known; it is, all the same.
        """
        slots: Slots = np.empty(len(fingerprints), np.int64)
        days: U8 = np.full(len(fingerprints), NEVER, np.uint8)
        identified = days.copy()
        for table, part in self._parts(fingerprints):
            found = table.find(fingerprints[part])
            known = np.flatnonzero(found >= 0)
            slots[part] = found
            for of_day, held in zip((days, identified), table.held.of_days(), strict=False):
                of_day[part][known] = held[found[known]]
        return Probe(slots, days, identified)

    def upsert(self, keys: KeyBlock, slots: Slots) -> None:
        """Take in keys as they are now, known or not.

        Args:
            keys: new ones, and known ones with an earlier day.
            slots: what the probe just before gave for them.
        """
        known = slots >= 0
        if known.any():
            self._lower(keys.chosen(known), slots[known])
            keys, slots = keys.chosen(~known), slots[~known]
        self._insert(keys, slots)

    def _lower(self, keys: KeyBlock, slots: Slots) -> None:
        """Set earlier days of known keys, where they stand."""
        for table, part in self._parts(keys.fingerprints):
            table.held.put_days(slots[part], keys.part(part))

    def _insert(self, keys: KeyBlock, slots: Slots) -> None:
        """Add unknown keys, from where the probe for them ended."""
        while self._make_room(keys.fingerprints):
            slots = self.probe(keys.fingerprints).slots
        for table, part in self._parts(keys.fingerprints):
            table.insert(keys.part(part), ~slots[part])

    def blocks(self) -> Iterator[KeyBlock]:
        """Its keys, ascending over all blocks, one block for each sub-table.

        Keys that are inserted between two blocks may or may not come in those that follow.
        """
        first = 0
        while first < 1 << FINGERPRINT_BITS:
            # Looked up anew, since sub-tables are split meanwhile: whoever held on to the former
            # ones would keep their memory.
            table = self._tables[int(np.searchsorted(self._firsts, np.uint64(first)))]
            yield table.block()
            first = table.end

    def fill(self, blocks: Sequence[KeyBlock]) -> None:
        """Take many keys into an index that holds none, three times as fast as by `upsert`.

        Args:
            blocks: ascending each; a key may stand in several, and has the minimum of its days.
        """
        keys = sum(map(len, blocks))
        bits = max(0, math.ceil(math.log2(max(keys, 1) / _FILL_KEYS)))
        self._tables = [_SubTable(prefix, bits, self._family) for prefix in range(1 << bits)]
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
