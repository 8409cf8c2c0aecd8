"""A CSV of an invoice, or an export of usage: takes a file, gives a side.

A row is a day or a whole month, of the workspace or of a source; columns are found by what they
are usually called. Refuses what it cannot be sure of, naming the line, the column and the remedy.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import IO, NamedTuple

from headcount.counting.calendar import Period, day_text
from headcount.counting.metrics import HEADLINES
from headcount.errors import OperatorError, UsageError
from headcount.reconciling.cells import NumberStyle, day_in
from headcount.reconciling.counts import CountedMonth, Days, SourceDays, empty_days, filled

__all__ = ["read_statement"]

_NAMES = {
    "day": ("day", "date", "dateutc", "timestamp", "usagedate", "chargeperiodstart"),
    "period": ("period", "month", "billingperiod", "billingmonth", "billingperiodstart"),
    "source_id": ("sourceid", "source"),
    "source_name": ("sourcename", "name", "sourceslug"),
    "api_calls": ("apicalls", "calls", "apicall", "events", "messages"),
    "mtu": ("mtu", "mtus", "monthlytrackedusers", "trackedusers", "users"),
}
_LETTERS = re.compile(r"[^a-z]")
_PARTS = (",", ";", "\t", "|")
# What spreadsheets put before the heading to say what parts cells.
_SAID_PART = re.compile(r"sep=([,;|\t])\s*", re.IGNORECASE)
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
        path: a CSV file with a heading, in UTF-8 or UTF-16; commas, semicolons, tabs or bars part
            its cells.
        period: the month; rows of others are passed over.
        are_new: whether a day's count is what was new on it, instead of the month's so far.

    Raises:
        UsageError: the file is not what it must be.
        OperatorError: it cannot be read.
    """
    try:
        with path.open("rb") as raw:
            wide = raw.read(2) in (b"\xff\xfe", b"\xfe\xff")
        with path.open(encoding="utf-16" if wide else "utf-8-sig", newline="") as file:
            side, by_day = _Statement(path.name, file, period, are_new=are_new).read()
    except UnicodeError:
        raise OperatorError(
            f"{path} cannot be read: it is not in UTF-8.", "Save it as CSV in UTF-8."
        ) from None
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be read: {error.strerror or error}.", "Name a CSV file with --theirs."
        ) from None
    last_known = side.last_known
    for whose, days in (
        ("the workspace", side.workspace),
        *((each.name, each.days) for each in side.sources.values()),
    ):
        if are_new:
            _add_up(days, last_known)
        elif by_day:
            _fill_between(days, last_known)
        _check(path.name, whose, days, period, are_new=are_new)
    return side


