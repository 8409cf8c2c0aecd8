"""The first-seen indexes of all periods, loaded from the store when they are first asked for.

Takes key blocks from a store, gives indexes to the fold; owns the memory they take.
"""

from __future__ import annotations

from headcount.metering.calendar import Period
from headcount.metering.index import FirstSeenIndex
from headcount.metering.keys import MESSAGE, TRACKED, Family
from headcount.store.protocol import MeterStore

__all__ = ["Indexes"]


class Indexes:
    """One index for each period and family that holds keys.

    Args:
        store: where the keys of a period are read from, the first time somebody asks for it.
    """

    def __init__(self, store: MeterStore) -> None:
        self._store = store
        self._stored = set(store.key_periods())
        self._loaded: dict[tuple[Period, Family], FirstSeenIndex] = {}

    def get(self, period: Period, family: Family) -> FirstSeenIndex | None:
        """The index of a period and family; None when it holds nothing."""
        place = (period, family)
        if place not in self._loaded and place in self._stored:
            index = FirstSeenIndex(with_identified=family == TRACKED)
            for block in self._store.key_blocks(period, family):
                index.merge(block.fingerprints, block.days, block.identified_days)
            self._loaded[place] = index
        return self._loaded.get(place)

    def get_or_make(self, period: Period, family: Family) -> FirstSeenIndex:
        """The index of a period and family, empty when it holds nothing yet."""
        index = self.get(period, family)
        if index is None:
            index = FirstSeenIndex(with_identified=family == TRACKED)
            self._loaded[period, family] = index
        return index

    def load(self, first: Period, last: Period) -> None:
        """Load a range of periods now, so that no batch has to wait for it."""
        for number in range(first.number, last.number + 1):
            for family in (TRACKED, MESSAGE):
                self.get(Period(number), family)

    def sizes(self) -> dict[Family, tuple[int, int]]:
        """Keys and bytes in memory, by family."""
        return {
            family: (
                sum(len(index) for (_, of), index in self._loaded.items() if of == family),
                sum(index.nbytes for (_, of), index in self._loaded.items() if of == family),
            )
            for family in (TRACKED, MESSAGE)
        }
