"""Usage as a picture: takes rows of a month and the one before, gives the bytes of a file.

The charts are those of the page. Refuses file names whose end names no format that can be drawn,
months that hold nothing to draw, and to draw without the library that does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import PurePath
from typing import Any, NamedTuple

from headcount.charts import (
    Point,
    Spec,
    cumulative_chart,
    per_source_chart,
    split_largest,
    themed,
)
from headcount.charts.javascript import can_draw
from headcount.charts.pictures import DRAWN_FORMATS, NotDrawnInTimeError, drawn
from headcount.cli.reading.showing import month_words
from headcount.cli.reading.usage_rows import Query, Row
from headcount.counting.calendar import Period
from headcount.counting.forecast import Forecast
from headcount.counting.metrics import Metric
from headcount.errors import OperatorError, UsageError
from headcount.extras import install_command
from headcount.shown import shown as as_shown

__all__ = ["DrawnMonth", "check_plot", "in_one_picture", "picture"]


class DrawnMonth(NamedTuple):
    """What is drawn.

    Attributes:
        period: the month.
        rows: its rows.
        previous: the rows of the month before; none by source.
        limits: what the plan includes, by the API's names; a name that is missing has no limit.
        forecasts: of the days to come, by the API's names; a name is missing where nothing is told.
        workspace: whose usage it is; None from a server that does not tell.
    """

    period: Period
    rows: Sequence[Row]
    previous: Sequence[Row]
    limits: Mapping[str, int | None]
    forecasts: Mapping[str, Forecast]
    workspace: str | None = None


def check_plot(file: str) -> str:
    """The format that the end of a file's name asks for.

    Raises:
        UsageError: it asks for none that can be drawn, or the library that draws is missing.
    """
    file_format = PurePath(file).suffix.removeprefix(".").lower()
    if file_format not in DRAWN_FORMATS:
        raise UsageError(f'--plot is "{file}".', "Let the file's name end in .png, .svg or .pdf.")
    if not can_draw():
        raise UsageError(
            "Charts need a library that is not installed.",
            f"Install it with: {install_command('plot')}",
        )
    return file_format


def picture(query: Query, month: DrawnMonth, file_format: str, *, dark: bool) -> bytes:
    """A chart for each metric of the query, one above the other.

    Args:
        query: what the rows were read by.
        month: the rows.
        file_format: as `check_plot` gives it.
        dark: whether it will stand on black rather than on white.

    Raises:
        OperatorError: there is nothing to draw, or drawing failed.
    """
    if not month.rows:
        raise OperatorError(
            f"There is nothing to draw: no source has usage in {month_words(month.period)}.",
            "Name another month with --period.",
        )
    if query.by == "source":
        shown = _largest(query.headlines[0], month)
        charts = [_by_source(metric, month, shown) for metric in query.headlines]
    else:
        charts = [_of_workspace(metric, month) for metric in query.headlines]
    return in_one_picture(charts, file_format, dark=dark)


def in_one_picture(charts: Sequence[Spec], file_format: str, *, dark: bool) -> bytes:
    """Charts, one above the other.

    Args:
        charts: at least one.
        file_format: as `check_plot` gives it.
        dark: whether it will stand on black rather than on white.

    Raises:
        OperatorError: drawing failed.
    """
    whole = charts[0] if len(charts) == 1 else _stacked(charts)
    try:
        return drawn(themed(whole, dark=dark), file_format)
    except NotDrawnInTimeError as error:
        raise OperatorError(
            f"The chart could not be drawn: {error}.", "Try again when the machine is less busy."
        ) from error
    except RuntimeError as error:
        raise OperatorError(
            f"The chart could not be drawn: {error}",
            f"Install the library again: {install_command('plot', anew=True)}",
        ) from error


def _of_workspace(metric: Metric, month: DrawnMonth) -> Spec:
    points = _points(month.rows, metric.name)
    forecast = month.forecasts.get(metric.wire)
    return cumulative_chart(
        points,
        unit=metric.label,
        days=month.period.length,
        previous=_points(month.previous, metric.name),
        outlook=forecast.outlook(points[-1].total) if forecast else None,
        limit=month.limits.get(metric.wire),
        title=_title(metric.label, month),
    )


def _largest(metric: Metric, month: DrawnMonth) -> list[str]:
    """The sources that a chart has room for; in every chart of a picture the same ones."""
    largest, _ = split_largest(_by_name(month, metric.name))
    return list(largest)


def _by_source(metric: Metric, month: DrawnMonth, shown: Sequence[str]) -> Spec:
    sources = _by_name(month, metric.name)
    largest = {source: sources.pop(source) for source in shown if source in sources}
    summed: defaultdict[date, int] = defaultdict(int)
    for points in sources.values():
        for point in points:
            summed[point.day] += point.total
    return per_source_chart(
        largest,
        unit=metric.label,
        days=month.period.length,
        stacked=metric.adds_up,
        others=[Point(*each) for each in sorted(summed.items())],
        others_count=len(sources),
        title=_title(f"{metric.label} by source", month),
    )


def _by_name(month: DrawnMonth, name: str) -> dict[str, list[Point]]:
    of_sources: defaultdict[str, list[Row]] = defaultdict(list)
    for row in month.rows:
        # A control character would make no picture, and one that turns text around a wrong one.
        of_sources[as_shown(row["source_name"] or row["source_id"])].append(row)
    points = {source: _points(rows, name) for source, rows in of_sources.items()}
    return {source: each for source, each in points.items() if each}


def _points(rows: Sequence[Row], name: str) -> list[Point]:
    return [Point(row["day"], row[name]) for row in rows if row[name] is not None]


def _title(words: str, month: DrawnMonth) -> str:
    # The name comes last, because a long one is cut off.
    whose = "" if month.workspace is None else f", {as_shown(month.workspace)}"
    return f"{words}, {month_words(month.period)}{whose}"


def _stacked(charts: Sequence[Spec]) -> Spec:
    """Several charts as one picture."""
    whole = {"$schema", "autosize"}  # said once for all, or only for a chart that is alone
    parts: list[dict[str, Any]] = []
    for chart in charts:
        part = {name: value for name, value in chart.items() if name not in whole}
        part["data"] = {"values": chart["data"]["values"]}
        if "layer" in part:
            # Nothing moves over a picture, and two layers for it would share one name.
            part["layer"] = [layer for layer in part["layer"] if "params" not in layer]
        parts.append(part)
    apart = {"color": "independent", "strokeDash": "independent"}
    return {
        "$schema": charts[0]["$schema"],
        "vconcat": parts,
        "spacing": 28,
        "resolve": {"scale": apart, "legend": apart},
        "padding": 12,
    }
