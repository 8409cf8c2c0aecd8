"""Charts: valid in Vega-Lite's own schema, with every row, and drawable by the library."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import Any

import altair
import pytest
import vl_convert

from headcount.charts import (
    SOURCES_MAX,
    Point,
    cumulative_chart,
    daily_chart,
    per_source_chart,
    split_largest,
    themed,
)
from headcount.charts.look import PALETTE
from support.forecasts import forecast_from

ODD_NAME = "'<script>\\ \" datum.x [0] モバイル"


def month(days: int, step: int, number: int = 11) -> list[Point]:
    first = date(2026, number, 1)
    return [Point(first + timedelta(day), step * (day + 1)) for day in range(days)]


def outlook(points: list[Point]) -> Any:
    forecast = forecast_from([point.total for point in points])
    assert forecast is not None
    return forecast.outlook(points[-1].total)


def charts() -> dict[str, dict[str, Any]]:
    few = {f"source {place}": month(23, 10 - place) for place in range(SOURCES_MAX)}
    return {
        "cumulative": cumulative_chart(
            month(23, 10), unit="MTU", days=30, previous=month(31, 9, 10), limit=400, title="T"
        ),
        "with an outlook": cumulative_chart(
            month(23, 10), unit="MTU", days=30, outlook=outlook(month(23, 10)), limit=1_100
        ),
        "first day": cumulative_chart(month(1, 0), unit="API calls", days=31),
        "far limit": cumulative_chart(month(2, 1), unit="MTU", days=31, limit=10**12),
        "stacked": per_source_chart(
            few, unit="API calls", days=30, stacked=True, others=month(23, 5), others_count=494
        ),
        "lines": per_source_chart({ODD_NAME: month(2, 1)}, unit="MTU", days=31, stacked=False),
        "daily": daily_chart(month(23, 10), unit="API calls", days=30),
        "daily, falling": daily_chart(
            [Point(date(2026, 11, 1), 5), Point(date(2026, 11, 2), 3)], unit="MTU", days=30
        ),
        "none": per_source_chart({}, unit="MTU", days=31, stacked=False),
    }


@pytest.mark.parametrize("name", charts())
def test_every_chart_is_valid_and_can_be_drawn(name: str) -> None:
    for dark in (False, True):
        spec = themed(charts()[name], dark=dark)
        altair.Chart.from_dict(spec)
        assert "<svg" in vl_convert.vegalite_to_svg(spec)


def test_the_month_before_lies_behind_by_day() -> None:
    rows = charts()["cumulative"]["data"]["values"]
    assert [row["day"] for row in rows] == list(range(1, 32))
    assert rows[22] == {"day": 23, "total": 230, "previous": 207}
    assert rows[30] == {"day": 31, "total": None, "previous": 279}


def test_the_days_to_come_go_on_from_today() -> None:
    rows = charts()["with an outlook"]["data"]["values"]
    assert "likely" not in rows[21]
    assert [rows[22][name] for name in ("total", "low", "likely", "high")] == [230] * 4
    end = outlook(month(23, 10))[30]
    assert rows[29] == {"day": 30, "total": None, "previous": None, **end._asdict()}
    assert 230 < end.low < end.likely < end.high
    # Four times the highest estimate, not the highest count, is where a limit is left out.
    assert "limit 1,100" in json.dumps(charts()["with an outlook"])


@pytest.mark.parametrize("highest", [0, 1, 2, 3, 4, 5, 7, 9, 12])
@pytest.mark.parametrize("limit", [None, 4])
def test_counts_are_marked_at_whole_numbers(highest: int, limit: int | None) -> None:
    points = [Point(date(2026, 11, day + 1), highest * day // 4) for day in range(5)]
    apart = {"a": points, "b": points}
    for chart in (
        cumulative_chart(points, unit="MTU", days=30, limit=limit),
        per_source_chart(apart, unit="MTU", days=30, stacked=False),
        per_source_chart(apart, unit="API calls", days=30, stacked=True),
    ):
        drawn = vl_convert.vegalite_to_svg(themed(chart))
        axes = re.findall(r'class="mark-text role-axis-label".*?</g>', drawn, re.DOTALL)
        marks = [re.findall(r">([^<]+)</text>", axis) for axis in axes]
        assert len(marks) == 2
        assert all(mark.isdigit() for mark in marks[1]), marks


def test_a_source_may_keep_its_colour_in_two_charts() -> None:
    few = {name: month(2, 1) for name in ("a", "b")}
    chart = per_source_chart(few, unit="MTU", days=31, stacked=False, places=[4, 0])
    assert chart["encoding"]["color"]["scale"]["range"] == [PALETTE[4], PALETTE[0]]
    assert len(chart["encoding"]["strokeDash"]["scale"]["range"]) == 2


def test_a_limit_that_would_flatten_the_line_is_left_out() -> None:
    assert "limit" in json.dumps(charts()["cumulative"]["layer"])
    assert "limit" not in json.dumps(charts()["far limit"]["layer"])


def test_the_largest_sources_are_named_and_calls_add_up() -> None:
    sources = {f"s{place:02d}": month(3, place) for place in range(20)}
    shown, others = split_largest(sources)
    assert list(shown) == ["s19", "s18", "s17", "s16", "s15", "s14"]
    assert len(others) == 14
    stacked = charts()["stacked"]
    last = [row for row in stacked["data"]["values"] if row["day"] == 23]
    assert [row["source"] for row in last][-1] == "494 others"
    assert sum(row["total"] for row in last) == 23 * (10 + 9 + 8 + 7 + 6 + 5 + 5)


def test_tracked_users_are_not_stacked() -> None:
    lines = charts()["lines"]
    assert "stack" not in lines["encoding"]["y"]
    assert lines["encoding"]["color"]["scale"]["domain"] == [ODD_NAME]


def test_new_counts_are_told_by_day_and_weekends_apart() -> None:
    totals = [100, 200, 800, 810]
    points = [Point(date(2026, 11, 5 + place), total) for place, total in enumerate(totals)]
    rows = daily_chart(points, unit="API calls", days=30)["data"]["values"]
    assert [(row["new"], row["kind"]) for row in rows] == [
        (100, "weekday"), (100, "weekday"), (600, "weekend"), (10, "weekend"),
    ]  # fmt: skip
    falling = charts()["daily, falling"]["data"]["values"]
    assert [row["new"] for row in falling] == [5, -2]


def test_one_other_is_not_several() -> None:
    few = {"a": month(2, 5), "b": month(2, 4)}
    for count, words in ((1, "1 other"), (2, "2 others")):
        chart = per_source_chart(
            few, unit="MTU", days=31, stacked=True, others=month(2, 1), others_count=count
        )
        assert chart["encoding"]["color"]["scale"]["domain"][-1] == words


@pytest.mark.parametrize("name", charts())
def test_words_on_charts_have_reading_size(name: str) -> None:
    drawn = vl_convert.vegalite_to_svg(themed(charts()[name]))
    sizes = {int(size) for size in re.findall(r'font-size="(\d+)px"', drawn)}
    assert sizes
    assert min(sizes) >= 12
