"""Two counts of one month as lines, and by how much they came apart on each day as bars.

Takes running totals of two sides, gives a chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

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
        ours, theirs: the totals; None of one that is not known.
    """

    day: int
    ours: int | None
    theirs: int | None


def difference_charts(
    month: Sequence[BothTotals],
    *,
    unit: str,
    days: int,
    title: str | None = None,
    size: Size = SIZE,
) -> list[Spec]:
    """A month as both sides count it: their running totals, and the days on which they part, if
    more than one is known.

    Args:
        month: the days that either knows, ascending; at least one that both do.
        unit: what is counted: `"MTU"` or `"API calls"`.
        days: how many days the month has.
        title: None where the surround has one.
        size: of the plot of the totals.
    """
    x = day_axis(days)
    names = {"domain": list(_SIDES), "range": [colour for colour, _ in _SIDES.values()]}
    dashes = {"domain": list(_SIDES), "range": [dash for _, dash in _SIDES.values()]}
    rows = [row for side in _SIDES for row in _rows(month, side)]
    highest = max(1, *(row["count"] for row in rows))
    sides = {"field": "side", "type": "nominal"}
    totals = framed(
        title,
        f"{unit}, running total by day, as both sides count them.",
        size,
        rows,
        encoding={
            "x": x,
            "y": count_axis("count", unit, highest),
            "color": {**sides, "scale": names, "legend": {"symbolType": "stroke"}},
        },
        layer=[
            {
                "mark": {"type": "line", "strokeWidth": 2.25},
                "encoding": {"strokeDash": {**sides, "scale": dashes}},
            },
            {
                # A line needs two days: of a month's count alone, as of an invoice, there is one.
                "transform": [{"filter": "datum.alone"}],
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            },
        ],
    )
    both = [
        (each.day, each.theirs - each.ours)
        for each in month
        if each.ours is not None and each.theirs is not None
    ]
    if len(both) == 1:
        return [totals]  # that of a month, which did not come on its last day
    added = [now - before for before, now in pairwise([0, *(apart for _, apart in both)])]
    parted = framed(
        "By how much theirs grew more than ours on each day",
        f"{unit}: by how much theirs grew more than ours on each day.",
        Size(size.width, _PARTED_HEIGHT),
        [{"day": day, "added": more} for (day, _), more in zip(both, added, strict=True)],
        mark={"type": "bar", "color": _GREY, "width": 8},
        encoding={"x": x, "y": count_axis("added", unit, max(1, *map(abs, added)))},
    )
    return [totals, parted]


def _rows(month: Sequence[BothTotals], side: str) -> list[dict[str, Any]]:
    """What one side knows; alone is a day on neither side of which it knows anything."""
    known = {each.day: total for each in month if (total := getattr(each, side)) is not None}
    return [
        {
            "day": day,
            "side": side,
            "count": total,
            "alone": day - 1 not in known and day + 1 not in known,
        }
        for day, total in known.items()
    ]
