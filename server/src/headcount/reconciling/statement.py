"""A CSV of an invoice, or an export of usage: takes a file, gives a side.

A row is a day or a whole month, of the workspace or of a source; columns are found by what they
are usually called. Refuses what it cannot be sure of, naming the line, the column and the remedy.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from headcount.counting.calendar import Period, day_text
from headcount.counting.metrics import HEADLINES
from headcount.errors import OperatorError, UsageError
from headcount.reconciling.cells import NumberStyle
from headcount.reconciling.counts import CountedMonth, Days, SourceDays, empty_days, filled
from headcount.reconciling.headings import columns_in, part_of
from headcount.reconciling.row_times import Place, RowTimes, cell

__all__ = ["read_statement"]

# What spreadsheets put before the heading to say what parts cells.
_SAID_PART = re.compile(r"sep=([,;|\t])\s*", re.IGNORECASE)
_ROWS_MAX = 1_000_000
_SUMS = frozenset(("total", "totals", "grand total", "subtotal", "sum", "all", "all sources"))


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
        # By the day, a line that is about it.
        self._days_of_sources: dict[int, int] = {}
        self._days_of_none: dict[int, int] = {}
        heading = file.readline()
        if heading.lstrip()[:1] in ("{", "["):
            raise UsageError(
                f"{name} is JSON, and no CSV.",
                "Give a CSV file with a heading: day or month, source, api_calls, mtu. Messages in"
                " JSON are compared with --archive.",
            )
        said = _SAID_PART.fullmatch(heading)
        self._part = said[1] if said else part_of(heading)
        self._skipped = 1 if said else 0
        self._numbers = NumberStyle(self._part)

    def read(self) -> tuple[CountedMonth, bool]:
        """What it says, and whether it has days."""
        rows = self._rows()
        heading = next(rows)[1]
        columns = columns_in(self._name, heading)
        times = RowTimes(heading, columns, self._period, are_new=self._are_new)
        counts = [columns[metric.name] for metric in HEADLINES if metric.name in columns]
        for _, row in rows:
            times.learn(row)
            for at in counts:
                self._numbers.learn(cell(row, at))
        times.refuse_headings(self._name)
        rows = self._rows()
        next(rows)
        for line, row in rows:
            if any(each.strip() for each in row):
                self._take(Place(self._name, line), row, heading, columns, times)
        if not self._seen:
            raise UsageError(
                f"{self._name} has no row of {str(self._period)[:7]}.",
                "Name its month with --period.",
            )
        self._refuse_rows_left_blank()
        if not times.are_told:
            self._side.notes.append(
                f"No column of {self._name} is called day, date or month: each of its rows was"
                f" taken for all of {str(self._period)[:7]}."
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
            raise Place(self._name, reader.line_num + self._skipped).refuse(
                f"it is no CSV: {error}.", "Put cells with quotation marks or breaks in quotes."
            ) from None
        if nothing:
            yield 1, []

    def _take(
        self,
        place: Place,
        row: list[str],
        heading: list[str],
        columns: Mapping[str, int],
        times: RowTimes,
    ) -> None:
        if any(each.strip() for each in row[len(heading) :]):
            raise place.refuse(
                "it has more cells than the heading.",
                "Put numbers whose thousands are grouped by commas in quotation marks.",
            )
        told = times.day_of(place, row)
        if told is None:
            return
        day, is_month = told
        if len(self._seen) >= _ROWS_MAX:
            raise place.refuse(
                f"there are more than {_ROWS_MAX:,} rows of {self._period}.",
                "Give a file with a row a day and source.",
            )
        days, source = _days(place, self._side, row, columns)
        if not is_month:
            (self._days_of_sources if source else self._days_of_none)[day] = place.line
        if first := self._seen.get((source, day)):
            raise place.refuse(*_said_twice(first, columns))
        self._seen[source, day] = place.line
        for metric in HEADLINES:
            if metric.name in columns:
                at = columns[metric.name]
                days[metric.name][day] = self._count(place, heading[at], cell(row, at))

    def _refuse_rows_left_blank(self) -> None:
        """Refuse rows without a source that only seem to be of the workspace.

        A spreadsheet whose cells were joined, or that leaves out what stands above, has the source
        in its first row alone. Rows of the workspace stand beside rows of sources of their days.
        """
        none, sources = self._days_of_none, self._days_of_sources
        if none and sources and not none.keys() & sources.keys():
            raise Place(self._name, min(none.values())).refuse(
                "it has no source, and no row of its day has one, while rows of other days have.",
                "Write the source into each of its rows, or leave rows of the workspace out.",
            )

    def _count(self, place: Place, column: str, text: str) -> int | None:
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


def _days(
    place: Place, side: CountedMonth, row: Sequence[str], columns: Mapping[str, int]
) -> tuple[Days, str]:
    """The days that a row is of, and its source's id; empty of the workspace."""
    names = [
        cell(row, columns[each]).strip() if each in columns else ""
        for each in ("source_id", "source_name")
    ]
    source_id, name = names[0] or names[1], names[1] or names[0]
    if name.casefold() in _SUMS and (not names[0] or not names[1]):
        raise place.refuse(
            f'a source called "{name}" looks like the sum of other rows.',
            "Leave the source of rows of the whole workspace empty. Where it is one, give sources"
            " two columns, source_id and source_name.",
        )
    if not source_id:
        return side.workspace, ""
    made = SourceDays(source_id, name, empty_days(side.period))
    return side.sources.setdefault(source_id, made).days, source_id
