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

    def knows(self, period: Period, family: Family) -> bool:
        """Whether a period and family hold any key."""
        index = self._loaded.get((period, family))
        return (period, family) in self._stored if index is None else len(index) > 0

    def of(self, period: Period, family: Family) -> FirstSeenIndex:
        """The index of a period and family, an empty one when it holds no key yet."""
        place = (period, family)
        if place not in self._loaded:
            index = FirstSeenIndex(with_identified=family == TRACKED)
            if place in self._stored:
                for block in self._store.key_blocks(period, family):
                    index.merge(block)
            self._loaded[place] = index
        return self._loaded[place]

    def load(self, first: Period, last: Period) -> None:
        """Load a range of periods now, so that no batch has to wait for it."""
        for number in range(first.number, last.number + 1):
            for family in (TRACKED, MESSAGE):
                if self.knows(Period(number), family):
                    self.of(Period(number), family)

    def sizes(self) -> dict[Family, tuple[int, int]]:
        """Keys and bytes in memory, by family."""
        return {
            family: (
                sum(len(index) for (_, of), index in self._loaded.items() if of == family),
                sum(index.nbytes for (_, of), index in self._loaded.items() if of == family),
            )
            for family in (TRACKED, MESSAGE)
        }
