"""What was new on each day of a month, as bars: a busy day stands out here, not in a running total.

Takes running totals by day, gives a chart; weekends have a colour of their own, since many a fall
or rise is only that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from headcount.charts.look import PALETTE, SIZE, Size, Spec, framed
from headcount.charts.points import Point, count_axis, month_name

__all__ = ["daily_chart"]

_SATURDAY = 5
_KINDS = {"weekday": PALETTE[0], "weekend": PALETTE[5]}
_MARKED_EVERY = 5


def daily_chart(
    month: Sequence[Point],
    *,
    unit: str,
    days: int,
    title: str | None = None,
    size: Size = SIZE,
) -> Spec:
    """The new counts of a month's days.

    Args:
        month: running totals, one point for each day so far, ascending; at least one.
        unit: what is counted: `"MTU"` or `"API calls"`.
        days: how many days the month has.
        title: None where the surround has one.
        size: of the plot.
    """
    new = [now - before for before, now in pairwise([0, *(point.total for point in month)])]
    rows = [
        {
            "day": point.day.day,
            "date": f"{point.day:%a %d %b %Y}",
            "new": count,
            "kind": "weekend" if point.day.weekday() >= _SATURDAY else "weekday",
        }
        for point, count in zip(month, new, strict=True)
    ]
    marks = [1, *range(_MARKED_EVERY, days + 1, _MARKED_EVERY)]
    encoding = {
        "x": {
            "field": "day",
            "type": "ordinal",
            "title": None,
            "scale": {"domain": list(range(1, days + 1)), "paddingInner": 0.2},
            "axis": {"values": marks, "labelAngle": 0, "ticks": False},
        },
        "y": count_axis("new", unit, max(new)),
        "color": {
            "field": "kind",
            "type": "nominal",
            "scale": {"domain": list(_KINDS), "range": list(_KINDS.values())},
            "legend": {"columns": len(_KINDS)},
        },
        "tooltip": [
            {"field": "date", "title": "Day"},
            {"field": "new", "title": unit, "format": ",d"},
        ],
    }
    words = f"{unit}, new on each day of {month_name(month)}, weekends apart."
    mark = {"type": "bar", "tooltip": True}
    return framed(title, words, size, rows, mark=mark, encoding=encoding)
