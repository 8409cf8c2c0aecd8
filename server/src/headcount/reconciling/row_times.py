"""Which day of a month a row of a statement is about: takes its cells, gives a day, or refuses.

A row that might be of another month is never counted as one of this: where no column is known to
hold times, whatever looks like one refuses the row, and where one is, another that says another
month does.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from headcount.counting.calendar import Period, day_text
from headcount.counting.metrics import HEADLINES
from headcount.errors import UsageError
from headcount.reconciling.other_times import OtherTimes
from headcount.reconciling.times import day_in, looks_like_time, may_be_time

__all__ = ["Place", "RowTimes", "cell"]

_FIRST_OF_DAYS = date(1970, 1, 1)
_KNOWN_BY = (
    "Call the column of days day or date, or that of months month; leave one that says something"
    " else out of the file."
)


class Place(NamedTuple):
    """Where a cell is, for what is said of it."""

    file: str
    line: int

    def refuse(self, what: str, remedy: str) -> UsageError:
        """The refusal of it."""
        return UsageError(f"{self.file}, line {self.line}: {what}", remedy)


def cell(row: Sequence[str], at: int) -> str:
    """A cell of a row that may be too short."""
    return row[at] if at < len(row) else ""


class RowTimes:
    """What a file says of times.

    Args:
        heading: its first line.
        columns: which of its columns are known, by what they mean.
        period: the month.
        are_new: whether a day's count is what was new on it.
    """

    def __init__(
        self, heading: Sequence[str], columns: Mapping[str, int], period: Period, *, are_new: bool
    ) -> None:
        self._heading, self._columns, self._period = heading, columns, period
        self._are_new = are_new
        self._told = [columns[name] for name in ("day", "period") if name in columns]
        counts = {columns[metric.name] for metric in HEADLINES if metric.name in columns}
        names = {columns[name] for name in ("source_id", "source_name") if name in columns}
        # A source may be called October; it is no time where the column is known to name sources.
        self._others = [at for at in range(len(heading)) if at not in counts | names]
        self._beside = OtherTimes(heading, self._told, self._others, columns.get("day"))
        # By the column, whether each of its cells is digits that may be a time.
        self._digits: dict[int, bool] = {}
        self._starts = (
            "start" in heading[columns["period"]].lower() if "period" in columns else False
        )

    @property
    def are_told(self) -> bool:
        """Whether a column of days or of months is known."""
        return bool(self._told)

    def learn(self, row: Sequence[str]) -> None:
        """Look at a row below the heading, before any is asked about."""
        if self._told:
            self._beside.learn(row)
        else:
            for at in self._others:
                if text := cell(row, at).strip():
                    self._digits[at] = self._digits.get(at, True) and may_be_time(text)

    def refuse_headings(self, file: str) -> None:
        """Refuse a heading that names a time itself, where no column is known to."""
        for at in () if self._told else self._others:
            if _is_time(self._heading[at]):
                raise Place(file, 1).refuse(
                    f'no column is called day, date or month, and "{self._heading[at]}" looks like'
                    " a time.",
                    _KNOWN_BY,
                )

    def day_of(self, place: Place, row: Sequence[str]) -> tuple[int, bool] | None:
        """The day of the month that a row is about, from 0, and whether it is about all of it.

        A row about the month, or about no time at all, is about its last day. None where it is
        about another month.
        """
        last = self._period.length - 1
        if not self._told:
            self._refuse_untold(place, row)
            return last, True
        at = next((each for each in self._told if cell(row, each).strip()), self._told[0])
        is_of_days = at == self._columns.get("day")
        day, is_month = self._read(place, row, at, is_of_days=is_of_days)
        self._refuse_another_month(place, row, at, day)
        number = (day - _FIRST_OF_DAYS).days
        if not self._period.first_day <= number <= self._period.last_day:
            return None
        if not is_month and is_of_days:
            return number - self._period.first_day, False
        if self._are_new and "day" in self._columns:
            # A total below its days would be added to them.
            raise place.refuse(
                f'"{cell(row, at).strip()}" in the column {self._heading[at]} is a whole month,'
                " among days of which each has what was new on it alone.",
                "Leave that row out of the file, or --new where no row is of a day.",
            )
        return last, True

    def _read(
        self, place: Place, row: Sequence[str], at: int, *, is_of_days: bool
    ) -> tuple[date, bool]:
        text, column = cell(row, at).strip(), self._heading[at]
        found = day_in(text)
        if found is None:
            third = day_text(self._period.first_day + 2)
            raise place.refuse(
                f'"{text}" in the column {column} is no date.',
                f"Write it as {third}: year, month, day."
                if is_of_days
                else f"Write it as {third[:7]}: year, month.",
            )
        day, is_month = found
        if not is_of_days and not is_month and not self._bounds_a_month(day):
            raise place.refuse(
                f'"{text}" in the column {column} is inside of a month, so the row is about parts'
                " of two, as it seems; a month here is one of the calendar, in UTC.",
                f"Give counts of calendar months, written as {str(self._period)[:7]}, or call the"
                " column of days day.",
            )
        return day, is_month

    def _bounds_a_month(self, day: date) -> bool:
        """Whether it is the first day of a month, or the last one by which some call it."""
        return day.day == 1 or (not self._starts and day.day == monthrange(day.year, day.month)[1])

    def _refuse_another_month(self, place: Place, row: Sequence[str], at: int, day: date) -> None:
        other = self._beside.another(row, at, day)
        if other is not None:
            raise place.refuse(
                f'the column {self._heading[at]} says "{cell(row, at).strip()}", and'
                f' {self._heading[other]} another month, "{cell(row, other).strip()}".',
                "Leave the one that does not say when the usage was out of the file.",
            )

    def _refuse_untold(self, place: Place, row: Sequence[str]) -> None:
        """Refuse a row that seems to name a time where no column is known to: it may be another."""
        for at in self._others:
            text = cell(row, at).strip()
            if _is_time(text) or (text and self._digits[at]):
                raise place.refuse(
                    f'no column is called day, date or month, and "{text}" in the column'
                    f" {self._heading[at] or at + 1} looks like a time.",
                    _KNOWN_BY,
                )


def _is_time(text: str) -> bool:
    # The first word, since one of a time of day or of a range of days is a time too.
    return looks_like_time(text) or day_in(text.strip().partition(" ")[0]) is not None
