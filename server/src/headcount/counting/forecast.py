"""Where a month will end, and when it reaches a limit, if days go on as the last ones did.

Takes running totals by day, gives estimates with the range in which four of five would lie; gives
none while it cannot tell: for up to three complete days of usage, for a single message, or for one
day's usage alone. Pure arithmetic, which is this:

Days count from the first usage on, and its own day is left out: whoever comes on it is new. Up to
seven of the complete days after it have a mean m and a standard deviation s of what was new on
each. Today's count is where estimates start from. What is missing to an ordinary day is still to
come today; where more than that has come already, nothing is. Each day after today brings about m.
With today, n days are uncertain: their sum has a variance of n * s^2 for the days themselves and
n^2 * s^2 / k because m was learned from k days only, and Student's t with k - 1 degrees of freedom
says how many deviations to either side hold four fifths. Fewer than five days may be alike by
chance, so there s is at least what independent messages would have, the square root of m. Days of
the week, seasons and campaigns are not known to it.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

__all__ = ["Pace", "Range", "Reach", "pace_of"]

_DAYS_MAX = 7
_DAYS_MIN = 3
_SURE_DAYS = 5
_DEVIATIONS = {3: 1.886, 4: 1.638, 5: 1.533, 6: 1.476, 7: 1.440}
"""Deviations to either side that hold four fifths, by the number of days learned from."""


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
        today: the day of the month, from 1.
        mean, deviation: of what was new on each of the days looked at.
        looked_at: how many they are.
    """

    now: int
    base: int
    today: int
    mean: Fraction
    deviation: float
    looked_at: int

    def at_end_of(self, day: int) -> Range:
        """The running total at the end of a day that is not complete; never less than now.

        Args:
            day: day of the month, from 1, not before today.
        """
        after = day - self.today
        rest = max(Fraction(0), min(self.mean, self.mean - (self.now - self.base)))
        middle = rest + after * self.mean
        uncertain = after + 1
        deviations = math.sqrt(uncertain + uncertain * uncertain / self.looked_at)
        spread = Fraction(_DEVIATIONS[self.looked_at] * self.deviation * deviations)
        # In fractions, so that one message more never makes an estimate one less by rounding.
        likely, low, high = (
            self.now + max(0, math.floor(each + Fraction(1, 2)))
            for each in (middle, middle - spread, middle + spread)
        )
        # Nobody is certain after so few days.
        return Range(likely, low, max(high, likely + (self.looked_at < _SURE_DAYS)))

    def outlook(self, days: int) -> dict[int, Range]:
        """The running total from now to the end of the month, by day; empty on its last day.

        Args:
            days: how many days the month has.
        """
        if self.today >= days:
            return {}
        now = Range(self.now, self.now, self.now)
        return {self.today: now} | {
            day: self.at_end_of(day) for day in range(self.today + 1, days + 1)
        }

    def reaches(self, limit: int, days: int) -> Reach:
        """When a limit above the running total is reached.

        Args:
            limit: the limit.
            days: how many days the month has.
        """
        ranges = [(day, self.at_end_of(day)) for day in range(self.today, days + 1)]
        return Reach(
            next((day for day, total in ranges if total.high >= limit), None),
            next((day for day, total in ranges if total.likely >= limit), None),
            next((day for day, total in ranges if total.low >= limit), None),
        )


def pace_of(totals: Sequence[int], *, runs: bool) -> Pace | None:
    """The pace of a month; None where it is over, or nothing can be told yet.

    Args:
        totals: the running total of each day so far, the last one being today, not complete.
        runs: whether it is the current month.
    """
    if not runs or not totals or totals[-1] <= 1:
        return None
    complete = list(itertools.dropwhile(lambda total: total == 0, totals[:-1]))
    new = [later - earlier for earlier, later in itertools.pairwise(complete)]
    recent = new[-_DAYS_MAX:]
    if len(recent) < _DAYS_MIN or not any(new):
        return None
    mean, deviation = Fraction(sum(recent), len(recent)), statistics.stdev(recent)
    if len(recent) < _SURE_DAYS:
        deviation = max(deviation, math.sqrt(max(Fraction(0), mean)))
    return Pace(totals[-1], complete[-1], len(totals), mean, deviation, len(recent))
