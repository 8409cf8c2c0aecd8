"""Where a month will end, and when it reaches a limit, if days go on as the last ones did.

Takes running totals by day, gives estimates with the range in which four of five would lie; gives
none before there are days enough to tell, or without usage. Pure arithmetic, which is this:

The last seven complete days (the first day of the month left out: whoever comes on it is new) have
a mean m and a standard deviation s of what was new on each. The sum of n days to come is then about
n * m, with a variance of n * s^2 for the days themselves and n^2 * s^2 / k because m was learned
from k days only. 1.28 standard deviations to either side hold four fifths of a normal
distribution. Days of the week, seasons and campaigns are not known to it.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Pace", "Range", "Reach", "pace_of"]

_DAYS_MAX = 7
_DAYS_MIN = 3
_FOUR_FIFTHS = 1.2816


class Range(NamedTuple):
    """An estimate.

    Attributes:
        likely: in the middle.
        low, high: four of five would lie between.
    """

    likely: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Reach:
    """The day of the month, from 1, on which a limit is reached; None for not in this month.

    Attributes:
        earliest, likely, latest: by the high end, the middle and the low end of the range.
    """

    earliest: int | None
    likely: int | None
    latest: int | None


@dataclass(frozen=True, slots=True)
class Pace:
    """How a month goes.

    Attributes:
        now: the running total so far.
        base: the running total at the end of the last complete day.
        complete: how many days are complete.
        mean, deviation: of what was new on each of the days looked at.
        looked_at: how many they are.
    """

    now: int
    base: int
    complete: int
    mean: float
    deviation: float
    looked_at: int

    def at_end_of(self, day: int) -> Range:
        """The running total at the end of a day that is not complete.

        Args:
            day: day of the month, from 1, after the complete ones.
        """
        ahead = day - self.complete
        spread = _FOUR_FIFTHS * self.deviation * math.sqrt(ahead + ahead * ahead / self.looked_at)
        likely = self.base + ahead * self.mean
        # Today's messages are counted already, whatever the days before were like.
        return Range(
            *(max(self.now, round(each)) for each in (likely, likely - spread, likely + spread))
        )

    def outlook(self, days: int) -> dict[int, Range]:
        """The running total from the last complete day to the end of the month, by day.

        Args:
            days: how many days the month has.
        """
        known = Range(self.base, self.base, self.base)
        ahead = {day: self.at_end_of(day) for day in range(self.complete + 1, days + 1)}
        return {self.complete: known, **ahead}

    def reaches(self, limit: int, days: int) -> Reach:
        """When a limit above the running total is reached.

        Args:
            limit: the limit.
            days: how many days the month has.
        """
        ranges = [(day, self.at_end_of(day)) for day in range(self.complete + 1, days + 1)]
        return Reach(
            next((day for day, total in ranges if total.high >= limit), None),
            next((day for day, total in ranges if total.likely >= limit), None),
            next((day for day, total in ranges if total.low >= limit), None),
        )


def pace_of(totals: Sequence[int], *, runs: bool) -> Pace | None:
    """The pace of a month; None where it is over, too young or without usage.

    Args:
        totals: the running total of each day so far, the last one being today, not complete.
        runs: whether it is the current month.
    """
    complete = list(totals[:-1])
    new = [later - earlier for earlier, later in itertools.pairwise(complete)]
    recent = new[-_DAYS_MAX:]
    if not runs or len(recent) < _DAYS_MIN or totals[-1] == 0:
        return None
    return Pace(
        totals[-1],
        complete[-1],
        len(complete),
        statistics.fmean(recent),
        statistics.stdev(recent),
        len(recent),
    )
