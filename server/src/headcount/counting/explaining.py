"""Why a count moved: what its contributions are beside those of another month.

Takes the contributions of two months, each cut at a day, source by source, and their totals; gives
rows that add up to the change exactly: so many as are wanted, those first that matter most, and the
rest as one. Memory does not grow with the sources. Pure arithmetic: what may have caused a change
is the matter of `likely_causes`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.attributes import OTHER, UNKNOWN, Attributes
from headcount.counting.contributions import OF_SOURCE, OF_WORKSPACE, Contributions
from headcount.counting.metrics import ANONYMOUS, API_CALLS, IDENTIFIED, Metric
from headcount.counting.usage import DAYS_MAX

__all__ = [
    "LINKED",
    "PARTS",
    "RANKS",
    "UNATTRIBUTED",
    "Brought",
    "BroughtBy",
    "Contribution",
    "ExplainedBySource",
    "ExplainedCount",
    "RestOfContributions",
    "Whence",
    "brought_by",
    "messages_told",
]

Kind = str
KINDS: Mapping[int, Kind] = {API_CALLS: "message", IDENTIFIED: "identified", ANONYMOUS: "anonymous"}
LINKED: Kind = "linked"
"""Of anonymous ids that became a known user's: they count with that user from then on."""
UNATTRIBUTED: Kind = "unattributed"
"""What no message is known for: it was counted before there were contributions, or by a repair."""


PARTS = ("source", *Attributes._fields)
"""What contributions are told apart by."""

_GROUPS_MAX = 5_000
_SAID_TO_BE_UNKNOWN = UNKNOWN._replace(library="unknown")
# How many may be listed beyond those that are wanted before these are looked for.
_SURPLUS_MAX = 1_000


class Whence(NamedTuple):
    """Where messages come from: their source's number, and their attributes; zero and empty is what
    is not told apart."""

    source: int
    attributes: Attributes


@dataclass(slots=True)
class Brought:
    """What the messages of a place brought.

    Attributes:
        messages: API calls.
        identified, anonymous: ids seen for the first time.
        linked: anonymous ids seen for the first time with a userId.
        daily: of the messages and of the anonymous ids how many came on each day, shape
            (`DAYS_MAX`, 2); None where that is not told apart.
    """

    messages: int = 0
    identified: int = 0
    anonymous: int = 0
    linked: int = 0
    daily: npt.NDArray[np.int64] | None = field(default=None, compare=False)

    def add(self, other: Brought) -> None:
        """Add what another holds."""
        self.messages += other.messages
        self.identified += other.identified
        self.anonymous += other.anonymous
        self.linked += other.linked
        if other.daily is not None:
            self.daily = other.daily if self.daily is None else self.daily + other.daily

    def without(self, part: Brought) -> Brought:
        """What is left without a part of it."""
        return Brought(
            self.messages - part.messages,
            self.identified - part.identified,
            self.anonymous - part.anonymous,
            self.linked - part.linked,
        )

    @property
    def users(self) -> int:
        """What it adds to the tracked users."""
        return self.identified + self.anonymous - self.linked

    @property
    def ids(self) -> int:
        """Ids of either kind that it was the first to bring."""
        return self.identified + self.anonymous


BroughtBy = Mapping[Attributes, Brought]
"""What the messages of one source brought in a month, by their attributes."""


def brought_by(contributions: Contributions, days: int, *, own: bool = False) -> BroughtBy:
    """What the messages of a source brought in the first days of a month.

    Args:
        contributions: of the source, in the month.
        days: how many.
        own: whether to the source's own counts; else to those of its workspace.
    """
    columns = OF_SOURCE if own else OF_WORKSPACE
    wanted = [columns[API_CALLS], columns[IDENTIFIED], columns[ANONYMOUS]]
    wanted.append(next(c for c in columns.values() if c not in wanted))
    which = contributions.days < days
    sums = np.zeros((len(contributions.attributes), len(wanted)), np.int64)
    np.add.at(sums, contributions.numbers[which], contributions.counts[which][:, wanted])
    daily = np.zeros((len(sums), DAYS_MAX, 2), np.int64)
    of_days = contributions.numbers[which], contributions.days[which]
    np.add.at(daily, of_days, contributions.counts[which][:, [wanted[0], wanted[2]]])
    return {
        attributes: Brought(row[0], row[1], row[2], row[3], by_day)
        for attributes, row, by_day in zip(
            contributions.attributes, sums.tolist(), daily, strict=True
        )
        if any(row)
    }


def messages_told(brought: BroughtBy) -> int:
    """Of how many messages it is known where they come from."""
    return sum(each.messages for of, each in brought.items() if of not in (UNKNOWN, OTHER))


class Contribution(NamedTuple):
    """A contribution to a change.

    Attributes:
        whence: where from; None for what is not attributed.
        kind: of what: messages, identified or anonymous ids, or links, which are negative.
        now, before: what it adds to the count of each month.
        surprise: how far it is from what its share of the month before would be, in standard
            deviations of a count.
    """

    whence: Whence | None
    kind: Kind
    now: int
    before: int
    surprise: float

    @property
    def change(self) -> int:
        """What it adds to the change."""
        return self.now - self.before


_Place = tuple[float, float]

RANKS: Mapping[str, Callable[[Contribution], _Place]] = {
    "share": lambda row: (-abs(row.change), -abs(row.surprise)),
    "surprise": lambda row: (-abs(row.surprise), -abs(row.change)),
}
"""What comes first: what changed most, or what is furthest from its share of the month before."""


