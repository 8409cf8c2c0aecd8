"""Which rows a month has, in order, without building them.

Takes the first day of each scope, gives the number of rows, the index of a place among them, and
the rows between two indexes. Rows are ordered by day, then by source id; a scope has one for
every day from its first. The cost of a page does not depend on the number of rows before it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Grid", "Slice"]

Indexes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Slice:
    """Consecutive rows.

    Attributes:
        start: index of the first among all rows.
        days: day of the month of each, 0 to 30.
        scopes: position of each row's scope in the order of ids.
    """

    start: int
    days: Indexes
    scopes: Indexes


class Grid:
    """The rows of one query.

    Args:
        ids: ids of the scopes, ascending.
        first_days: first day of each, 0 to 30, in the same order; a scope whose first day lies
            beyond the last has no row yet.
        days: number of days that have rows, 1 to 31.
    """

    def __init__(self, ids: Sequence[str], first_days: Indexes, days: int) -> None:
        self._ids = ids
        self._first_days = first_days
        self._days = days
        per_day = [int(np.count_nonzero(first_days <= day)) for day in range(days)]
        self._starts = [0, *np.cumsum(per_day, dtype=np.intp).tolist()]

    @property
    def total(self) -> int:
        """The number of rows."""
        return int(self._starts[-1])

    def index(self, day: int, scope_id: str, *, after: bool) -> int:
        """How many rows lie before a boundary.

        Args:
            day: day of the month of the row that the boundary touches, 0 to 30.
            scope_id: its scope's id; the row itself need not exist.
            after: whether the boundary lies after that row or before it.
        """
        if day >= self._days:
            return self.total
        position = (bisect_right if after else bisect_left)(self._ids, scope_id)
        same_day = np.count_nonzero(self._first_days[:position] <= day)
        return int(self._starts[day]) + int(same_day)

    def rows(self, start: int, end: int) -> Slice:
        """The rows from one index up to another, `0 <= start <= end <= total`."""
        days: list[Indexes] = [np.empty(0, np.intp)]
        scopes: list[Indexes] = [np.empty(0, np.intp)]
        for day in range(self._days):
            low, high = max(start, self._starts[day]), min(end, self._starts[day + 1])
            if low < high:
                present = np.flatnonzero(self._first_days <= day)
                scopes.append(present[low - self._starts[day] : high - self._starts[day]])
                days.append(np.full(high - low, day, np.intp))
        return Slice(start, np.concatenate(days), np.concatenate(scopes))
