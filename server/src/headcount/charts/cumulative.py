"""A month's running total as a line, with the month before behind it and the plan's limit above.

Takes two months of running totals, an estimate of the days to come and a limit, gives a chart;
leaves out a limit so far away that drawing it would flatten the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from headcount.charts.look import PALETTE, SIZE, Size, Spec, framed
from headcount.charts.points import Point, count_axis, day_axis, month_name
from headcount.counting.forecast import Range

__all__ = ["cumulative_chart"]

_GREY = "#8a93a0"
_LOOKS = {
    "total": (PALETTE[0], [1, 0]),
    "previous": (_GREY, [5, 4]),
    "likely": (PALETTE[0], [2, 3]),
}
_LIMIT = "#d55e00"
_LIMIT_HEADROOM = 4

Axes = tuple[Spec, Callable[[str], Spec]]
"""The days, and the counts that a member of the rows holds."""


def cumulative_chart(
    month: Sequence[Point],
    *,
    unit: str,
    days: int,
    previous: Sequence[Point] = (),
    outlook: Mapping[int, Range] | None = None,
    limit: int | None = None,
    quota_from: int | None = None,
    title: str | None = None,
    size: Size = SIZE,
) -> Spec:
    """A month's running total.

    Args:
        month: one point for each day so far, ascending; at least one.
        unit: what is counted: `"MTU"` or `"API calls"`.
        days: how many days the month has.
        previous: one point for each day of the month before, none to leave it out.
        outlook: estimates by day of the month, from today, where it is the count, to its end; None
            for a month that is over or too young.
        limit: what the plan includes in a month; None for no line.
        quota_from: the day of the month on which a quota was reached; None for none.
        title: None where the surround has one.
        size: of the plot.
    """
    now, before = month_name(month), month_name(previous) if previous else None
    last_day = max(days, *(point.day.day for point in previous)) if previous else days
    estimates = outlook or {}
    tooltip = [
        # As numbers: texts are lost on the way to the point that is nearest.
        {"field": "day", "type": "quantitative", "title": "Day", "format": "d"},
        {"field": "total", "type": "quantitative", "title": now, "format": ",d"},
    ]
    shown = {"total": now}
    if before is not None:
        shown["previous"] = before
        tooltip.append(
            {"field": "previous", "type": "quantitative", "title": before, "format": ",d"}
        )
    if estimates:
        shown["likely"] = "estimate, with its range"
    highest = max(
        1,
        *(point.total for point in (*month, *previous)),
        *(each.high for each in estimates.values()),
    )
    if limit is not None and limit > _LIMIT_HEADROOM * highest:
        limit = None
    axes = day_axis(last_day), partial(count_axis, unit=unit, highest=max(highest, limit or 0))
    layers: list[Spec] = [
        {
            "mark": {"type": "area", "opacity": 0.12, "color": PALETTE[0]},
            "encoding": {"x": axes[0], "y": axes[1]("total")},
        },
        *([_range_layer(axes)] if estimates else []),
        _line_layer(axes, shown),
        *([] if limit is None else _limit_layers(limit, axes[0])),
        *([] if quota_from is None else _quota_layers(quota_from, axes[0])),
        _hover_layer(axes, tooltip),
    ]
    words = f"{unit}, running total by day: {', '.join(shown.values())}."
    return framed(title, words, size, _rows(last_day, month, previous, estimates), layer=layers)


def _rows(
    last_day: int,
    month: Sequence[Point],
    previous: Sequence[Point],
    estimates: Mapping[int, Range],
) -> list[dict[str, int | None]]:
    """A row for each day, of both months and what is estimated."""
    totals = {point.day.day: point.total for point in month}
    earlier = {point.day.day: point.total for point in previous}
    return [
        {
            "day": day,
            "total": totals.get(day),
            "previous": earlier.get(day),
            **(estimates[day]._asdict() if day in estimates else {}),
        }
        for day in range(1, last_day + 1)
    ]


def _range_layer(axes: Axes) -> Spec:
    """Where four of five estimates would lie."""
    return {
        "mark": {"type": "area", "opacity": 0.22, "color": PALETTE[0]},
        "encoding": {"x": axes[0], "y": axes[1]("low"), "y2": {"field": "high"}},
    }


def _line_layer(axes: Axes, shown: dict[str, str]) -> Spec:
    """One line for each member of the rows that is shown; names it in the legend."""
    members = list(shown)
    names = " : ".join(f"datum.label == '{member}' ? '{shown[member]}'" for member in members[:-1])
    last = f"'{shown[members[-1]]}'"
    look = {"domain": members, "range": [_LOOKS[member][0] for member in members]}
    dash = {"domain": members, "range": [_LOOKS[member][1] for member in members]}
    legend = {"labelExpr": f"{names} : {last}" if names else last}
    return {
        "transform": [{"fold": members, "as": ["series", "count"]}],
        "mark": {"type": "line", "strokeWidth": 2.25},
        "encoding": {
            "x": axes[0],
            "y": axes[1]("count"),
            "color": {"field": "series", "type": "nominal", "scale": look, "legend": legend},
            "strokeDash": {"field": "series", "type": "nominal", "scale": dash, "legend": legend},
        },
    }


def _limit_layers(limit: int, x: Spec) -> list[Spec]:
    # Lines begin low and end high, so the words find room at the left.
    values = [{"day": 1, "limit": limit, "label": f"limit {limit:,}"}]
    y = {"field": "limit", "type": "quantitative"}
    return [
        {
            "data": {"values": values},
            "mark": {"type": "rule", "color": _LIMIT, "strokeWidth": 1.5, "strokeDash": [2, 3]},
            "encoding": {"y": y},
        },
        {
            "data": {"values": values},
            "mark": {"type": "text", "align": "left", "baseline": "bottom", "dx": 5, "dy": -3},
            "encoding": {"x": x, "y": y, "text": {"field": "label"}},
        },
    ]


def _quota_layers(day: int, x: Spec) -> list[Spec]:
    """Where a quota began to hold."""
    values = [{"day": day, "label": "quota reached"}]
    return [
        {
            "data": {"values": values},
            "mark": {"type": "rule", "color": _LIMIT, "strokeWidth": 1.5},
            "encoding": {"x": x},
        },
        {
            "data": {"values": values},
            "mark": {"type": "text", "align": "right", "baseline": "bottom", "dx": -5},
            "encoding": {"x": x, "y": {"value": 14}, "text": {"field": "label"}},
        },
    ]


def _hover_layer(axes: Axes, tooltip: list[dict[str, str]]) -> Spec:
    """Points that show themselves, and their numbers, when the pointer is nearest to them."""
    return {
        "params": [
            {
                "name": "nearest",
                "select": {
                    "type": "point",
                    "on": "pointerover",
                    "nearest": True,
                    "clear": "pointerout",
                    "fields": ["day"],
                },
            }
        ],
        "mark": {"type": "point", "filled": True, "size": 70, "color": PALETTE[0]},
        "encoding": {
            "x": axes[0],
            "y": axes[1]("total"),
            "opacity": {"condition": {"param": "nearest", "empty": False, "value": 1}, "value": 0},
            "tooltip": tooltip,
        },
    }
