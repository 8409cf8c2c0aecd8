"""Why a count moved: what its contributions are beside those of another month, and likely causes.

Takes the contributions of two months, each cut at a day, and their totals; gives rows that add up
to the change exactly, and named causes, the one that explains most first. Pure arithmetic: what is
said of a cause, and what to do, is the matter of whoever shows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple

import numpy as np

from headcount.counting.attributes import Attributes
from headcount.counting.contributions import OF_SOURCE, OF_WORKSPACE, Contributions
from headcount.counting.metrics import ANONYMOUS, API_CALLS, IDENTIFIED, Metric

__all__ = [
    "LINKED",
    "UNATTRIBUTED",
    "Brought",
    "Contribution",
    "ExplainedCount",
    "ExplainedMonth",
    "Whence",
    "brought_by",
    "explained",
]

Kind = str
KINDS: Mapping[int, Kind] = {API_CALLS: "message", IDENTIFIED: "identified", ANONYMOUS: "anonymous"}
LINKED: Kind = "linked"
"""Of anonymous ids that became a known user's: they count with that user from then on."""
UNATTRIBUTED: Kind = "unattributed"
"""What no message is known for: it was counted before there were contributions, or by a repair."""


class Whence(NamedTuple):
    """Where messages come from: their source's number, and their attributes."""

    source: int
    attributes: Attributes


@dataclass(slots=True)
class Brought:
    """What the messages of a place brought.

    Attributes:
        messages: API calls.
        identified, anonymous: ids seen for the first time.
        linked: anonymous ids seen for the first time with a userId.
    """

    messages: int = 0
    identified: int = 0
    anonymous: int = 0
    linked: int = 0

    def add(self, other: Brought) -> None:
        """Add what another holds."""
        self.messages += other.messages
        self.identified += other.identified
        self.anonymous += other.anonymous
        self.linked += other.linked

    @property
    def users(self) -> int:
        """What it adds to the tracked users."""
        return self.identified + self.anonymous - self.linked

    @property
    def ids(self) -> int:
        """Ids of either kind that it was the first to bring."""
        return self.identified + self.anonymous


class ExplainedMonth(NamedTuple):
    """One of the two months.

    Attributes:
        total: the count that is explained.
        brought: what makes it up, by where it came from.
    """

    total: int
    brought: Mapping[Whence, Brought]


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


@dataclass(slots=True)
class ExplainedCount:
    """Why a count moved.

    Attributes:
        now, before: the count in each month.
        contributions: those first that change most; their changes add up to the change.
    """

    now: int
    before: int
    contributions: list[Contribution] = field(default_factory=list)

    @property
    def change(self) -> int:
        """What there is to explain."""
        return self.now - self.before


def brought_by(
    contributions: Contributions, days: int, source: int | None = None
) -> dict[Whence, Brought]:
    """What the messages of each place brought in the first days of a month.

    Args:
        contributions: of the month.
        days: how many.
        source: of whose own counts; None for those of the workspace.
    """
    columns = OF_WORKSPACE if source is None else OF_SOURCE
    wanted = [columns[API_CALLS], columns[IDENTIFIED], columns[ANONYMOUS]]
    wanted.append(next(c for kind, c in columns.items() if c not in wanted))
    which = contributions.days < days
    if source is not None:
        which &= contributions.sources == source
    codes = contributions.sources[which] * len(contributions.attributes)
    codes += contributions.numbers[which]
    distinct, numbers = np.unique(codes, return_inverse=True)
    sums = np.zeros((len(distinct), len(wanted)), np.int64)
    np.add.at(sums, numbers, contributions.counts[which][:, wanted])
    found: dict[Whence, Brought] = {}
    for code, row in zip(distinct.tolist(), sums.tolist(), strict=True):
        of, number = divmod(code, len(contributions.attributes))
        if any(row):
            found[Whence(of, contributions.attributes[number])] = Brought(*row)
    return found


def _parts(tally: Brought, metric: Metric) -> Iterable[tuple[Kind, int]]:
    held = {API_CALLS: tally.messages, IDENTIFIED: tally.identified, ANONYMOUS: tally.anonymous}
    for column, sign in metric.terms:
        yield KINDS.get(column, LINKED), sign * held.get(column, tally.linked)


def explained(now: ExplainedMonth, before: ExplainedMonth, metric: Metric) -> ExplainedCount:
    """The contributions to a change, which add up to it.

    Args:
        now, before: the two months.
        metric: which count they are of: API calls, or one that follows from sets of ids.
    """
    sums: defaultdict[tuple[Whence, Kind], list[int]] = defaultdict(lambda: [0, 0])
    for at, side in enumerate((now, before)):
        for place, tally in side.brought.items():
            for kind, count in _parts(tally, metric):
                sums[place, kind][at] += count
    growth = now.total / before.total if before.total > 0 else 0.0
    rows = [
        Contribution(place, kind, count, former, _surprise(count, former * growth))
        for (place, kind), (count, former) in sums.items()
        if count or former
    ]
    left = now.total - sum(row.now for row in rows)
    former_left = before.total - sum(row.before for row in rows)
    if left or former_left:
        rows.append(Contribution(None, UNATTRIBUTED, left, former_left, 0.0))
    rows.sort(key=lambda row: (-abs(row.change), -abs(row.surprise), str(row[:2])))
    return ExplainedCount(now.total, before.total, rows)


def _surprise(count: int, expected: float) -> float:
    return (count - expected) / sqrt(max(abs(expected), 1.0))
