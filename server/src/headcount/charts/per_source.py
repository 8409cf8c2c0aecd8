"""Running totals of the largest sources: stacked, or as lines where their sum means nothing.

Takes running totals by source, gives a chart; refuses more sources than people can tell apart.
API calls may be stacked, since they add up. Tracked users may not: a user of two sources is in
both, and one in the workspace.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import chain
from typing import Any

from headcount.charts.look import PALETTE, SIZE, Size, Spec, framed
from headcount.charts.points import Point, count_axis, day_axis
from headcount.wording import number_of

__all__ = ["SOURCES_MAX", "per_source_chart", "split_largest"]

SOURCES_MAX = len(PALETTE)
"""How many sources one chart shows by name."""

_OTHERS = "#8a93a0"
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 1], [1, 3])


def split_largest(
    sources: Mapping[str, Sequence[Point]],
) -> tuple[dict[str, Sequence[Point]], dict[str, Sequence[Point]]]:
    """The sources that a chart has room for, largest first, and the others.

    Args:
        sources: names to points, ascending by day; each with at least one.
    """
    order = sorted(sources, key=lambda name: (-sources[name][-1].total, name))
    return (
        {name: sources[name] for name in order[:SOURCES_MAX]},
        {name: sources[name] for name in order[SOURCES_MAX:]},
    )


def per_source_chart(
    sources: Mapping[str, Sequence[Point]],
    *,
    unit: str,
    days: int,
    stacked: bool,
    others: Sequence[Point] = (),
    others_count: int = 0,
    places: Sequence[int] | None = None,
    title: str | None = None,
    size: Size = SIZE,
) -> Spec:
    """The largest sources of a month.

    Args:
        sources: names to points, ascending by day; at most `SOURCES_MAX`, largest first.
        unit: what is counted: `"MTU"` or `"API calls"`.
        days: how many days the month has.
        stacked: whether the areas stand on each other; only for what adds up.
        others: the sum of all further sources, for a stacked chart.
        others_count: how many further sources there are.
        places: the colour of each source, by its place in the palette; in their order when None.
        title: None where the surround has one.
        size: of the plot.
    """
    assert len(sources) <= SOURCES_MAX
    series = dict(sources)
    marks = range(len(sources)) if places is None else places
    colours = [PALETTE[mark] for mark in marks]
    if stacked and others:
        series[number_of(others_count, "other")] = others
        colours.append(_OTHERS)
    y = count_axis("total", unit, _highest(series.values(), stacked=stacked))
    encoding: dict[str, Any] = {
        "x": day_axis(days),
        "y": {**y, "stack": "zero"} if stacked else y,
        "color": _told_apart(series, colours),
        "order": {"field": "order"},
        "tooltip": [
            {"field": "source", "title": "Source"},
            {"field": "date", "title": "Day"},
            {"field": "total", "title": unit, "format": ",d"},
        ],
    }
    mark: dict[str, Any] = {"type": "area", "opacity": 0.85, "line": False}
    if not stacked:
        mark = {"type": "line", "strokeWidth": 2.25}
        encoding["strokeDash"] = _told_apart(series, [list(_DASHES[mark]) for mark in marks])
        del encoding["order"]
    how = "stacked" if stacked else "one line each, since users overlap"
    words = f"{unit} of the largest sources, running total by day, {how}."
    mark["tooltip"] = True
    return framed(title, words, size, _rows(series), mark=mark, encoding=encoding)


def _told_apart(series: Mapping[str, Sequence[Point]], looks: Sequence[Any]) -> Spec:
    """Each source by a look of its own, in their order."""
    scale = {"domain": list(series), "range": looks}
    return {"field": "source", "type": "nominal", "scale": scale, "sort": None}


def _rows(series: Mapping[str, Sequence[Point]]) -> list[dict[str, Any]]:
    """A row for each day of each source."""
    return [
        {
            "day": point.day.day,
            "date": f"{point.day:%a %d %b %Y}",
            "source": name,
            "total": point.total,
            "order": place,
        }
        for place, (name, points) in enumerate(series.items())
        for point in points
    ]


def _highest(series: Iterable[Sequence[Point]], *, stacked: bool) -> int:
    """How high the lines, or what stands on each other, go."""
    of_days: defaultdict[date, list[int]] = defaultdict(list)
    for point in chain.from_iterable(series):
        of_days[point.day].append(point.total)
    heights = (sum(totals) if stacked else max(totals) for totals in of_days.values())
    return max(heights, default=0)
