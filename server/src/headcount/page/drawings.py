"""The charts of a month, as the page's script takes them: the API's answers in, one JSON text out.

The text may stand inside a `<script>` element that holds data: whatever a source is called, it
cannot end that element.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec
from markupsafe import Markup

from headcount.api.v1.daily import Columns, DailyBody
from headcount.api.v1.limits import LimitsRecord
from headcount.api.v1.summary import SourceTotals
from headcount.charts import (
    SOURCES_MAX,
    Point,
    Size,
    Spec,
    cumulative_chart,
    pace_of,
    per_source_chart,
    themed,
)

__all__ = ["drawings", "largest_ids"]

_LARGE = Size("container", 240)
_CALLS, _MTU = "API calls", "MTU"


def largest_ids(sources: Sequence[SourceTotals]) -> tuple[list[str], list[str]]:
    """The ids of the sources that the charts name: by API calls, and by MTU."""

    def largest(totals: dict[str, int]) -> list[str]:
        used = [source_id for source_id, total in totals.items() if total]
        return sorted(used, key=lambda source_id: (-totals[source_id], source_id))[:SOURCES_MAX]

    return (
        largest({each.source_id: each.totals.api_calls for each in sources}),
        largest({each.source_id: each.totals.mtu for each in sources}),
    )


def drawings(
    daily: DailyBody,
    previous: DailyBody | None,
    limits: LimitsRecord,
    length: int,
    by_calls: Sequence[str],
    by_mtu: Sequence[str],
    sources_used: int,
) -> Markup:
    """All charts of a month and both looks.

    Args:
        daily: the month, with the sources of both lists.
        previous: the month before; None without one.
        limits: of the plan.
        length: how many days the month has.
        by_calls, by_mtu: ids of the sources to show, largest first.
        sources_used: how many sources have usage in the month.
    """
    earlier = previous.workspace if previous else None

    def cumulative(unit: str, now: list[int], before: list[int], limit: int | None) -> Spec:
        pace = pace_of(now, runs=daily.period == daily.current_period)
        return cumulative_chart(
            _points(daily.days, now),
            unit=unit,
            days=length,
            previous=_points(previous.days, before) if previous else (),
            outlook=pace.outlook(length) if pace else None,
            limit=limit,
            size=_LARGE,
        )

    columns = daily.workspace
    places = _places(by_calls, by_mtu)
    charts = {
        "mtu": cumulative(_MTU, columns.mtu, earlier.mtu if earlier else [], limits.mtu),
        "api-calls": cumulative(
            _CALLS, columns.api_calls, earlier.api_calls if earlier else [], limits.api_calls
        ),
        "source-api-calls": _stack(daily, length, by_calls, sources_used),
        "source-mtu": per_source_chart(
            _by_name(daily, by_mtu, "mtu"),
            unit=_MTU,
            days=length,
            stacked=False,
            places=[places[each] for each in by_mtu],
            size=_LARGE,
        ),
    }
    looks = {name: themed({}, dark=name == "dark")["config"] for name in ("light", "dark")}
    text = msgspec.json.encode({"looks": looks, "charts": charts}).decode()
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704


def _places(by_calls: Sequence[str], by_mtu: Sequence[str]) -> dict[str, int]:
    """The place in the palette of each source: in both charts the same, and in each its own."""
    places = {source_id: place for place, source_id in enumerate(by_calls)}
    taken = {places[source_id] for source_id in by_mtu if source_id in places}
    free = iter([place for place in range(SOURCES_MAX) if place not in taken])
    return places | {each: next(free) for each in by_mtu if each not in places}


def _stack(daily: DailyBody, length: int, shown: Sequence[str], sources_used: int) -> Spec:
    stack = _by_name(daily, shown, "api_calls")
    sums = [sum(point.total for point in points) for points in zip(*stack.values(), strict=True)]
    others: Sequence[Point] = ()
    if sources_used > len(shown):
        # API calls add up, so the sources that are not shown are what is left of the workspace.
        left = [
            max(0, total - known)
            for total, known in zip(daily.workspace.api_calls, sums, strict=True)
        ]
        others = _points(daily.days, left)
    return per_source_chart(
        stack,
        unit=_CALLS,
        days=length,
        stacked=True,
        others=others,
        others_count=sources_used - len(shown),
        size=_LARGE,
    )


def _by_name(daily: DailyBody, shown: Sequence[str], column: str) -> dict[str, Sequence[Point]]:
    held: dict[str, tuple[str, Columns]] = {
        each.source_id: (each.source_name, each.totals) for each in daily.sources
    }
    return {
        held[source_id][0]: _points(daily.days, getattr(held[source_id][1], column))
        for source_id in shown
        if source_id in held
    }


def _points(days: Sequence[str], totals: Sequence[int]) -> list[Point]:
    return [Point(date.fromisoformat(day), total) for day, total in zip(days, totals, strict=True)]
