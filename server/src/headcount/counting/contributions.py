"""Contributions: to which message each first-seen id, and each API call, is attributed, as counts.

Takes, of a month of facts, which of them were the first to bring something, and gives for each
source and day how many of them named which attributes. Each id is attributed once for each of its
scopes, to the message by which it was counted first, so the contributions to a count add up to it:
those to a source's count are of its own messages, those to a workspace's of all of its sources.
Where an id turns out to have come on an earlier day, its contribution stays, and `MOVED` takes one
from the later day and adds one to the earlier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.attributes import MOVED, NUMBER_SHIFT, RESERVED, Attributes
from headcount.counting.keys import U8, Slots
from headcount.counting.metrics import ANONYMOUS, ANONYMOUS_IDENTIFIED, API_CALLS, IDENTIFIED

if TYPE_CHECKING:
    from headcount.counting.batch import MonthOfFacts

__all__ = [
    "COLUMNS",
    "OF_SOURCE",
    "OF_WORKSPACE",
    "Contributions",
    "DayOfContributions",
    "MonthOfContributions",
]

COLUMNS = 7
"""Of a row of contributions: those to a source's counts, then those to its workspace's. An API call
of a source is one of its workspace. Stored: append only."""

OF_SOURCE = {API_CALLS: 0, IDENTIFIED: 1, ANONYMOUS: 2, ANONYMOUS_IDENTIFIED: 3}
OF_WORKSPACE = {API_CALLS: 0, IDENTIFIED: 4, ANONYMOUS: 5, ANONYMOUS_IDENTIFIED: 6}
"""Which column of contributions adds up to which column of counts."""

_MOVED = RESERVED.index(MOVED)


class DayOfContributions(NamedTuple):
    """What the messages of one source on one day contributed.

    Attributes:
        workspace: its workspace's number.
        source: the source's number.
        day: of the month, 0 to 30.
        numbers: which attributes, shape (n,), perhaps some of them twice.
        counts: the contributions of each, shape (n, `COLUMNS`).
    """

    workspace: int
    source: int
    day: int
    numbers: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


class Contributions(NamedTuple):
    """All contributions of a workspace in a month.

    Attributes:
        attributes: which there were.
        sources: number of the source of each row, shape (n,).
        days: of the month, 0 to 30, of each, shape (n,).
        numbers: place of its attributes, shape (n,).
        counts: shape (n, `COLUMNS`).
    """

    attributes: Sequence[Attributes]
    sources: Slots
    days: Slots
    numbers: Slots
    counts: npt.NDArray[np.int64]


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
