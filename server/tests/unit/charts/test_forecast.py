"""Estimates: none before there are days to tell from, and ranges that hold what they say."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.charts.forecast import pace_of

DAYS = 30
months = st.lists(st.integers(0, 10**12), min_size=5, max_size=DAYS).map(
    lambda new: [sum(new[: place + 1]) for place in range(len(new))]
)
months_with_usage = months.filter(lambda totals: totals[-1] > 0)


def test_there_is_none_for_a_young_month() -> None:
    for days in range(1, 5):
        assert pace_of(range(0, 10 * days, 10), runs=True) is None
    assert pace_of(range(0, 50, 10), runs=True) is not None


@pytest.mark.parametrize("days", range(1, DAYS + 1))
def test_there_is_none_for_a_month_without_usage(days: int) -> None:
    assert pace_of([0] * days, runs=True) is None


def test_there_is_none_for_a_month_that_is_over() -> None:
    assert pace_of(range(0, 10 * DAYS, 10), runs=False) is None


def test_a_month_that_is_used_today_for_the_first_time_has_one() -> None:
    assert pace_of([0, 0, 0, 0, 0, 7], runs=True) is not None


def test_steady_days_go_on() -> None:
    pace = pace_of([100, 110, 120, 130, 140, 144], runs=True)
    assert pace is not None
    end = pace.at_end_of(DAYS)
    assert (end.low, end.likely, end.high) == (390, 390, 390)
    reach = pace.reaches(200, DAYS)
    assert (reach.earliest, reach.likely, reach.latest) == (11, 11, 11)
    reach = pace.reaches(391, DAYS)
    assert (reach.earliest, reach.likely, reach.latest) == (None, None, None)


def test_a_falling_count_reaches_nothing_and_stays_what_it_is() -> None:
    pace = pace_of([50, 49, 47, 46, 44, 43, 40], runs=True)
    assert pace is not None
    assert pace.at_end_of(DAYS).high == 40
    assert pace.reaches(50, DAYS).earliest is None


@given(months_with_usage, st.integers(1, 10**14))
def test_ranges_are_in_order(totals: list[int], limit: int) -> None:
    pace = pace_of(totals, runs=True)
    assert pace is not None
    for day in range(len(totals), DAYS + 1):
        total = pace.at_end_of(day)
        assert totals[-1] <= total.low <= total.likely <= total.high
    reach = pace.reaches(limit, DAYS)
    found = [day or DAYS + 1 for day in (reach.earliest, reach.likely, reach.latest)]
    assert found == sorted(found)


def test_four_of_five_lie_in_the_range() -> None:
    # What the page says of itself, for days that are as the arithmetic supposes. With seven days to
    # learn from, the normal distribution's 80 % are really some 77 %.
    chance = random.Random(1)
    inside = 0
    for _ in range(2_000):
        new = [max(0, round(chance.gauss(1_000, 200))) for _ in range(DAYS)]
        totals = [sum(new[: day + 1]) for day in range(DAYS)]
        pace = pace_of([*totals[:14], totals[13]], runs=True)
        assert pace is not None
        end = pace.at_end_of(DAYS)
        inside += end.low <= totals[-1] <= end.high
    assert 0.72 <= inside / 2_000 <= 0.84
