"""A running total on a day, and how days stand on an axis: what every chart is made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from headcount.wording import month_text

__all__ = ["Point", "count_axis", "day_axis", "month_name"]


class Point(NamedTuple):
    """A running total.

    Attributes:
        day: the day (UTC) at whose end, or as of now when it is today, it holds.
        total: counted from the start of the day's month on.
    """

    day: date
    total: int


def month_name(points: Sequence[Point]) -> str:
    """The month of some points, as people write it: `November 2026`."""
    return month_text(points[0].day.isoformat())


def day_axis(last_day: int) -> dict[str, Any]:
    """Days of the month from left to right, by number, so that two months lie over each other.

    Args:
        last_day: the last day that has room, 1 to 31.
    """
    return {
        "field": "day",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [1, max(2, last_day)], "nice": False},
        "axis": {"grid": False, "format": "d", "tickMinStep": 1, "tickCount": 8},
    }


def count_axis(field: str, unit: str, highest: int) -> dict[str, Any]:
    """Counts from bottom to top, from zero on, marked at whole numbers.

    Args:
        field: the member of each row that holds the count.
        unit: what is counted, as the axis' title.
        highest: the highest count that is drawn.
    """
    return {
        "field": field,
        "type": "quantitative",
        "title": unit,
        "scale": {"zero": True},
        # Vega's own letter for a billion is G, as in gigabyte: nobody counts people so.
        "axis": {
            "labelExpr": "replace(format(datum.value, '~s'), 'G', 'B')",
            # Vega's own least step is not kept where a scale ends at a few.
            "tickCount": max(1, min(5, highest)),
        },
    }
