"""What differs between two sides: takes them aligned, gives differences by source and day.

Sides are compared up to the last day that both know, in running totals, as they are billed; what a
day added to the difference stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from headcount.counting.metrics import HEADLINES, Metric
from headcount.reconciling.aligning import Pair
from headcount.reconciling.counts import CountedMonth, Days

__all__ = ["DayDifference", "Difference", "differences", "share_of"]


@dataclass(frozen=True, slots=True)
class DayDifference:
    """A day on which both sides know a total.

    Attributes:
        day: of the month, from 0.
        ours, theirs: totals from the month's start to its end.
        added: by how much the difference grew on it.
    """

    day: int
    ours: int
    theirs: int
    added: int

    @property
    def difference(self) -> int:
        """How many more are theirs."""
        return self.theirs - self.ours


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of the workspace or a source.

    Attributes:
        metric: what is counted.
        theirs_id, ours_id: the source on either side; None where it is on one alone, both empty of
            the workspace.
        name: for people.
        ours, theirs: totals on the last day that is compared, or that a side knows where none is;
            None on the side that has none.
        days: those that both know.
        within: whether it is within the tolerance.
    """

    metric: Metric
    theirs_id: str | None
    ours_id: str | None
    name: str
    ours: int | None
    theirs: int | None
    days: Sequence[DayDifference]
    within: bool

    @property
    def state(self) -> str:
        """`"matched"`, `"differs"`, `"unknown"`, `"theirs-only"` or `"ours-only"`.

        Unknown is a source that is on both sides, and has no day of which both know a total.
        """
        if self.ours_id is None:
            return "theirs-only"
        if self.theirs_id is None:
            return "ours-only"
        if not self.days:
            return "unknown"
        return "matched" if self.difference == 0 else "differs"

    @property
    def difference(self) -> int:
        """How many more are theirs."""
        return (self.theirs or 0) - (self.ours or 0)


def share_of(difference: int, ours: int | None) -> float | None:
    """A difference in per cent of ours; None where ours is nothing and theirs is not."""
    if not ours:
        return 0.0 if difference == 0 else None
    return 100 * difference / ours


def differences(
    ours: CountedMonth,
    theirs: CountedMonth,
    pairs: Sequence[Pair],
    last_day: int,
    tolerance: Fraction,
) -> list[Difference]:
    """What differs, the workspace first, then sources by how much.

    Args:
        ours, theirs: both sides.
        pairs: which sources are the same.
        last_day: of the month, from 0: up to it sides are compared.
        tolerance: the share of ours that a difference may be.
    """
    found = list(
        _compared(ours.workspace, theirs.workspace, ("", "", "workspace"), last_day, tolerance)
    )
    of_sources: list[Difference] = []
    for pair in pairs:
        here, there = ours.sources[pair.ours], theirs.sources[pair.theirs]
        names = pair.theirs, pair.ours, here.name
        compared = list(_compared(here.days, there.days, names, last_day, tolerance))
        # One that is left blank on a side is no equal one, and must not disappear.
        of_sources += compared or _unknown(here.days, there.days, names)
    theirs_paired, ours_paired = {pair.theirs for pair in pairs}, {pair.ours for pair in pairs}
    # A side that tells of the workspace alone has none of its sources elsewhere.
    for source in theirs.sources.values() if ours.sources else ():
        if source.id not in theirs_paired:
            of_sources += _alone(source.days, (source.id, None, source.name), last_day, ours=False)
    for source in ours.sources.values() if theirs.sources else ():
        if source.id not in ours_paired:
            of_sources += _alone(source.days, (None, source.id, source.name), last_day, ours=True)
    of_sources.sort(key=lambda each: (-abs(each.difference), each.name, each.metric.headline))
    return found + of_sources


def _compared(
    ours: Days,
    theirs: Days,
    names: tuple[str | None, str | None, str],
    last_day: int,
    tolerance: Fraction,
) -> Iterator[Difference]:
    for metric in HEADLINES:
        days: list[DayDifference] = []
        before = 0
        both = zip(ours[metric.name], theirs[metric.name], strict=True)
        for day, (here, there) in enumerate(both):
            if day > last_day or here is None or there is None:
                continue
            days.append(DayDifference(day, here, there, there - here - before))
            before = there - here
        if not days:
            continue
        last = days[-1]
        within = abs(last.difference) <= tolerance * last.ours
        yield Difference(metric, *names, last.ours, last.theirs, days, within)


def _unknown(
    ours: Days, theirs: Days, names: tuple[str | None, str | None, str]
) -> Iterator[Difference]:
    for metric in HEADLINES:
        here, there = _last_known(ours[metric.name]), _last_known(theirs[metric.name])
        if here or there:
            yield Difference(metric, *names, here, there, [], within=False)


def _alone(
    days: Days, names: tuple[str | None, str | None, str], last_day: int, *, ours: bool
) -> Iterator[Difference]:
    for metric in HEADLINES:
        if total := _last_known(days[metric.name][: last_day + 1]):
            here, there = (total, None) if ours else (None, total)
            yield Difference(metric, *names, here, there, [], within=False)


def _last_known(totals: Sequence[int | None]) -> int | None:
    return next((total for total in reversed(totals) if total is not None), None)
