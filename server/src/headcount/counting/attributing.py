"""Attributing what is new in a batch to the messages that brought it first.

Takes, of a month of facts, which of them were the first to bring something, and gives their
contributions. Only what is new is looked at, so that a batch of ids that are known costs little.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.attributes import MOVED, NUMBER_SHIFT, RESERVED
from headcount.counting.batch import MonthOfFacts
from headcount.counting.contributions import COLUMNS, DayOfContributions
from headcount.counting.keys import U8, Slots

__all__ = ["MonthOfContributions"]

_MOVED = RESERVED.index(MOVED)


class MonthOfContributions:
    """Gathers the contributions of one month of a batch.

    Args:
        month: its facts.
    """

    def __init__(self, month: MonthOfFacts) -> None:
        self._month = month
        self._named: Slots = (month.facts["tags"] >> np.uint32(NUMBER_SHIFT)).astype(np.int64)
        self._added: list[_Added] = []

    def add(self, of_fact: Slots, days: U8, column: int) -> None:
        """Attribute something to each of some facts.

        Args:
            of_fact: where the facts stand.
            days: on which each counts.
            column: of the contributions.
        """
        self._add(of_fact, self._named[of_fact], days, column, 1)

    def move(self, of_fact: Slots, days: tuple[U8, U8], column: int) -> None:
        """Say that what was attributed counts on another day, because of some facts.

        Args:
            of_fact: where the facts stand.
            days: on which each counted, and on which it counts from now on.
            column: of the contributions.
        """
        moved = np.full(len(of_fact), _MOVED, np.int64)
        self._add(of_fact, moved, days[0], column, -1)
        self._add(of_fact, moved, days[1], column, 1)

    def _add(self, of_fact: Slots, named: Slots, days: U8, column: int, sign: int) -> None:
        if len(of_fact):
            sources = self._month.of_fact[of_fact]
            self._added.append(_Added(sources, named, days.astype(np.int64), column, sign))

    def days(self) -> Iterator[DayOfContributions]:
        """What was gathered, by source and day."""
        if not self._added:
            return
        width = max(int(each.named.max()) for each in self._added) + 1
        first = min(int(each.days.min()) for each in self._added)
        length = max(int(each.days.max()) for each in self._added) - first + 1
        places = [(e.sources * length + e.days - first) * width + e.named for e in self._added]
        distinct, counts = _summed(places, self._added)
        days = distinct // width
        starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
        owners = days[starts] // length
        scopes = self._month.scopes
        yield from map(
            DayOfContributions,
            scopes.workspaces[owners].tolist(),
            scopes.sources[owners].tolist(),
            (days[starts] % length + first).tolist(),
            np.split(distinct % width, starts[1:]),
            np.split(counts, starts[1:]),
        )


class _Added(NamedTuple):
    sources: Slots
    named: Slots
    days: Slots
    column: int
    sign: int


def _summed(places: list[Slots], added: list[_Added]) -> tuple[Slots, npt.NDArray[np.int64]]:
    """Distinct places, ascending, and how much of each column was added there."""
    size = max(int(each.max()) for each in places) + 1
    distinct: Slots | None = None
    if size > 4 * sum(map(len, places)) + 65_536:
        distinct, together = np.unique(np.concatenate(places), return_inverse=True)
        places = np.split(together, np.cumsum([len(each) for each in places])[:-1])
        size = len(distinct)
    # Else they are close to one another, and nothing needs to be sorted for them.
    counts = np.zeros((COLUMNS, size), np.int64)
    for place, each in zip(places, added, strict=True):
        counts[each.column] += each.sign * np.bincount(place, minlength=size)
    used = np.flatnonzero(counts.any(axis=0))
    return (used if distinct is None else distinct[used]), counts[:, used].T