class _Statement:
    """Reads one file: twice, since what it looks like shows only in all of it."""

    def __init__(self, name: str, file: IO[str], period: Period, *, are_new: bool) -> None:
        self._name, self._file, self._period = name, file, period
        self._are_new = are_new
        self._side = CountedMonth(period, empty_days(period))
        self._seen: dict[tuple[str, int], int] = {}
        heading = file.readline()
        said = _SAID_PART.fullmatch(heading)
        self._part = said[1] if said else _part_of(heading)
        self._skipped = 1 if said else 0
        self._numbers = NumberStyle(self._part)

    def read(self) -> tuple[CountedMonth, bool]:
        """What it says, and whether it has days."""
        rows = self._rows()
        columns = _columns(self._name, next(rows)[1])
        counts = [columns[metric.name] for metric in HEADLINES if metric.name in columns]
        for _, row in rows:
            for at in counts:
                self._numbers.learn(_cell(row, at))
        rows = self._rows()
        heading = next(rows)[1]
        for line, row in rows:
            if any(each.strip() for each in row):
                self._take(_Place(self._name, line), row, heading, columns)
        if not self._seen:
            raise UsageError(
                f"{self._name} has no row of {str(self._period)[:7]}.",
                "Name its month with --period.",
            )
        return self._side, "day" in columns

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The number of each line and its cells, the heading first."""
        self._file.seek(0)
        for _ in range(self._skipped):
            self._file.readline()
        reader = csv.reader(self._file, delimiter=self._part, strict=True)
        nothing = True
        try:
            for row in reader:
                nothing = False
                yield reader.line_num + self._skipped, row
        except csv.Error as error:
            raise _Place(self._name, reader.line_num + self._skipped).refuse(
                f"it is no CSV: {error}.", "Put cells with quotation marks or breaks in quotes."
            ) from None
        if nothing:
            yield 1, []

    def _take(
        self, place: _Place, row: list[str], heading: list[str], columns: Mapping[str, int]
    ) -> None:
        if any(each.strip() for each in row[len(heading) :]):
            raise place.refuse(
                "it has more cells than the heading.",
                "Put numbers whose thousands are grouped by commas in quotation marks.",
            )
        day = _day(place, row, heading, columns, self._period, are_new=self._are_new)
        if day is None:
            return
        if len(self._seen) >= _ROWS_MAX:
            raise place.refuse(
                f"there are more than {_ROWS_MAX:,} rows of {self._period}.",
                "Give a file with a row a day and source.",
            )
        days, source = _days(self._side, row, columns)
        if first := self._seen.get((source, day)):
            raise place.refuse(*_said_twice(first, columns))
        self._seen[source, day] = place.line
        for metric in HEADLINES:
            if metric.name in columns:
                at = columns[metric.name]
                days[metric.name][day] = self._count(place, heading[at], _cell(row, at))

    def _count(self, place: _Place, column: str, text: str) -> int | None:
        if not text.strip():
            return None
        try:
            count = self._numbers.count_in(text)
        except ValueError as error:
            raise place.refuse(
                f'"{text}" in the column {column} may be {error}.', "Write it with digits alone."
            ) from None
        # What is new on a day may be less than nothing: tracked users become fewer.
        if count is None or (count < 0 and not self._are_new):
            raise place.refuse(
                f'"{text}" in the column {column} is no whole number'
                f"{' from 0 on' if count is not None else ''}.",
                "Write it with digits alone.",
            )
        return count


def _part_of(heading: str) -> str:
    """What parts the cells of a heading: by what most of its columns are found."""

    def found(part: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([heading], delimiter=part), [])
        except csv.Error:
            return 0, 0
        return len({_meant(each) for each in cells} - {""}), len(cells)

    return max(_PARTS, key=found)


def _cell(row: Sequence[str], at: int) -> str:
    return row[at] if at < len(row) else ""


def _said_twice(first: int, columns: Mapping[str, int]) -> tuple[str, str]:
    if "day" in columns:
        return (
            f"the same day stands in line {first} already, of the same source.",
            "Give one row each.",
        )
    if "period" in columns:
        return (
            f"the same month stands in line {first} already, of the same source.",
            "Give one row each; call the column of days day or date.",
        )
    return (
        f"no column is called day, date or month, so each row is about the whole month, and line"
        f" {first} already is, of the same source.",
        "Call the column of days day or date.",
    )


def _fill_between(days: Days, last_day: int) -> None:
    """Zeros before the first known day, and the last known total on days that are left out."""
    filled(days)
    for totals in days.values():
        if not any(total is not None for total in totals):
            continue
        before: int | None = None
        for day in range(last_day + 1):
            if totals[day] is None:
                totals[day] = before
            before = totals[day]


def _add_up(days: Days, last_day: int) -> None:
    for totals in days.values():
        if not any(total is not None for total in totals):
            continue
        total = 0
        for day in range(last_day + 1):
            total += totals[day] or 0
            totals[day] = total


def _check(file: str, whose: str, days: Days, period: Period, *, are_new: bool) -> None:
    """Refuse totals that cannot be totals."""
    for metric in HEADLINES:
        before = 0
        for day, total in enumerate(days[metric.name]):
            if total is None:
                continue
            if total < 0 or (total < before and not metric.may_fall):
                raise UsageError(
                    f"{file}: {metric.label} of {whose} would fall from {before:,} to {total:,} on"
                    f" {day_text(period.first_day + day)}.",
                    "Correct the file."
                    if are_new
                    else "If each day has what came on it alone, give --new.",
                )
            before = total


def _meant(column: str) -> str:
    """What a column is, by what it is called; empty where nobody can say."""
    plain = _LETTERS.sub("", column.lower())
    return next((name for name, words in _NAMES.items() if plain in words), "")


def _columns(file: str, heading: Sequence[str]) -> dict[str, int]:
    """Where what stands, by what columns are called."""
    meant = [_meant(each) for each in heading]
    if "sourceid" in (plain := [_LETTERS.sub("", each.lower()) for each in heading]):
        # Beside an id, what is called source alone is its name.
        meant = [
            "source_name" if each == "source" else m for m, each in zip(meant, plain, strict=True)
        ]
    found: dict[str, int] = {}
    for at, name in enumerate(meant):
        if not name:
            continue
        if name in found:
            raise UsageError(
                f'{file} has two columns for the same: "{heading[found[name]]}" and'
                f' "{heading[at]}".',
                "Leave one of them out of the file.",
            )
        found[name] = at
    if not any(metric.name in found for metric in HEADLINES):
        raise UsageError(
            f"{file} has no column of counts.",
            "Call one api_calls or mtu, in its first line; others are day or month, and source.",
        )
    return found


def _day(
    place: _Place,
    row: Sequence[str],
    heading: Sequence[str],
    columns: Mapping[str, int],
    period: Period,
    *,
    are_new: bool,
) -> int | None:
    """The day of the month that a row is about, from 0; None where it is about another month.

    A row about the month, or about no time at all, is about its last day.
    """
    told = [columns[name] for name in ("day", "period") if name in columns]
    if not told:
        _refuse_untold_time(place, row, heading, columns)
        return period.length - 1
    at = next((each for each in told if _cell(row, each).strip()), told[0])
    text = _cell(row, at).strip()
    found = day_in(text)
    if found is None:
        raise place.refuse(
            f'"{text}" in the column {heading[at]} is no date.',
            f"Write it as {day_text(period.first_day + 2)}: year, month, day.",
        )
    day, is_month = found
    number = (day - date(1970, 1, 1)).days
    if not period.first_day <= number <= period.last_day:
        return None
    if is_month or at != columns.get("day"):
        if are_new and "day" in columns:
            # A total below its days would be added to them.
            raise place.refuse(
                f'"{text}" in the column {heading[at]} is a whole month, among days of which each'
                " has what was new on it alone.",
                "Leave that row out of the file, or --new where no row is of a day.",
            )
        return period.length - 1
    return number - period.first_day


def _refuse_untold_time(
    place: _Place, row: Sequence[str], heading: Sequence[str], columns: Mapping[str, int]
) -> None:
    """Refuse a row that seems to name a time, where no column is known to: it may be another."""
    counts = {columns[metric.name] for metric in HEADLINES if metric.name in columns}
    for at, cell in enumerate(row):
        # The first word, since one of a time of day or of a range of days is a time too.
        text = cell.strip()
        if at not in counts and day_in(re.split(r"[T ]", text)[0]):
            raise place.refuse(
                f'no column is called day, date or month, and "{text}" in the column'
                f" {heading[at] or at + 1} looks like a time.",
                "Call the column of days day or date, or that of months month.",
            )


def _days(side: CountedMonth, row: Sequence[str], columns: Mapping[str, int]) -> tuple[Days, str]:
    """The days that a row is of, and its source's id; empty of the workspace."""
    names = [
        _cell(row, columns[each]).strip() if each in columns else ""
        for each in ("source_id", "source_name")
    ]
    source_id, name = names[0] or names[1], names[1] or names[0]
    if not source_id:
        return side.workspace, ""
    made = SourceDays(source_id, name, empty_days(side.period))
    return side.sources.setdefault(source_id, made).days, source_id
