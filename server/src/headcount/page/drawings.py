"""The charts of a month, as the page's script takes them: the API's answers in, one JSON text out.

The text may stand inside a `<script>` element that holds data: whatever a source is called, it
cannot end that element.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec
from markupsafe import Markup

from headcount.api.v1.daily import Columns, DailyBody
from headcount.api.v1.month_end import Forecasts
from headcount.api.v1.outcomes import ReachedQuota
from headcount.api.v1.plan_limits import LimitsRecord
from headcount.api.v1.summary import SourceTotals
from headcount.charts import (
    SOURCES_MAX,
    Point,
    Size,
    Spec,
    cumulative_chart,
    daily_chart,
    per_source_chart,
    themed,
)
from headcount.counting.metrics import HEADLINES, Metric

__all__ = ["Largest", "drawings", "largest_ids", "source_drawings"]

_LARGE = Size("container", 240)
_LOW = Size("container", 160)

Largest = Mapping[str, Sequence[str]]
"""Ids of sources, the largest one first, by the name of each headline metric."""


def largest_ids(sources: Sequence[SourceTotals], first: int = 1) -> Largest:
    """The sources that the charts name.

    Args:
        sources: all of them.
        first: the place of the first one that is wanted, 1 for the largest.
    """

    def largest(metric: Metric) -> list[str]:
        totals = {each.source_id: getattr(each.totals, metric.name) for each in sources}
        used = [source_id for source_id, total in totals.items() if total]
        return sorted(used, key=lambda source_id: (-totals[source_id], source_id))[
            first - 1 : first - 1 + SOURCES_MAX
        ]

    return {metric.name: largest(metric) for metric in HEADLINES}


def drawings(
    daily: DailyBody,
    previous: DailyBody | None,
    limits: LimitsRecord,
    forecasts: Forecasts,
    length: int,
    largest: Largest,
    sources_used: int,
    first: int = 1,
) -> Markup:
    """All charts of a month and both looks.

    Args:
        daily: the month, with all sources of the lists.
        previous: the month before; None without one.
        limits: of the plan.
        forecasts: of the days to come.
        length: how many days the month has.
        largest: the sources to show.
        sources_used: how many sources have usage in the month.
        first: the place of the first source to show; further ones stand without all others.
    """
    before = None if previous is None else (previous.days, previous.workspace)
    charts = _of_scope(daily, daily.workspace, before, limits, forecasts, length)
    # What is stacked has the palette's order.
    order = sorted(HEADLINES, key=lambda metric: not metric.adds_up)
    places = _places(largest[metric.name] for metric in order)
    for metric in HEADLINES:
        charts[f"source-{metric.option}"] = _by_source(
            daily, length, metric, largest[metric.name], places, sources_used if first == 1 else 0
        )
    return _in_both_looks(charts)


def source_drawings(
    daily: DailyBody,
    previous: DailyBody | None,
    forecasts: Forecasts,
    length: int,
    quotas: Iterable[ReachedQuota] = (),
) -> Markup:
    """The charts of one source and both looks.

    Args:
        daily: the month, with that source alone.
        previous: the month before, with that source alone; None without one.
        forecasts: of that source.
        length: how many days the month has.
        quotas: those that it has reached.
    """
    before = None if previous is None else (previous.days, previous.sources[0].totals)
    reached = {each.metric: int(each.reached_at[8:10]) for each in quotas}
    return _in_both_looks(
        _of_scope(daily, daily.sources[0].totals, before, None, forecasts, length, reached)
    )


def _in_both_looks(charts: Mapping[str, Spec]) -> Markup:
    looks = {name: themed({}, dark=name == "dark")["config"] for name in ("light", "dark")}
    text = msgspec.json.encode({"looks": looks, "charts": charts}).decode()
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704


def _of_scope(
    daily: DailyBody,
    columns: Columns,
    before: tuple[Sequence[str], Columns] | None,
    limits: LimitsRecord | None,
    forecasts: Forecasts,
    length: int,
    reached: Mapping[str, int] | None = None,
) -> dict[str, Spec]:
    """The running total and the new counts of each headline metric, of a workspace or a source."""
    charts = {}
    for metric in HEADLINES:
        totals: list[int] = getattr(columns, metric.name)
        forecast = forecasts.of(metric)
        points = _points(daily.days, totals)
        charts[metric.option] = cumulative_chart(
            points,
            unit=metric.label,
            days=length,
            previous=() if before is None else _points(before[0], getattr(before[1], metric.name)),
            outlook=forecast.outlook(totals[-1]) if forecast else None,
            limit=getattr(limits, metric.name) if limits else None,
            quota_from=(reached or {}).get(metric.wire),
            size=_LARGE,
        )
        charts[f"new-{metric.option}"] = daily_chart(
            points, unit=metric.label, days=length, size=_LOW
        )
    return charts


def _places(charts: Iterable[Sequence[str]]) -> dict[str, int]:
    """The place in the palette of each source: in all charts the same, and in each its own."""
    places: dict[str, int] = {}
    for shown in charts:
        taken = {places[source_id] for source_id in shown if source_id in places}
        free = iter([place for place in range(SOURCES_MAX) if place not in taken])
        places |= {each: next(free) for each in shown if each not in places}
    return places


def _by_source(
    daily: DailyBody,
    length: int,
    metric: Metric,
    shown: Sequence[str],
    places: Mapping[str, int],
    sources_used: int,
) -> Spec:
    points = {
        each.source_id: (each.source_name, _points(daily.days, getattr(each.totals, metric.name)))
        for each in daily.sources
    }
    held = [source_id for source_id in shown if source_id in points]
    others: Sequence[Point] = ()
    if metric.adds_up and sources_used > len(shown):
        # The sources that are not shown are what is left of the workspace.
        columns = [[point.total for point in points[each][1]] for each in held]
        whole: list[int] = getattr(daily.workspace, metric.name)
        left = [max(0, total - sum(each)) for total, *each in zip(whole, *columns, strict=True)]
        others = _points(daily.days, left)
    return per_source_chart(
        dict(points[each] for each in held),
        unit=metric.label,
        days=length,
        stacked=metric.adds_up,
        others=others,
        others_count=sources_used - len(shown),
        places=[places[each] for each in held],
        size=_LARGE,
    )


def _points(days: Sequence[str], totals: Sequence[int]) -> list[Point]:
    return [Point(date.fromisoformat(day), total) for day, total in zip(days, totals, strict=True)]
