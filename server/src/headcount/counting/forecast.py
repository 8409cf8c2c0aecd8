"""Where a month will end, and when it reaches a limit: estimates with the range of four in five.

Takes what was new on each day of the month so far and of the months before, gives running totals
for each day to come; gives none while it cannot tell: for up to three complete days of usage, for a
single message, or for one day's usage alone. Pure arithmetic, which is this:

What is new on a day is expected to be a month's level, times what its day of the week has, times
(for sets of ids, which fill up: who came before is not new) a power of how far into the month it
is. All three are learned together from the complete days of this month and of up to twelve before,
by a Poisson regression whose priors say: no day of the week differs, a month's level is about
that of the month before, and sets fill up as they usually do. Identified, anonymous and
anonymous identified ids are learned apart, since they fill up differently, and MTU is their sum.
A day counts for no more than twenty messages or ids would, however many it has: days differ by more
than chance. What few days have, and is more than ten times what any other of their month has, is
not learned from.

The range is what the regression itself does not know (the covariance of what it learned), how far
days were from what it expected, and some in a hundred for what no such model sees. That four of
five months end in it was tried on generated histories of eleven kinds and on a public one:
`python -m bench.forecast`.

Today's count is where estimates start from. What is missing to an ordinary day is still to come
today; where more than that has come already, nothing is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.calendar import Period
from headcount.counting.metrics import STORED, Metric
from headcount.counting.usage import Counts

__all__ = ["FORMER_MONTHS", "Forecast", "Range", "Reach", "forecast_of"]

FORMER_MONTHS = 12
"""How many months before the current one are learned from, at most."""

_DAYS_MIN = 4
_SURE_DAYS = 5
# Precisions of the priors, in messages or ids of a day that counts for `_DAY_WEIGHT` of them.
_DAY_WEIGHT = 20.0
_LEVEL_FOLLOWS, _WEEKDAY_IS_NONE, _DECAY_IS_USUAL = 30.0, 3.0, 30.0
# What no such model sees, in shares of what is expected.
_UNSEEN = 0.05
# So many days may have more than so many times what the others have, and be none of them.
_OUTLIERS_ONE_IN, _OUTLIER_TIMES = 8, 10
_DEVIATIONS = 1.2816
"""Standard deviations to either side that hold four fifths."""
_STEPS_MAX = 30
_EXPONENT_MAX = 30.0

_Floats = npt.NDArray[np.float64]


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
    metric: Metric, period: Period, days: Counts, former: Sequence[Counts]
) -> Forecast | None:
    """The forecast of a metric of one scope; None where nothing can be told yet.

    Args:
        metric: any, stored or following from others.
        period: the month that runs.
        days: what was new on each day of it so far, shape (days, columns); the last one is today,
            which is not complete.
        former: the same of whole months just before, the latest last, each of shape (31, columns);
            more than `FORMER_MONTHS` are not looked at.
    """
    totals = metric.of(days).cumsum().tolist()
    if not totals or totals[-1] <= 1:
        return None
    former = former[-FORMER_MONTHS:]
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
    ahead = _Ahead(np.zeros(period.length - len(days) + 1), np.zeros(period.length - len(days) + 1))
    for column, sign in metric.terms:
        of_column = [month[:, column].astype(np.float64) for month in months]
        if (part := _learned(of_column, period, STORED[column].decay)) is not None:
            ahead = _Ahead(ahead.totals + sign * part.totals, ahead.variances + part.variances)
    base = totals[-2] if len(totals) > 1 else 0
    ranges = tuple(_ranges(ahead, base, totals[-1], sure=learned >= _SURE_DAYS))
    return Forecast(len(days), ranges, learned, len(months) - 1 - begun)


class _Ahead(NamedTuple):
    """What is expected of the days from today on, up to and including each."""

    totals: _Floats
    variances: _Floats


def _ranges(ahead: _Ahead, base: int, now: int, *, sure: bool) -> Iterator[Range]:
    """Ranges of the running total, out of what whole days bring.

    Args:
        ahead: from the start of today.
        base: the running total at the start of today.
        now: the running total.
        sure: whether enough days were learned from for a range without width.
    """
    today = ahead.totals[0]
    spreads = _DEVIATIONS * np.sqrt(ahead.variances)

    def total(expected: float, after: float) -> int:
        # Each sum is rounded as a whole, so that one message more never makes an estimate less.
        return max(now, base + math.floor(expected + 0.5), now + math.floor(after + 0.5))

    for expected, spread in zip(ahead.totals.tolist(), spreads.tolist(), strict=True):
        likely, low, high = (
            total(expected + each, expected - today + each) for each in (0.0, -spread, spread)
        )
        yield Range(likely, low, high if sure else max(high, likely + 1))


def _learned(months: Sequence[_Floats], period: Period, decay: float | None) -> _Ahead | None:
    """What is expected of the days from the first one that is not complete to the month's last.

    Args:
        months: new on each day, of whole months and then of the complete days of `period`.
        period: the month that runs.
        decay: of the metric.
    """
    begun = next((place for place, month in enumerate(months) if month.any()), None)
    if begun is None:
        return None
    months = [_without_outliers(month) for month in months[begun:]]
    count = len(months)
    starts = [period.shifted(place - count + 1).first_day for place in range(count)]
    # Whoever comes on the very first day is new: it tells nothing of others, unless it begins a
    # month like any other.
    skipped = int(np.flatnonzero(months[0])[0])
    places = [np.arange(len(month)) for month in months]
    if skipped:
        places[0] = places[0][skipped + 1 :]
    design = np.concatenate(
        [
            _rows(each, at, count, start, skipped if not at else 0)
            for at, (each, start) in enumerate(zip(places, starts, strict=True))
        ]
    )
    new = np.concatenate([month[each] for month, each in zip(months, places, strict=True)])
    if not new.any():
        return None
    scale = max(1.0, float(new.mean()) / _DAY_WEIGHT)
    effects = _fitted(new / scale, design, count, decay)
    expected = np.exp(np.minimum(design @ effects, _EXPONENT_MAX))
    curvature = (design * expected[:, None]).T @ design
    curvature += _precision(effects, count, decay)
    # How many times as far from what was expected as chance would have it, squared.
    surplus = float((((new - expected * scale) ** 2) / (expected * scale + 0.5)).sum())
    dispersion = max(1.0, surplus / max(1, len(new) - count - 4))
    to_come = np.arange(len(months[-1]), period.length)
    rows = _rows(to_come, count - 1, count, starts[-1], skipped if count == 1 else 0)
    by_day = np.exp(np.minimum(rows @ effects, _EXPONENT_MAX)) * scale
    totals = by_day.cumsum()
    slopes = (by_day[:, None] * rows).cumsum(axis=0)
    unknown = (slopes * np.linalg.solve(curvature, slopes.T).T).sum(axis=1)
    return _Ahead(totals, dispersion * totals + unknown + (_UNSEEN * totals) ** 2)


def _without_outliers(new: _Floats) -> _Floats:
    """What is new on the days of a month, without what few days have that no other has.

    A load test, or an archive that was brought in, tells nothing of the days to come. The first day
    with usage is left as it is: where a set begins to fill up, it has many times what others have.
    """
    used = np.flatnonzero(new)
    others = new[used[0] + 1 :] if len(used) else new[:0]
    few = len(others) // _OUTLIERS_ONE_IN
    if not few:
        return new
    usual = float(np.sort(others)[-few - 1])
    if usual < _DAY_WEIGHT:
        return new
    return np.concatenate(
        [new[: used[0] + 1], np.where(others > _OUTLIER_TIMES * usual, usual, others)]
    )


def _rows(days: npt.NDArray[np.int64], at: int, count: int, start: int, skipped: int) -> _Floats:
    """The regression's rows of days of one month: its level, the decay, the day of the week.

    Args:
        days: of the month, from 0.
        at: the place of the month among all.
        count: how many months there are.
        start: the month's first day, in days since 1970.
        skipped: days before the first usage, from which on sets fill up.
    """
    rows = np.zeros((len(days), count + 8))
    rows[:, at] = 1.0
    rows[:, count] = -np.log(days - skipped + 1)
    rows[np.arange(len(days)), count + 1 + (start + days) % 7] = 1.0
    return rows


def _prior(new: _Floats, design: _Floats, count: int, decay: float | None) -> _Floats:
    """The effects that are believed before anything was seen."""
    effects = np.zeros(count + 8)
    effects[count] = decay or 0.0
    shape = np.exp(design @ effects)
    effects[:count] = math.log((new.sum() + 0.5) / shape.sum())
    return effects


def _precision(effects: _Floats, count: int, decay: float | None) -> _Floats:
    """How firmly that is believed.

    That levels follow one another has a long tail, as Student's t has with three degrees of
    freedom: a month that is twice or ten times another is held against it no more than once.
    """
    precision = np.zeros((count + 8, count + 8))
    for one, other in itertools.pairwise(range(count)):
        apart = float(effects[other] - effects[one])
        firmly = _LEVEL_FOLLOWS * 4 / (3 + _LEVEL_FOLLOWS * apart * apart)
        precision[[one, other], [one, other]] += firmly
        precision[[one, other], [other, one]] -= firmly
    levels, weekdays = np.arange(count), np.arange(count + 1, count + 8)
    precision[levels, levels] += 1e-6
    precision[count, count] = 1e9 if decay is None else _DECAY_IS_USUAL
    precision[weekdays, weekdays] = _WEEKDAY_IS_NONE
    return precision


def _fitted(new: _Floats, design: _Floats, count: int, decay: float | None) -> _Floats:
    """The effects under which what was seen and believed is likeliest, by Newton's method."""
    prior = _prior(new, design, count, decay)
    effects = prior.copy()
    for _ in range(_STEPS_MAX):
        precision = _precision(effects, count, decay)
        expected = np.exp(np.minimum(design @ effects, _EXPONENT_MAX))
        slope = design.T @ (new - expected) - precision @ (effects - prior)
        curvature = (design * expected[:, None]).T @ design + precision
        step = np.clip(np.linalg.solve(curvature, slope), -1.0, 1.0)
        effects += step
        if np.abs(step).max() < 1e-6:
            break
    return effects
