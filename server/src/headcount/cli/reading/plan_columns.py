"""What a plan included, beside what was used: columns of an export, by the limits of each month.

Takes what the server says of the plan's limits, gives rows with a limit and what was used beyond
it; refuses a server that says nothing of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headcount.cli.reading.own import get_own
from headcount.cli.reading.usage_rows import Query, Row
from headcount.counting.calendar import Period, day_text
from headcount.errors import UsageError

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection

__all__ = ["PlanColumns"]


class PlanColumns:
    """The limits of a plan with their days, read once.

    Args:
        connection: whom to ask.
        query: what is exported; of the workspace, which has a plan.

    Raises:
        UsageError: it is by source, or the server tells no limits.
    """

    def __init__(self, connection: ApiConnection, query: Query) -> None:
        if query.by != "workspace":
            raise UsageError(
                "--limits goes with --by workspace: no source has a plan.", "Leave one of them out."
            )
        told = get_own(connection, "plan-limits")
        if told is None:
            raise UsageError("This server tells no limits of a plan.", "Leave --limits out.")
        self._query = query
        self._today: str = told["day"]
        self._dated: list[dict[str, Any]] = told["dated"]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order."""
        return tuple(
            f"{metric.name}_{what}"
            for metric in self._query.headlines
            for what in ("limit", "over")
        )

    def added_to(self, month: Period, rows: Sequence[Row]) -> list[Row]:
        """The rows of a month with its limits, and what was used beyond them by the end of each
        day; nothing where there is no limit.

        Args:
            month: the month; one that is over is judged by its last day, the one that runs by
                today.
            rows: its rows.
        """
        day = min(day_text(month.last_day), self._today)
        limits = {
            each["metric"]: each["limit"]
            for each in self._dated  # by their days, the latest last
            if each.get("inForceFrom", "") <= day
        }
        added = []
        for row in rows:
            columns: dict[str, int | None] = {}
            for metric in self._query.headlines:
                limit, used = limits.get(metric.wire), row[metric.name]
                over = None if limit is None or used is None else max(0, used - limit)
                columns |= {f"{metric.name}_limit": limit, f"{metric.name}_over": over}
            added.append(row | columns)
        return added
