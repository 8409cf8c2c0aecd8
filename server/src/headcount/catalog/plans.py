"""What plans include in a month, and from which day on: takes days and amounts, gives what was in
force on a day. Refuses amounts that are no whole numbers.

A limit holds from its day until the next one of the same metric; what was in force once stays
known, so that a month is judged by the limit that was its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from headcount.catalog.base import CatalogFile
from headcount.catalog.entities import DatedLimit, PlanLimits
from headcount.catalog.schema import PLAN_LIMIT, WORKSPACE
from headcount.errors import UsageError

__all__ = ["LIMIT_MAX", "LimitedCatalog", "limits_on"]

LIMIT_MAX = 10**15
"""The largest amount that a plan may include."""


def limits_on(dated: Iterable[DatedLimit], day: int) -> PlanLimits:
    """What is in force on a day.

    Args:
        dated: all limits of a workspace, in any order.
        day: days since 1970-01-01.
    """
    begun = sorted((each for each in dated if each.from_day <= day), key=lambda e: e.from_day)
    return {each.metric: each.amount for each in begun}


class LimitedCatalog(CatalogFile):
    """The plan limits of a catalog."""

    def dated_limits(self, workspace_number: int) -> list[DatedLimit]:
        """All limits of a workspace's plan, by the day from which each is in force."""
        clause = "WHERE workspace = ? ORDER BY from_day, metric"
        return [DatedLimit(*row[1:]) for row in self._read(PLAN_LIMIT, clause, workspace_number)]

    def plan_limits(self, workspace_number: int, day: int) -> PlanLimits:
        """What the workspace's plan includes in a month, as in force on a day.

        Args:
            workspace_number: whose plan.
            day: days since 1970-01-01.
        """
        return limits_on(self.dated_limits(workspace_number), day)

    def set_plan_limits(
        self, workspace_number: int, limits: PlanLimits, *, from_day: int, now_ms: int
    ) -> None:
        """Set limits of a workspace from a day on; those before and after that day stay.

        What is in force on that day already is not set again.

        Args:
            workspace_number: whose plan; nothing is set where there is no such workspace.
            limits: by metric; metrics that are not named stay as they are.
            from_day: the first day, in days since 1970-01-01.
            now_ms: milliseconds since 1970, UTC.

        Raises:
            UsageError: one is not a whole number from 0 to `LIMIT_MAX`.
        """
        for metric, amount in limits.items():
            # In Python, a truth value is a number too.
            whole = amount is None or (isinstance(amount, int) and not isinstance(amount, bool))
            if not whole or not 0 <= (amount or 0) <= LIMIT_MAX:
                raise UsageError(
                    f"The limit {amount!r} of {metric} is not a whole number from 0 to"
                    f" {LIMIT_MAX:,}.",
                    "Give such a number, or none for no limit.",
                )
        with self._transaction():
            if self._ledger.get(WORKSPACE, workspace_number) is None:
                return
            clause = "WHERE workspace = ?"
            rows = self._ledger.read(PLAN_LIMIT, clause, (workspace_number,))
            held = limits_on([DatedLimit(*row[1:]) for row in rows], from_day)
            for metric, amount in limits.items():
                if held.get(metric) != amount:
                    key = (workspace_number, metric, from_day)
                    self._ledger.put(PLAN_LIMIT, *key, amount, now_ms)

    def take_back_limit(
        self, workspace_number: int, metric: str, from_day: int
    ) -> DatedLimit | None:
        """Undo the setting of a limit: the one before it is in force from that day on instead.

        Returns:
            What was taken back; None where none was set from that day on.
        """
        key = (workspace_number, metric, from_day)
        with self._transaction():
            row = self._ledger.get(PLAN_LIMIT, *key)
            if row is None:
                return None
            self._ledger.drop(PLAN_LIMIT, f"WHERE {PLAN_LIMIT.where_key}", key)
        return DatedLimit(*row[1:])