@dataclass(slots=True)
class RestOfContributions:
    """Contributions that are not listed: how many, and what they come to."""

    rows: int = 0
    now: int = 0
    before: int = 0

    def add(self, row: Contribution) -> None:
        """Add one that is not listed."""
        self.rows += 1
        self.now += row.now
        self.before += row.before

    @property
    def change(self) -> int:
        """What they add to the change."""
        return self.now - self.before


class ExplainedCount(NamedTuple):
    """Why a count moved.

    Attributes:
        now, before: the count in each month.
        contributions: those that come first.
        rest: all others. The changes of these and of that add up to the change.
        untold: what of each count is attributed to no message; among the contributions, too.
        moved: what all contributions changed, whichever way.
    """

    now: int
    before: int
    contributions: list[Contribution]
    rest: RestOfContributions
    untold: tuple[int, int]
    moved: int

    @property
    def change(self) -> int:
        """What there is to explain."""
        return self.now - self.before


class ExplainedBySource:
    """Gathers the contributions to a change, source by source.

    Args:
        metric: of which count: API calls, or one that follows from sets of ids.
        now, before: the count in each month.
        parts: those of `PARTS` that are told apart.
        rank: one of `RANKS`.
        limit: how many contributions to list.
        groups_max: how many to tell apart at most, of several sources together; those of the
            sources that are added later are `OTHER`.
    """

    def __init__(
        self,
        metric: Metric,
        now: int,
        before: int,
        *,
        parts: Collection[str] = PARTS,
        rank: str = "share",
        limit: int,
        groups_max: int = _GROUPS_MAX,
    ) -> None:
        self._metric, self._now, self._before = metric, now, before
        self._parts, self._place, self._limit = frozenset(parts), RANKS[rank], limit
        self._groups_max = groups_max
        self._growth = now / before if before > 0 else 0.0
        self._groups: dict[tuple[Whence, Kind], list[int]] = {}
        self._listed: list[Contribution] = []
        self._last: _Place | None = None
        self._rest = RestOfContributions()
        self._sums, self._moved = [0, 0], 0

    @property
    def held(self) -> int:
        """How many contributions are kept in memory."""
        return len(self._listed) + len(self._groups)

    def add(self, source: int, now: BroughtBy, before: BroughtBy) -> None:
        """Add what the messages of a source brought in each month; of each source once."""
        sums: defaultdict[tuple[Whence, Kind], list[int]] = defaultdict(lambda: [0, 0])
        for month, side in enumerate((now, before)):
            for attributes, brought in side.items():
                whence = self._told_apart(source, attributes)
                for kind, count in _parts(brought, self._metric):
                    if count:
                        sums[whence, kind][month] += count
        if "source" in self._parts:
            self._list(sums)
            return
        for (whence, kind), counts in sums.items():
            group = self._groups.get((whence, kind))
            if group is None and len(self._groups) >= self._groups_max:
                whence = Whence(0, OTHER)
                group = self._groups.get((whence, kind))
            if group is None:
                group = self._groups[whence, kind] = [0, 0]
            for month, count in enumerate(counts):
                group[month] += count

    def result(self) -> ExplainedCount:
        """Why the count moved; nothing may be added after this."""
        self._list(self._groups)
        self._groups = {}
        untold = self._now - self._sums[0], self._before - self._sums[1]
        if any(untold):
            self._take(Contribution(None, UNATTRIBUTED, *untold, 0.0))
        self._cut()
        return ExplainedCount(
            self._now, self._before, self._listed, self._rest, untold, self._moved
        )

    def _told_apart(self, source: int, attributes: Attributes) -> Whence:
        parts = self._parts
        if attributes == UNKNOWN:
            attributes = _SAID_TO_BE_UNKNOWN
        if parts.issuperset(PARTS):
            return Whence(source, attributes)
        library, version, kind, event, bot = attributes
        kept = Attributes(
            library if "library" in parts else "",
            version if "version" in parts else "",
            kind if "type" in parts else "",
            event if "event" in parts else "",
            "bot" in parts and bot,
        )
        return Whence(source if "source" in parts else 0, kept)

    def _list(self, sums: Mapping[tuple[Whence, Kind], list[int]]) -> None:
        for (whence, kind), (now, before) in sums.items():
            if now or before:
                surprise = _surprise(now, before * self._growth)
                self._take(Contribution(whence, kind, now, before, surprise))

    def _take(self, row: Contribution) -> None:
        self._sums[0] += row.now
        self._sums[1] += row.before
        self._moved += abs(row.change)
        if self._last is not None and self._place(row) > self._last:
            self._rest.add(row)
            return
        self._listed.append(row)
        if len(self._listed) >= self._limit + _SURPLUS_MAX:
            self._cut()

    def _cut(self) -> None:
        """Keep those that come first, and add the others to the rest."""
        self._listed.sort(key=lambda row: (*self._place(row), str(row[:2])))
        for row in self._listed[self._limit :]:
            self._rest.add(row)
        del self._listed[self._limit :]
        if len(self._listed) == self._limit:
            self._last = self._place(self._listed[-1])


def _parts(tally: Brought, metric: Metric) -> Iterable[tuple[Kind, int]]:
    held = {API_CALLS: tally.messages, IDENTIFIED: tally.identified, ANONYMOUS: tally.anonymous}
    for column, sign in metric.terms:
        yield KINDS.get(column, LINKED), sign * held.get(column, tally.linked)


def _surprise(count: int, expected: float) -> float:
    return (count - expected) / sqrt(max(abs(expected), 1.0))
