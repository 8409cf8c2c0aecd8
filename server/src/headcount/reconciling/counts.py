"""A month of one side: running totals by day, of the workspace and of its sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headcount.counting.calendar import Period
from headcount.counting.metrics import HEADLINES

__all__ = ["CountedMonth", "Days", "SourceDays", "empty_days", "filled"]

Days = dict[str, list[int | None]]
"""By the name of a headline metric the running total at the end of each day of the month; None on
days of which nothing is known."""


def empty_days(period: Period) -> Days:
    """Days of which nothing is known."""
    return {metric.name: [None] * period.length for metric in HEADLINES}


@dataclass(slots=True)
class SourceDays:
    """One source of a side.

    Attributes:
        id: as that side calls it.
        name: for people; the id where there is none.
        days: its running totals.
    """

    id: str
    name: str
    days: Days


@dataclass(slots=True)
class CountedMonth:
    """A month as one side counts it.

    Attributes:
        period: the month.
        workspace: its running totals; of nothing where that side has none of the workspace.
        sources: by id.
        notes: what people have to know of how it was read.
    """

    period: Period
    workspace: Days
    sources: dict[str, SourceDays] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def last_known(self) -> int:
        """The last day of the month, from 0, of which anything is known; -1 where none is."""
        every = [self.workspace, *(source.days for source in self.sources.values())]
        known = (
            day
            for days in every
            for totals in days.values()
            for day, total in enumerate(totals)
            if total is not None
        )
        return max(known, default=-1)

    @classmethod
    def of_rows(
        cls,
        period: Period,
        workspace: Iterable[Mapping[str, Any]],
        by_source: Iterable[Mapping[str, Any]],
    ) -> CountedMonth:
        """A side out of rows of the usage API, as running totals.

        Args:
            period: the month.
            workspace: rows with `day` and the headline metrics.
            by_source: the same with `source_id` and `source_name`.
        """
        side = cls(period, empty_days(period))
        for row in workspace:
            _put(side.workspace, row)
        for row in by_source:
            name = row.get("source_name") or row["source_id"]
            empty = SourceDays(row["source_id"], name, empty_days(period))
            _put(side.sources.setdefault(row["source_id"], empty).days, row)
        for source in side.sources.values():
            # The rows of a source begin with the first day on which it has any usage.
            filled(source.days)
        return side


def _put(days: Days, row: Mapping[str, Any]) -> None:
    for metric in HEADLINES:
        if row.get(metric.name) is not None:
            days[metric.name][row["day"].day - 1] = row[metric.name]


def filled(days: Days) -> None:
    """Put zeros before the first day of which anything is known, where there is any."""
    for totals in days.values():
        known = next((day for day, total in enumerate(totals) if total is not None), 0)
        totals[:known] = [0] * known
