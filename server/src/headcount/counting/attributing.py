"""Attributing what is new in a batch to the messages that brought it first.

Takes, of a month of facts, which of them were the first to bring something, and gives their
contributions. Only what is new is looked at, so that a batch of ids that are known costs little.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.attributes import MOVED, NUMBER_SHIFT, RESERVED
from headcount.counting.batch import MonthOfFacts
from headcount.counting.contributions import COLUMNS, DayOfContributions
from headcount.counting.keys import U8, Slots, distinct
from headcount.counting.usage import DAYS_MAX

__all__ = ["MonthOfContributions"]

_MOVED = RESERVED.index(MOVED)


class MonthOfContributions:
    """Gathers the contributions of one month of a batch.

    What is new counts on the day of the fact that brought it first, so that source, day and
    attributes of each fact are one number, and contributions are how often each is there.

    Args:
        month: its facts, at least one.
    """

    def __init__(self, month: MonthOfFacts) -> None:
        self._month = month
        named = month.facts["tags"] >> np.uint32(NUMBER_SHIFT)
        self._width = int(named.max()) + 1
        self._first_day = int(month.days.min())
        self._days = int(month.days.max()) - self._first_day + 1
        codes = month.of_fact * self._days
        codes += month.days
        codes -= self._first_day
        codes *= self._width
        codes += named
        self._size, self._distinct = int(codes.max()) + 1, None
        if self._size > 4 * len(codes) + 65_536:
            # They lie far from one another: the few that there are get numbers of their own.
            self._distinct, codes = np.unique(codes, return_inverse=True)
            self._size = len(self._distinct)
        self._codes: Slots = codes
        self._counts: dict[int, Slots] = {}
        self._moved: list[_Moved] = []

    def add(self, of_fact: Slots, column: int) -> None:
        """Attribute something to each of some facts.

        Args:
            of_fact: where the facts stand.
            column: of the contributions.
        """
        if len(of_fact):
            self._counts[column] = np.bincount(self._codes[of_fact], minlength=self._size)

    def move(self, of_fact: Slots, days: tuple[U8, U8], column: int) -> None:
        """Say that what was attributed counts on another day, because of some facts.

        Args:
            of_fact: where the facts stand.
            days: on which each counted, and on which it counts from now on.
            column: of the contributions.
        """
        if len(of_fact):
            sources = self._month.of_fact[of_fact]
            for of_days, sign in zip(days, (-1, 1), strict=True):
                self._moved.append(_Moved(sources * DAYS_MAX + of_days, column, sign))

    def days(self) -> Iterator[DayOfContributions]:
        """What was gathered, by source and day."""
        if self._counts:
            counts = np.zeros((self._size, COLUMNS), np.int64)
            for column, added in self._counts.items():
                counts[:, column] = added
            used = np.flatnonzero(counts.any(axis=1))
            codes = used if self._distinct is None else self._distinct[used]
            places, named = np.divmod(codes, self._width)
            owners, days = np.divmod(places, self._days)
            yield from self._split(owners, days + self._first_day, named, counts[used])
        if self._moved:
            places = distinct(np.concatenate([each.places for each in self._moved]))
            counts = np.zeros((len(places), COLUMNS), np.int64)
            for each in self._moved:
                at = np.searchsorted(places, each.places)
                np.add.at(counts[:, each.column], at, each.sign)
            owners, days = np.divmod(places, DAYS_MAX)
            yield from self._split(owners, days, np.full(len(places), _MOVED), counts)

    def _split(
        self, owners: Slots, days: Slots, named: Slots, counts: npt.NDArray[np.int64]
    ) -> Iterator[DayOfContributions]:
        """Contributions that ascend by owner and day, of each by itself."""
        places = owners * DAYS_MAX + days
        starts = np.flatnonzero(np.r_[True, places[1:] != places[:-1]])
        scopes = self._month.scopes
        bounds = pairwise([*starts.tolist(), len(places)])
        parts = [slice(*each) for each in bounds]
        return map(
            DayOfContributions,
            scopes.workspaces[owners[starts]].tolist(),
            scopes.sources[owners[starts]].tolist(),
            days[starts].tolist(),
            [named[part] for part in parts],
            [counts[part] for part in parts],
        )


class _Moved(NamedTuple):
    places: Slots
    column: int
    sign: int
