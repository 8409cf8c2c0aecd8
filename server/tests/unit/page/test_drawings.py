"""The charts of the page: one colour a source in all of them, and where a month will end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.api.v1.daily import Columns, DailyBody, SourceColumns
from headcount.api.v1.month_end import ForecastRecord, Forecasts
from headcount.api.v1.outcomes import ReachedQuota
from headcount.api.v1.plan_limits import LimitsRecord
from headcount.charts import SOURCES_MAX
from headcount.counting.calendar import parse_period
from headcount.counting.metrics import HEADLINES, REPORTED
from headcount.page.drawings import _places, drawings, source_drawings
from support.forecasts import forecast_from

NO_SOURCES: dict[str, list[str]] = {metric.name: [] for metric in HEADLINES}
ids = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=SOURCES_MAX)


@given(ids, ids)
def test_every_source_has_one_colour_and_every_chart_tells_its_sources_apart(
    by_calls: list[str], by_mtu: list[str]
) -> None:
    places = _places([by_calls, by_mtu])
    assert [places[each] for each in by_calls] == list(range(len(by_calls)))
    shown = [places[each] for each in by_mtu]
    assert len(set(shown)) == len(shown)
    assert all(0 <= place < SOURCES_MAX for place in shown)


def test_where_a_quota_was_reached_stands_in_the_chart_of_its_metric_alone() -> None:
    days = [f"2026-11-{day:02d}" for day in range(1, 11)]
    columns = Columns(*[[10 * day for day in range(1, 11)]] * (len(REPORTED) + 1))
    source = SourceColumns("s1", "web", columns)
    daily = DailyBody(
        "2026-11-01", "2026-11-01", "2026-11-10T12:00:00.000Z", days, 0, columns, [source]
    )
    reached = ReachedQuota("s1", "web", "apiCalls", 60, "2026-11-06T09:00:00.000Z", "refuse")
    drawn = source_drawings(daily, None, Forecasts(), 30, [reached])
    charts = json.loads(str(drawn))["charts"]
    marked = {name: spec for name, spec in charts.items() if "quota reached" in json.dumps(spec)}
    assert list(marked) == ["api-calls"]
    assert {"day": 6, "label": "quota reached"} in [
        value
        for layer in marked["api-calls"]["layer"]
        for value in layer.get("data", {}).get("values", ())
    ]


@pytest.mark.parametrize("told", [False, True])
def test_a_month_has_an_estimate_where_one_is_told(told: bool) -> None:
    days = [f"2026-11-{day:02d}" for day in range(1, 11)]
    totals = [10 * day for day in range(1, 11)]
    columns = Columns(*[totals] * (len(REPORTED) + 1))
    daily = DailyBody("2026-11-01", "2026-11-01", "2026-11-10T12:00:00.000Z", days, 0, columns, [])
    forecast = forecast_from(totals)
    assert forecast is not None
    record = ForecastRecord.of(forecast, parse_period("2026-11-01"))
    forecasts = Forecasts(mtu=record) if told else Forecasts()
    limits = LimitsRecord(mtu=None, api_calls=None)
    drawn = drawings(daily, None, limits, forecasts, 30, NO_SOURCES, 0)
    assert ("estimate, with its range" in drawn) is told
