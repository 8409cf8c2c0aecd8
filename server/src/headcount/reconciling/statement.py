"""A CSV of an invoice, or an export of usage: takes a file, gives a side.

A row is a day or a whole month, of the workspace or of a source; columns are found by what they
are usually called. Refuses what it cannot be sure of, naming the line, the column and the remedy.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from headcount.counting.calendar import Period
from headcount.counting.metrics import HEADLINES
from headcount.errors import OperatorError, UsageError
from headcount.reconciling.counts import CountedMonth, Days, SourceDays, empty_days, filled

__all__ = ["read_statement"]

_NAMES = {
    "day": ("day", "date", "timestamp", "usagedate", "chargeperiodstart"),
    "period": ("period", "month", "billingperiod", "billingmonth", "billingperiodstart"),
    "source_id": ("sourceid", "source"),
    "source_name": ("sourcename", "name", "sourceslug"),
    "api_calls": ("apicalls", "calls", "apicall", "events", "messages"),
    "mtu": ("mtu", "mtus", "monthlytrackedusers", "trackedusers", "users"),
}
_LETTERS = re.compile(r"[^a-z]")
_DATE = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")
_SEPARATORS = re.compile(r"[,_' \u00a0\u202f]")
_ROWS_MAX = 1_000_000


class _Place(NamedTuple):
    """Where a cell is, for what is said of it."""

    file: str
    line: int

    def refuse(self, what: str, remedy: str) -> UsageError:
        return UsageError(f"{self.file}, line {self.line}: {what}", remedy)


def read_statement(path: Path, period: Period, *, are_new: bool) -> CountedMonth:
    """What a file says of a month.

    Args:
        path: a CSV file with a heading, in UTF-8.
        period: the month; rows of others are passed over.
        are_new: whether a day's count is what was new on it, instead of the month's so far.

    Raises:
        UsageError: the file is not what it must be.
        OperatorError: it cannot be read.
    """
    side = CountedMonth(period, empty_days(period))
    rows_of_month = 0
    seen: dict[tuple[str, int], int] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = _columns(path.name, reader.fieldnames or [])
            for row in reader:
                place = _Place(path.name, reader.line_num)
                day = _day(place, row, columns, period)
                if day is None:
                    continue
                rows_of_month += 1
                if rows_of_month > _ROWS_MAX:
                    raise place.refuse(
                        f"there are more than {_ROWS_MAX:,} rows of {period}.",
                        "Give a file with a row a day and source.",
                    )
                days, source = _days(side, row, columns)
                if first := seen.get((source, day)):
                    raise place.refuse(
                        f"the same {'day' if 'day' in columns else 'month'} stands in line {first}"
                        " already, of the same source.",
                        "Give one row each.",
                    )
                seen[source, day] = place.line
                for metric in HEADLINES:
                    if metric.name in columns:
                        count = _count(place, columns[metric.name], row)
                        days[metric.name][day] = count
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            f"{path} cannot be read: {error}.", "Give a CSV file in UTF-8."
        ) from None
    if not rows_of_month:
        raise UsageError(
            f"{path.name} has no row of {str(period)[:7]}.", "Name its month with --period."
        )
    every = [side.workspace, *(source.days for source in side.sources.values())]
    for days in every:
        if are_new:
            _add_up(days)
        elif "day" in columns:
            _filled_between(days)
    return side


def _filled_between(days: Days) -> None:
    """Zeros before the first known day, and the last known total on days that are left out."""
    filled(days)
    for totals in days.values():
        last = max((day for day, total in enumerate(totals) if total is not None), default=-1)
        before: int | None = None
        for day in range(last + 1):
            if totals[day] is None:
                totals[day] = before
            before = totals[day]


def _add_up(days: Days) -> None:
    for totals in days.values():
        last = max((day for day, total in enumerate(totals) if total is not None), default=-1)
        total = 0
        for day in range(last + 1):
            total += totals[day] or 0
            totals[day] = total


def _columns(file: str, heading: Sequence[str]) -> dict[str, str]:
    """What is meant by which column of the file."""
    found: dict[str, str] = {}
    for column in heading:
        plain = _LETTERS.sub("", column.lower())
        meant = next((name for name, words in _NAMES.items() if plain in words), None)
        if meant is None:
            continue
        if meant in found:
            raise UsageError(
                f'{file} has two columns for the same: "{found[meant]}" and "{column}".',
                "Leave one of them out of the file.",
            )
        found[meant] = column
    if not any(metric.name in found for metric in HEADLINES):
        raise UsageError(
            f"{file} has no column of counts.",
            "Call one api_calls or mtu, in its first line; others are day or month, and source.",
        )
    return found


def _day(
    place: _Place, row: Mapping[str, str | None], columns: Mapping[str, str], period: Period
) -> int | None:
    """The day of the month that a row is about, from 0; None where it is about another month.

    A row about the month, or about no time at all, is about its last day.
    """
    column = columns.get("day") or columns.get("period")
    if column is None:
        return period.length - 1
    text = (row.get(column) or "").strip()
    match = _DATE.match(text)
    try:
        if match is None:
            raise ValueError
        day = date(int(match[1]), int(match[2]), int(match[3] or 1))
    except ValueError:
        raise place.refuse(
            f'"{text}" in the column {column} is no date.', "Write it as 2026-11-03."
        ) from None
    if (day.year, day.month) != tuple(map(int, str(period).split("-")[:2])):
        return None
    return day.day - 1 if "day" in columns else period.length - 1


def _days(
    side: CountedMonth, row: Mapping[str, str | None], columns: Mapping[str, str]
) -> tuple[Days, str]:
    """The days that a row is of, and its source's id; empty of the workspace."""
    names = [
        (row.get(columns[each]) or "").strip() if each in columns else ""
        for each in ("source_id", "source_name")
    ]
    source_id, name = names[0] or names[1], names[1] or names[0]
    if not source_id:
        return side.workspace, ""
    made = SourceDays(source_id, name, empty_days(side.period))
    return side.sources.setdefault(source_id, made).days, source_id


def _count(place: _Place, column: str, row: Mapping[str, str | None]) -> int | None:
    text = _SEPARATORS.sub("", row.get(column) or "")
    if not text:
        return None
    digits = text.removesuffix(".0").removesuffix(".00")
    # What is new on a day may be less than nothing: tracked users become fewer.
    if not (digits.isascii() and digits.removeprefix("-").isdigit() and len(digits) <= 18):
        raise place.refuse(
            f'"{row.get(column)}" in the column {column} is no whole number.',
            "Write it with digits alone.",
        )
    return int(digits)
