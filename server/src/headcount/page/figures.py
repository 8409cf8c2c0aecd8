"""How figures, days and changes read: takes numbers and the API's texts, gives texts for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from headcount.api.v1.plan_prices import PriceRecord
from headcount.counting.cost import money_text
from headcount.wording import change_text

__all__ = [
    "ChangeText",
    "change_of",
    "day_text",
    "full_day_text",
    "moment_text",
    "price_text",
    "short_day_text",
    "weekday_text",
]


def day_text(day: str) -> str:
    """`2026-11-03` as `3 November`."""
    when = date.fromisoformat(day[:10])
    return f"{when.day} {when:%B}"


def full_day_text(day: str, beside: str) -> str:
    """`2026-11-03` as `3 November`, with its year where the day that stands beside has another."""
    return day_text(day) if day[:4] == beside[:4] else f"{day_text(day)} {day[:4]}"


def weekday_text(day: str) -> str:
    """`2026-11-03` as `Tue`."""
    return f"{date.fromisoformat(day[:10]):%a}"


def short_day_text(day: date) -> str:
    """A day as `3 Nov`."""
    return f"{day.day} {day:%b}"


def moment_text(moment: str) -> str:
    """An RFC 3339 moment as `3 Nov 2026, 12:04 UTC`."""
    when = datetime.fromisoformat(moment).astimezone(UTC)
    return f"{when.day} {when:%b %Y, %H:%M} UTC"


def price_text(price: PriceRecord) -> str:
    """A price as `USD 12.50 for each 1,000`."""
    amount = money_text(Decimal(price.amount), price.currency)
    return f"{amount} for each {price.step:,}"


@dataclass(frozen=True, slots=True)
class ChangeText:
    """How a count stands against an earlier one.

    Attributes:
        absolute: the difference; what tables are sorted by.
        text: the change in per cent, or in words where there is no such number.
        direction: `"up"`, `"down"` or `"level"`.
    """

    absolute: int
    text: str
    direction: str


def change_of(now: int, before: int) -> ChangeText:
    """The change from one count to another."""
    absolute = now - before
    direction = "up" if absolute > 0 else "down" if absolute < 0 else "level"
    return ChangeText(absolute, change_text(now, before), direction)
