"""Where a month will end, and when it reaches a limit: estimates with the range of four in five.

Takes what was new on each day of the month so far and of the months before, gives running totals
for each day to come; gives none while it cannot tell: for up to three complete days of usage, for a
single message, for one day's usage alone, or where counts are below zero, which is damage. Pure
arithmetic.

What the days to come bring is told by `counting.regression`, of each column by itself: identified,
anonymous and anonymous identified ids fill up differently, and MTU is their sum. How wide the range
is, is what the regression says of its errors and, more so the more months are known, what it would
have missed in each of those, cut after as many days. That four of five months end in it was tried
on generated histories of many kinds and on public ones: `python -m bench.forecast`.

Today's count is where estimates start from. What is missing to an ordinary day is still to come
today; where more than that has come already, nothing is. Each id comes with a message, so that
there never are more of them than of messages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headcount.counting.calendar import Period
from headcount.counting.metrics import BY_NAME, STORED, Metric
from headcount.counting.regression import Expected, expected_of
from headcount.counting.usage import Counts, is_possible

__all__ = ["FORMER_MONTHS", "Forecast", "Range", "Reach", "forecast_of"]

FORMER_MONTHS = 12
"""How many months before the current one are learned from, at most."""

_DAYS_MIN = 4
_SURE_DAYS = 5
# For how many back-tested months counts what the regression says of itself; and how many times as
# far as that, squared, a month may have missed: a single one must not tell of all.
_OWN_WORD_MONTHS, _MISSED_MAX = 4.0, 3.0
_DEVIATIONS = 1.2816
"""Standard deviations to either side that hold four fifths."""


class Range(NamedTuple):
    """An estimate.

    Attributes:
        likely: in the middle.
        low, high: four of five lie between.
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
class Forecast:
    """Running totals of a month that runs.

    Attributes:
        today: the day of the month that it is, from 1.
        days: of each day from today to the month's last, its running total at the end of it.
        learned_days: complete days of usage that it was learned from, in this month and before.
        learned_months: months before this one among them.
    """

    today: int
    days: tuple[Range, ...]
    learned_days: int
    learned_months: int

    @property
    def at_end(self) -> Range:
        """The running total at the end of the month."""
        return self.days[-1]

    def outlook(self, now: int) -> dict[int, Range]:
        """By day of the month: today the running total, then the estimates; empty on its last day.

        Args:
            now: the running total.
        """
        ahead = dict(enumerate(self.days, self.today))
        return ahead | {self.today: Range(now, now, now)} if len(ahead) > 1 else {}

    def reaches(self, limit: int) -> Reach:
        """When a limit above the running total is reached."""
        named = list(enumerate(self.days, self.today))
        return Reach(
            next((day for day, total in named if total.high >= limit), None),
            next((day for day, total in named if total.likely >= limit), None),
            next((day for day, total in named if total.low >= limit), None),
        )


def forecast_of(
    metric: Metric, period: Period, days: Counts, former: Sequence[Counts | None]
) -> Forecast | None:
    """The forecast of a metric of one scope; None where nothing can be told.

    Args:
        metric: any, stored or following from others.
        period: the month that runs.
        days: what was new on each day of it so far, shape (days, columns); the last one is today,
            which is not complete.
        former: the same of whole months just before, the latest last, each of shape (31, columns),
            or None of one that cannot be read; more than `FORMER_MONTHS` are not looked at, nor
            is any up to one that is damaged.
    """
    totals = metric.of(days).cumsum().tolist()
    if not totals or totals[-1] <= 1 or not is_possible(days):
        return None
    former = _readable(former[-FORMER_MONTHS:])
    first = period.shifted(-len(former))
    months = [counts[: first.shifted(place).length] for place, counts in enumerate(former)]
    months.append(days[:-1])
    used = [np.flatnonzero(metric.of(month)) for month in months]
    begun = next((place for place, found in enumerate(used) if len(found)), None)
    if begun is None or sum(map(len, used)) < 2:
        return None
    learned = sum(map(len, months[begun:])) - int(used[begun][0])
    if learned < _DAYS_MIN:
        return None
    parts = (
        (sign, expected_of([month[:, column].astype(float) for month in months], period,
                           STORED[column].decay))
        for column, sign in metric.terms
    )  # fmt: skip
    length = period.length - len(days) + 1
    ahead = Expected(np.zeros(length), np.zeros(length), 0.0, *np.zeros((2, len(former))))
    for sign, part in parts:
        ahead = ahead if part is None else ahead.plus(part, sign)
    base = totals[-2] if len(totals) > 1 else 0
    ranges = tuple(_ranges(ahead, base, totals[-1], sure=learned >= _SURE_DAYS))
    calls = BY_NAME["api_calls"]
    if metric is BY_NAME["mtu"] and (messages := forecast_of(calls, period, days, former)):
        ranges = tuple(
            Range(*(max(totals[-1], min(pair)) for pair in zip(ids, most, strict=True)))
            for ids, most in zip(ranges, messages.days, strict=True)
        )
    return Forecast(len(days), ranges, learned, len(months) - 1 - begun)


def _readable(former: Sequence[Counts | None]) -> list[Counts]:
    """The months after the last that is damaged: those before it follow one another no more."""
    found: list[Counts] = []
    for counts in reversed(former):
        if counts is None or not is_possible(counts):
            break
        found.append(counts)
    return found[::-1]


def _surprise(ahead: Expected) -> float:
    """How many times as far as the regression says months are from what they are told, squared.

    The mean of what the months before say, each as much as any other, and of its own word: 1.
    """
    told = ahead.told > 0
    if not told.any() or not ahead.variances[-1]:
        return 1.0
    missed = ahead.missed[told] / ahead.told[told] * ahead.volume
    squares = np.minimum(missed**2 / ahead.variances[-1], _MISSED_MAX)
    return float((_OWN_WORD_MONTHS + squares.sum()) / (_OWN_WORD_MONTHS + len(squares)))


def _ranges(ahead: Expected, base: int, now: int, *, sure: bool) -> Iterator[Range]:
    """Ranges of the running total, out of what whole days bring.

    Args:
        ahead: from the start of today.
        base: the running total at the start of today.
        now: the running total.
        sure: whether enough days were learned from for a range without width.
    """
    today = ahead.totals[0]
    spreads = _DEVIATIONS * np.sqrt(ahead.variances * _surprise(ahead))

    def total(expected: float, after: float) -> int:
        # Each sum is rounded as a whole, so that one message more never makes an estimate less.
        return max(now, base + math.floor(expected + 0.5), now + math.floor(after + 0.5))

    for expected, spread in zip(ahead.totals.tolist(), spreads.tolist(), strict=True):
        likely, low, high = (
            total(expected + each, expected - today + each) for each in (0.0, -spread, spread)
        )
        yield Range(likely, low, high if sure else max(high, likely + 1))
