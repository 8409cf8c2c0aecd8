"""What use beyond a plan costs: takes a count and a price, gives an amount of money.

A price stands for a step of so many; a step that is begun is charged whole. Amounts are decimal
numbers, never binary fractions. Pure, no clock or file.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

__all__ = ["Cost", "Price", "cost_of", "money_text"]

_CENTS = Decimal("0.01")


class Price(NamedTuple):
    """What a plan charges beyond what it includes.

    Attributes:
        amount: of money for a step.
        step: how many are one step.
        currency: its code in ISO 4217.
    """

    amount: Decimal
    step: int
    currency: str


class Cost(NamedTuple):
    """What use beyond a plan costs.

    Attributes:
        steps: that are charged, those begun included.
        amount: of money.
        currency: its code in ISO 4217.
    """

    steps: int
    amount: Decimal
    currency: str


def cost_of(used: int, limit: int | None, price: Price) -> Cost:
    """What a month's use costs beyond its plan.

    Args:
        used: the count.
        limit: what the plan includes; None where it includes all.
        price: what more is charged.
    """
    over = 0 if limit is None else max(0, used - limit)
    steps = -(-over // price.step)
    return Cost(steps, steps * price.amount, price.currency)


def money_text(amount: Decimal, currency: str) -> str:
    """An amount for people, such as `USD 1,250.00`."""
    exponent = amount.normalize().as_tuple().exponent
    # Cents at least; what a price says more exactly is shown as exactly.
    finer = isinstance(exponent, int) and exponent < -2
    return f"{currency} {amount.normalize() if finer else amount.quantize(_CENTS):,f}"
