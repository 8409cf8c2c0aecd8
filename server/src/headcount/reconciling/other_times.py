"""What columns beside the one of days or months say of when a row is: takes rows, says which of
them names another month.

A column speaks of the month by its name, and by cells that are days or months. One of numbers does
not, though one of them may look like a month (4.2026), and a cycle of bills that began in another
month is no other month than that of a day inside of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import date

from headcount.reconciling.times import day_in

__all__ = ["OtherTimes"]

_SAYS_WHEN = ("month", "period", "usage", "service")
# Of which month a row is, is not said by when something ends, or was written down.
_SAYS_ELSE = re.compile(
    r"(?:(?<![a-z])|(?<=month|usage)|(?<=period)|(?<=service))end(?:s|ing)?(?:date)?(?![a-z])"
    r"|updat|refresh|modif|creat|generat|export|calculat|since|previous|version"
)
_STARTS = re.compile("start|begin")
_NUMBER = re.compile(r"[0-9][0-9.,]*")


class OtherTimes:
    """The columns of a file that say of which month a row is, beside the one that is read.

    Args:
        heading: the first line of the file.
        told: the columns that are known to be of days or of months.
        others: those that are neither of counts nor of sources.
        days: the column of days, if there is one.
    """

    def __init__(
        self,
        heading: Sequence[str],
        told: Collection[int],
        others: Iterable[int],
        days: int | None,
    ) -> None:
        names = [each.lower() for each in heading]
        self._columns = [at for at in others if at in told or _says_when(names[at])]
        ends = {_parts(each).replace("end", ""): at for at, each in enumerate(names)}
        # By the column of a beginning, that of the end of the same.
        self._ends = {
            at: ends[named]
            for at in self._columns
            if (named := _STARTS.sub("", _parts(names[at]))) in ends
            and _STARTS.search(names[at])
            and _SAYS_ELSE.search(names[ends[named]])
        }
        self._days = days
        self._of_numbers: set[int] = set()
        # By the column and cell of a beginning, and a month, its day beside it; None for several.
        self._days_of: dict[tuple[int, str, date], date | None] = {}

    def learn(self, row: Sequence[str]) -> None:
        """Look at a row below the heading, before any is asked about."""
        for at in self._columns:
            text = _cell(row, at)
            if _NUMBER.fullmatch(text) and day_in(text) is None:
                self._of_numbers.add(at)
            if self._days is not None and at in self._ends:
                day = _began(_cell(row, self._days))
                where = at, text, _month_of(day)
                if self._days_of.setdefault(where, day) != day:
                    self._days_of[where] = None

    def another(self, row: Sequence[str], read: int, day: date) -> int | None:
        """Which column says another month than that of a day; None where none does.

        Args:
            row: the cells.
            read: the column of which the day was read.
            day: it.
        """
        for at in self._columns:
            if at == read or at in self._of_numbers:
                continue
            found = _began(_cell(row, at))
            if (
                found is not None
                and _month_of(found) != _month_of(day)
                and not (read == self._days and self._is_cycle(row, at, found, day))
            ):
                return at
        return None

    def _is_cycle(self, row: Sequence[str], at: int, began: date, day: date) -> bool:
        """Whether a column says when a cycle began that has this day, and others of its month.

        An invoice is written on one day, which is that of no usage.
        """
        if at not in self._ends or self._days_of[at, _cell(row, at), _month_of(day)] is not None:
            return False
        ended = _began(_cell(row, self._ends[at]))
        return ended is not None and began <= day <= ended


def _says_when(name: str) -> bool:
    return any(each in name for each in _SAYS_WHEN) and not _SAYS_ELSE.search(name)


def _month_of(day: date | None) -> date:
    return date.min if day is None else day.replace(day=1)


def _parts(name: str) -> str:
    return "".join(filter(str.isalnum, name))


def _cell(row: Sequence[str], at: int) -> str:
    return row[at].strip() if at < len(row) else ""


def _began(text: str) -> date | None:
    """The day that a cell names, or with which the range or the moment in it begins."""
    found = day_in(text) or day_in(text.partition(" ")[0].partition("T")[0])
    return None if found is None else found[0]
