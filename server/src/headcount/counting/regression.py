"""What a month's days to come bring of one column: takes the days that were, gives expectations.

What is new on a day is expected to be a month's level, times a trend, times what its day of the
week has, times (for sets of ids, which fill up: who came before is not new) a power of how far into
the month it is. All are learned together from the complete days of this month and of those before,
by a Poisson regression whose priors say: no day of the week differs, a month's level is about that
of the month before, nothing grows, and sets fill up as they usually do. A day counts for twenty
messages or ids on average, and never for more than sixty: days differ by more than chance. What few
days have, and is more than ten times what any other of their month has, is not learned from.

How far it may be from that: what the regression does not know (the covariance of what it learned,
as far as days were from it), how far the days to come will be, and some in a hundred for what no
such model sees. The months before are back-tested too: what each would have been told of its end
after as many days as are complete now, and by how much that missed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.calendar import Period
from headcount.counting.usage import DAYS_MAX

__all__ = ["Expected", "Floats", "expected_of"]

# How many messages or ids a day counts for, on average and at most: the unit of what follows.
_DAY_WEIGHT, _DAY_WEIGHT_MAX = 20.0, 40.0
# Precisions of the priors.
_LEVEL_FOLLOWS, _WEEKDAY_IS_NONE, _DECAY_IS_USUAL, _TREND_IS_NONE = 300.0, 3.0, 10.0, 260.0
# A trend is that of so many months before, no older one.
_TREND_MONTHS = 2
# Sets fill up by a power of the days since some before the month's first: who comes every day is
# seen at once, but there are few of them.
_DAYS_BEFORE = 4.0
# What no such model sees, in shares of what is expected.
_UNSEEN = 0.02
# How far days are from what is expected, squared, in what their weight says; believed as firmly as
# so many days would tell it.
_USUAL_NOISE, _USUAL_NOISE_DAYS = 0.6, 2.0
# So many days may have more than so many times what the others have, and be none of them.
_OUTLIERS_ONE_IN, _OUTLIER_TIMES = 8, 10
_STEPS_MAX, _BACK_STEPS = 30, 6
_EXPONENT_MAX = 30.0

Floats = npt.NDArray[np.float64]


class Expected(NamedTuple):
    """What is expected.

    Attributes:
        totals: of the days from the first one that is not complete, up to and including each.
        variances: of these, by what the regression says of itself.
        volume: the last of the totals; of several columns their sum, whatever their signs.
        told: the volume that each of the months before would have been told; 0 where none was.
        missed: what came in it beyond that.
    """

    totals: Floats
    variances: Floats
    volume: float
    told: Floats
    missed: Floats

    def plus(self, other: Expected, sign: int) -> Expected:
        """The sum with, or the difference from, what is expected of another column."""
        return Expected(
            self.totals + sign * other.totals,
            self.variances + other.variances,
            self.volume + other.volume,
            self.told + other.told,
            self.missed + sign * other.missed,
        )


def expected_of(months: Sequence[Floats], period: Period, decay: float | None) -> Expected | None:
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
    count, done = len(months), len(months[-1])
    starts = [period.shifted(place - count + 1).first_day for place in range(count)]
    # Whoever comes on the very first day is new: it tells nothing of others, unless it begins a
    # month like any other.
    skipped = int(np.flatnonzero(months[0])[0])
    places = [np.arange(len(month)) for month in months]
    if skipped:
        places[0] = places[0][skipped + 1 :]
    design = np.concatenate(
        [_rows(each, at, starts, 0 if at else skipped) for at, each in enumerate(places)]
    )
    new = np.concatenate([month[each] for month, each in zip(months, places, strict=True)])
    if not new.any():
        return None
    scale = max(1.0, float(new.mean()) / _DAY_WEIGHT)
    new /= scale
    effects = _fitted(new, design, count, decay)
    noise, covariance = _uncertainty(new, design, effects, count, decay)
    rows = _rows(np.arange(done, period.length), count - 1, starts, skipped if count == 1 else 0)
    by_day = _exp(rows @ effects)
    totals = by_day.cumsum()
    slopes = (by_day[:, None] * rows).cumsum(axis=0)
    unknown = ((slopes @ covariance) * slopes).sum(axis=1) + (_UNSEEN * totals) ** 2
    # No fewer than chance alone would have it.
    chance = np.maximum(by_day / scale, noise * by_day**2 / _weights(by_day)).cumsum()
    back = np.zeros((2, begun + count - 1))
    if count > 2:
        shapes = np.split(_exp(design[:, count:] @ effects[count:]), _ends(places))[:-1]
        news = np.split(new, _ends(places))[:-1]
        back[:, begun + 1 :] = _back_tested(news, shapes, done)
    return Expected(
        totals * scale, (chance + unknown) * scale**2, float(totals[-1]) * scale, *(back * scale)
    )


def _ends(places: Sequence[npt.NDArray[np.int64]]) -> list[int]:
    return list(itertools.accumulate(map(len, places)))[:-1]


def _exp(exponents: Floats) -> Floats:
    found: Floats = np.exp(np.minimum(exponents, _EXPONENT_MAX))
    return found


def _weights(expected: Floats) -> Floats:
    """For how many messages or ids days count that are expected to have so many."""
    return expected / (1 + expected / _DAY_WEIGHT_MAX)


def _uncertainty(
    new: Floats, design: Floats, effects: Floats, count: int, decay: float | None
) -> tuple[float, Floats]:
    """How far days are from what is expected, squared, in what their weight says; and the
    covariance of the effects: days tell them as well as that, priors as well as they say.
    """
    expected = _exp(design @ effects)
    weights = _weights(expected)
    told = (design * weights[:, None]).T @ design
    precision = _precision(effects, count, decay)
    whole = np.linalg.inv(told + precision)
    surplus = float((((new - expected) ** 2) / (expected**2 / weights + 0.5)).sum())
    # Each effect that days alone tell takes a day's freedom.
    free = len(new) - float((whole * told).sum())
    noise = (_USUAL_NOISE * _USUAL_NOISE_DAYS + surplus) / (_USUAL_NOISE_DAYS + free)
    return noise, whole @ (noise * told + precision) @ whole


def _back_tested(
    news: Sequence[Floats], shapes: Sequence[Floats], done: int
) -> tuple[Floats, Floats]:
    """What months but the first would have been told after some days, and what came beyond that.

    Args:
        news: new on each day of each month.
        shapes: what is expected of these days, for a level of 0.
        done: after how many days.
    """
    new, shape = np.zeros((2, len(news), DAYS_MAX))
    for place, (days, expected) in enumerate(zip(news, shapes, strict=True)):
        new[place, : len(days)], shape[place, : len(days)] = days, expected
    # The level of the month before as its own days have it: the regression's knows what came after.
    before = np.log((new.sum(axis=1) + 0.5) / (shape.sum(axis=1) + 0.5))[:-1]
    new, shape, level = new[1:], shape[1:], before
    for _ in range(_BACK_STEPS):
        expected = _exp(level[:, None] + np.log(shape[:, :done] + 1e-300))
        firmly = _firmly(level - before)
        surplus = ((new[:, :done] - expected) / (1 + expected / _DAY_WEIGHT_MAX)).sum(axis=1)
        curvature = _weights(expected).sum(axis=1) + firmly
        level = level + np.clip((surplus - firmly * (level - before)) / curvature, -1, 1)
    told = _exp(level) * shape[:, done:].sum(axis=1)
    return told, new[:, done:].sum(axis=1) - told


def _without_outliers(new: Floats) -> Floats:
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


def _rows(days: npt.NDArray[np.int64], at: int, starts: Sequence[int], skipped: int) -> Floats:
    """The regression's rows of days of one month: its level, the decay, the trend, the weekday.

    Args:
        days: of the month, from 0.
        at: the place of the month among all.
        starts: the first day of each month, in days since 1970.
        skipped: days before the first usage, from which on sets fill up.
    """
    count = len(starts)
    rows = np.zeros((len(days), count + 9))
    rows[:, at] = 1.0
    rows[:, count] = -np.log1p((days - skipped) / _DAYS_BEFORE)
    rows[:, count + 1] = np.maximum((starts[at] + days - starts[-1]) / 30, -_TREND_MONTHS)
    rows[np.arange(len(days)), count + 2 + (starts[at] + days) % 7] = 1.0
    return rows


def _prior(new: Floats, design: Floats, count: int, decay: float | None) -> Floats:
    """The effects that are believed before anything was seen."""
    effects = np.zeros(count + 9)
    effects[count] = decay or 0.0
    effects[:count] = math.log((new.sum() + 0.5) / np.exp(design @ effects).sum())
    return effects


def _firmly(apart: Floats) -> Floats:
    """How firmly it is believed that levels follow one another that are so far apart.

    It has a long tail, as Student's t has with three degrees of freedom: a month that is twice or
    ten times another is held against it no more than once.
    """
    return _LEVEL_FOLLOWS * 4 / (3 + _LEVEL_FOLLOWS * apart * apart)


def _precision(effects: Floats, count: int, decay: float | None) -> Floats:
    """How firmly the prior is believed."""
    precision = np.zeros((count + 9, count + 9))
    one, other = np.arange(count - 1), np.arange(1, count)
    firmly = _firmly(effects[other] - effects[one])
    precision[one, one] += firmly
    precision[other, other] += firmly
    precision[one, other] = precision[other, one] = -firmly
    own = np.full(count + 9, _WEEKDAY_IS_NONE)
    own[:count] = 1e-6
    own[count] = 1e9 if decay is None else _DECAY_IS_USUAL
    own[count + 1] = _TREND_IS_NONE
    return precision + np.diag(own)


def _fitted(new: Floats, design: Floats, count: int, decay: float | None) -> Floats:
    """The effects under which what was seen and believed is likeliest, by Newton's method."""
    prior = _prior(new, design, count, decay)
    effects = prior.copy()
    for _ in range(_STEPS_MAX):
        precision = _precision(effects, count, decay)
        expected = _exp(design @ effects)
        seen = design.T @ ((new - expected) / (1 + expected / _DAY_WEIGHT_MAX))
        slope = seen - precision @ (effects - prior)
        curvature = (design * _weights(expected)[:, None]).T @ design + precision
        step = np.clip(np.linalg.solve(curvature, slope), -1.0, 1.0)
        effects += step
        if np.abs(step).max() < 1e-4:
            break
    return effects
