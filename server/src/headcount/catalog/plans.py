"""What plans include in a month and charge beyond it, and from which day on: takes days and
amounts, gives what was in force on a day. Refuses limits that are no whole numbers, and prices that
are no exact amounts of a currency.

A limit, or a price, holds from its day until the next one of the same metric; what was in force
once stays known, so that a month is judged by what was its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from headcount.catalog.base import CatalogFile
from headcount.catalog.entities import DatedLimit, DatedPrice, PlanLimits
from headcount.catalog.schema import PLAN_LIMIT, PLAN_PRICE, WORKSPACE
from headcount.counting.cost import Price
from headcount.errors import UsageError

__all__ = ["LIMIT_MAX", "LimitedCatalog", "limits_on", "prices_on"]

LIMIT_MAX = 10**15
"""The largest amount that a plan may include."""

_CURRENCY = re.compile("[A-Z]{3}")
_PRICE_MAX = 10**12
_DECIMALS_MAX = 6


def limits_on(dated: Iterable[DatedLimit], day: int) -> PlanLimits:
    """What is in force on a day.

    Args:
        dated: all limits of a workspace, in any order.
        day: days since 1970-01-01.
    """
    begun = sorted((each for each in dated if each.from_day <= day), key=lambda e: e.from_day)
    return {each.metric: each.amount for each in begun}


def prices_on(dated: Iterable[DatedPrice], day: int) -> dict[str, Price]:
    """The prices in force on a day, by the name of the metric; see `limits_on`."""
    begun = sorted((each for each in dated if each.from_day <= day), key=lambda e: e.from_day)
    found = {each.metric: each.price for each in begun}
    return {metric: price for metric, price in found.items() if price is not None}


class LimitedCatalog(CatalogFile):
    """The plan limits and prices of a catalog."""

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

    def dated_prices(self, workspace_number: int) -> list[DatedPrice]:
        """All prices of a workspace's plan, by the day from which each is in force."""
        clause = "WHERE workspace = ? ORDER BY from_day, metric"
        return [_dated_price(*row[1:]) for row in self._read(PLAN_PRICE, clause, workspace_number)]

    def set_plan_price(
        self,
        workspace_number: int,
        metric: str,
        price: Price | None,
        *,
        from_day: int,
        now_ms: int,
    ) -> None:
        """Set what is charged beyond a limit from a day on; what is set of other days stays.

        Args:
            workspace_number: whose plan; nothing is set where there is no such workspace.
            metric: the metric's name.
            price: for each step; None for none from that day on.
            from_day: the first day, in days since 1970-01-01.
            now_ms: milliseconds since 1970, UTC.

        Raises:
            UsageError: it is no exact amount of a currency for a step.
        """
        if price is not None:
            price = _checked_price(price)
        with self._transaction():
            if self._ledger.get(WORKSPACE, workspace_number) is None:
                return
            rows = self._ledger.read(PLAN_PRICE, "WHERE workspace = ?", (workspace_number,))
            dated = [_dated_price(*row[1:]) for row in rows]
            if prices_on(dated, from_day).get(metric) == price:
                return
            amount, step, currency = price or (None, 1, "")
            text = None if amount is None else f"{amount:f}"
            key = (workspace_number, metric, from_day)
            self._ledger.put(PLAN_PRICE, *key, text, step, currency, now_ms)

    def take_back_price(
        self, workspace_number: int, metric: str, from_day: int
    ) -> DatedPrice | None:
        """Undo the setting of a price: the one before it is in force from that day on instead.

        Returns:
            What was taken back; None where none was set from that day on.
        """
        key = (workspace_number, metric, from_day)
        with self._transaction():
            row = self._ledger.get(PLAN_PRICE, *key)
            if row is None:
                return None
            self._ledger.drop(PLAN_PRICE, f"WHERE {PLAN_PRICE.where_key}", key)
        return _dated_price(*row[1:])


def _dated_price(
    metric: str, from_day: int, amount: str | None, step: int, currency: str, set_at_ms: int
) -> DatedPrice:
    price = None if amount is None else Price(Decimal(amount), step, currency)
    return DatedPrice(metric, from_day, price, set_at_ms)


def _checked_price(price: Price) -> Price:
    amount = price.amount
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_DECIMALS_MAX or not 0 <= amount <= _PRICE_MAX:
        raise UsageError(
            f"The price {amount} is not an amount from 0 to {_PRICE_MAX:,} with at most"
            f" {_DECIMALS_MAX} decimals.",
            "Give one such as 12 or 12.50.",
        )
    if not 1 <= price.step <= LIMIT_MAX:
        raise UsageError(
            f"A step of {price.step} is not a whole number from 1 to {LIMIT_MAX:,}.",
            "Say for how many the price is, such as 1000.",
        )
    if not _CURRENCY.fullmatch(price.currency):
        raise UsageError(
            f'"{price.currency}" is not the code of a currency.',
            "Give its three letters, such as USD or EUR.",
        )
    # 1E+3 is 1000.
    return price._replace(amount=amount.quantize(Decimal(1))) if exponent > 0 else price
