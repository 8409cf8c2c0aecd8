"""What a rate of messages takes, day by day: `python -m bench.reckoning --rate 10000`.

Takes a rate that holds day and night; lives through some months with the server's own rules of
which runs are written anew and how large a filter is, and gives memory and disk of message ids,
the share of messages that are looked for on disk, and how much is written anew. Nothing is
measured: what a look and a rewritten key cost is measured by `python -m bench.message_ids`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from headcount.counting.calendar import Period, parse_period
from headcount.counting.keys import FINGERPRINT_BITS
from headcount.meter.merging import runs_to_rewrite
from headcount.store import filters

__all__ = ["Day", "main", "reckoned"]

_FIRST = parse_period("2026-01-01")
_DAY_S = 86_400
_RUN_KEYS = 4_000_000
_WINDOW_DAYS = 35
_PART_KEYS = 90_000
_FENCE_BYTES = 8 / 512
_DAY_BITS = 5


@dataclass(slots=True, eq=False)
class _Run:
    """A run as the rules see it: how many of its keys have each day."""

    name: str
    of_days: dict[int, int] = field(default_factory=dict)
    former = False

    @property
    def keys(self) -> int:
        return sum(self.of_days.values())

    @property
    def last_day(self) -> int:
        return max(self.of_days)

    def keys_before(self, day: int) -> int:
        return sum(keys for each, keys in self.of_days.items() if each < day)

    @property
    def filter_bytes(self) -> float:
        return self.keys * (filters.bits_a_key(self.keys) / 8 + _FENCE_BYTES)

    @property
    def share(self) -> float:
        """The share of ids that are not there which its filter does not rule out."""
        bits = filters.bits_a_key(self.keys)
        probes = filters.probes_of(bits)
        return (1 - math.exp(-probes / bits)) ** probes

    @property
    def disk_bytes(self) -> float:
        gap = 2**FINGERPRINT_BITS / self.keys
        step_bits = math.floor(math.log2(gap * (math.log(_PART_KEYS) + 0.6))) + 1
        day_bits = _DAY_BITS if len(self.of_days) > 1 else 0
        return self.keys * (1 + step_bits + day_bits) / 8 + self.filter_bytes


class Day(NamedTuple):
    """What a day ends with.

    Attributes:
        day: days since 1970.
        memory_bytes: of the filters of runs that live messages are asked of.
        disk_bytes: of all ids that are kept.
        ids: how many these are.
        asked_ids: in how many of them a live message is looked for.
        share: looks on disk for each new message.
        rewritten: keys written anew on that day.
        runs: keys of each run that is asked.
    """

    day: int
    memory_bytes: float
    disk_bytes: float
    ids: int
    asked_ids: int
    share: float
    rewritten: int
    runs: tuple[int, ...]


def reckoned(rate: int, months: int) -> list[Day]:
    """Live through some months.

    Args:
        rate: messages a second, day and night, every one with a new id.
        months: how many; the first two are not given, in which little is old yet.
    """
    names = map(str, count())
    held: dict[Period, list[_Run]] = {}
    days: list[Day] = []
    for day in range(_FIRST.first_day, _FIRST.shifted(months).first_day):
        now = Period.of_day(day)
        held.setdefault(now, [])
        rewritten, left = 0, rate * _DAY_S
        while left:
            keys = min(left, _RUN_KEYS)
            left -= keys
            held[now].append(_Run(next(names), {day - now.first_day: keys}))
            rewritten += _rewrite(held[now], 0, names)
        for period in sorted(held):
            if day > period.last_day + _WINDOW_DAYS:
                del held[period]  # it is sealed
            elif period != now:
                rewritten += _rewrite(held[period], _since(period, day), names)
        runs = [run for of in held.values() for run in of]
        asked = [r for period, of in held.items() for r in of if r.last_day >= _since(period, day)]
        days.append(
            Day(
                day,
                sum(run.filter_bytes for run in asked),
                sum(run.disk_bytes for run in runs),
                sum(run.keys for run in runs),
                sum(run.keys for run in asked),
                sum(run.share for run in asked),
                rewritten,
                tuple(sorted((run.keys for run in asked), reverse=True)),
            )
        )
    return [each for each in days if each.day >= _FIRST.shifted(2).first_day]


def _since(period: Period, day: int) -> int:
    return max(0, day - _WINDOW_DAYS - period.first_day)


def _rewrite(runs: list[_Run], since_day: int, names: Iterator[str]) -> int:
    """Write anew what is to be, until there is nothing; how many keys that were."""
    rewritten = 0
    as_rules_see_them: Any = runs
    while (found := runs_to_rewrite(as_rules_see_them, since_day)) is not None:
        parts: tuple[dict[int, int], dict[int, int]] = {}, {}
        for run in [run for run in runs if run.name in found.names]:
            runs.remove(run)
            for day, keys in run.of_days.items():
                part = parts[day >= found.cut_day]
                part[day] = part.get(day, 0) + keys
                rewritten += keys
        runs += [_Run(next(names), part) for part in parts if part]
    return rewritten


def main() -> int:
    """Reckon.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.reckoning", description=__doc__)
    parser.add_argument("--rate", type=int, default=10_000, help="messages a second")
    parser.add_argument("--months", type=int, default=5)
    options = parser.parse_args()
    days = reckoned(options.rate, options.months)
    messages = options.rate * _DAY_S
    print(f"{options.rate:,} messages a second, day and night, months 3 to {options.months}:")
    for measure, values, shown in (
        ("memory of filters, GB", [each.memory_bytes / 1e9 for each in days], "{:.1f}"),
        ("ids that are asked, billions", [each.asked_ids / 1e9 for each in days], "{:.1f}"),
        ("ids that are kept, billions", [each.ids / 1e9 for each in days], "{:.1f}"),
        ("disk, GB", [each.disk_bytes / 1e9 for each in days], "{:.0f}"),
        (
            "memory an id that is kept, bytes",
            [each.memory_bytes / each.ids for each in days],
            "{:.2f}",
        ),
        (
            "memory an id that is asked, bytes",
            [each.memory_bytes / each.asked_ids for each in days],
            "{:.2f}",
        ),
        ("disk an id, bytes", [each.disk_bytes / each.ids for each in days], "{:.2f}"),
        ("looks on disk a message", [each.share for each in days], "{:.3f}"),
        ("looks on disk a second", [each.share * options.rate for each in days], "{:,.0f}"),
        ("keys written anew a message", [each.rewritten / messages for each in days], "{:.1f}"),
    ):
        mean = sum(values) / len(values)
        print(f"{measure}: at most {shown.format(max(values))}, {shown.format(mean)} on average")
    largest = max(days, key=lambda each: each.memory_bytes)
    print("runs that are asked on the day on which memory is largest:")
    for keys, alike in Counter(largest.runs).items():
        run = _Run("", {0: keys})
        print(
            f"  {alike} of {keys / 1e6:,.0f} million keys: {filters.bits_a_key(keys):.2f} bits a"
            f" key, {run.filter_bytes / 1e9:.2f} GB each with fences, {run.share:.2%} of new ids"
            " looked for"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
