"""Two counts of one month as lines, and by how much they came apart on each day as bars.

Takes running totals of two sides, gives a chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from headcount.charts.look import PALETTE, SIZE, Size, Spec, framed
from headcount.charts.points import count_axis, day_axis

__all__ = ["BothTotals", "difference_charts"]

_SIDES = {"ours": (PALETTE[0], [1, 0]), "theirs": (PALETTE[1], [5, 4])}
_GREY = "#8a93a0"
_PARTED_HEIGHT = 110


class BothTotals(NamedTuple):
    """Running totals of both sides on a day.

    Attributes:
        day: of the month, from 1.
        ours, theirs: the totals.
    """

    day: int
    ours: int
    theirs: int


def difference_charts(
    month: Sequence[BothTotals],
    *,
    unit: str,
    days: int,
    title: str | None = None,
    size: Size = SIZE,
) -> list[Spec]:
    """A month as both sides count it: their running totals, and the days on which they part.

    Args:
        month: the days that both know, ascending; at least one.
        unit: what is counted: `"MTU"` or `"API calls"`.
        days: how many days the month has.
        title: None where the surround has one.
        size: of the plot of the totals.
    """
    x = day_axis(days)
    names = {"domain": list(_SIDES), "range": [colour for colour, _ in _SIDES.values()]}
    dashes = {"domain": list(_SIDES), "range": [dash for _, dash in _SIDES.values()]}
    highest = max(1, *(max(each.ours, each.theirs) for each in month))
    totals = framed(
        title,
        f"{unit}, running total by day, as both sides count them.",
        size,
        [each._asdict() for each in month],
        transform=[{"fold": list(_SIDES), "as": ["side", "count"]}],
        mark={"type": "line", "strokeWidth": 2.25},
        encoding={
            "x": x,
            "y": count_axis("count", unit, highest),
            "color": {"field": "side", "type": "nominal", "scale": names},
            "strokeDash": {"field": "side", "type": "nominal", "scale": dashes},
        },
    )
    apart = [0, *(each.theirs - each.ours for each in month)]
    added = [now - before for before, now in pairwise(apart)]
    parted = framed(
        "By how much theirs grew more than ours on each day",
        f"{unit}: by how much theirs grew more than ours on each day.",
        Size(size.width, _PARTED_HEIGHT),
        [{"day": each.day, "added": more} for each, more in zip(month, added, strict=True)],
        mark={"type": "bar", "color": _GREY, "width": 8},
        encoding={"x": x, "y": count_axis("added", unit, max(1, *map(abs, added)))},
    )
    return [totals, parted]
