"""Estimates: none before there is something to tell from, and ranges that hold what they say."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.forecast import Pace, pace_of

DAYS = 30
STEADY_DAYS = 25

news = st.lists(st.integers(0, 10**12), min_size=6, max_size=DAYS)
"""What is new on each day so far: enough days, and of the complete ones at least two are used."""
used = news.filter(lambda new: new[0] > 0 and any(new[1:-1]))
falling = st.lists(st.integers(-50, 50), min_size=6, max_size=DAYS).map(
    lambda new: list(accumulate([1_000, *new]))
)


def pace(new: list[int]) -> Pace:
    found = pace_of(list(accumulate(new)), runs=True)
    assert found is not None
    return found


@pytest.mark.parametrize("unused", [0, 1, 7, 20])
@pytest.mark.parametrize("complete", range(1, 6))
def test_there_is_none_up_to_three_complete_days_of_usage(unused: int, complete: int) -> None:
    totals = [0] * unused + [10 * (day + 1) for day in range(complete + 1)]
    assert (pace_of(totals, runs=True) is None) == (complete <= 3)


@pytest.mark.parametrize("days", range(1, DAYS + 1))
def test_there_is_none_without_usage_for_one_message_and_for_one_day(days: int) -> None:
    for usage in (0, 1, 500):
        assert pace_of([usage] * days, runs=True) is None
        assert pace_of([0] * (days - 1) + [usage], runs=True) is None


def test_there_is_none_for_a_month_that_is_over() -> None:
    assert pace_of(range(10, 10 * DAYS, 10), runs=False) is None


def test_it_starts_from_what_is_counted_today() -> None:
    # 28 a day for 24 days, and a day that brought more than all of them: five are left.
    end = pace([28] * 24 + [1_400 - 24 * 28]).at_end_of(DAYS)
    assert end == (1_400 + 5 * 28,) * 3
    line = [each.likely for each in pace([28] * 24 + [728]).outlook(DAYS).values()]
    assert line == [1_400 + 28 * day for day in range(6)]


def test_a_week_without_usage_before_the_first_changes_nothing() -> None:
    new = [9, 12, 8, 11, 10, 9, 12, 4]
    early, late = pace(new), pace([0] * 7 + new)
    for ahead in range(10):
        assert early.at_end_of(len(new) + ahead) == late.at_end_of(7 + len(new) + ahead)


def test_a_steady_month_is_told_alike_all_day_long() -> None:
    ends = [pace([10] * STEADY_DAYS + [today]).at_end_of(DAYS) for today in range(11)]
    assert ends == [(300, 300, 300)] * 11


def test_a_few_steady_days_are_no_certainty() -> None:
    four, five, seven = (pace([10] * days + [0]).at_end_of(DAYS) for days in (4, 5, 7))
    assert four.likely == five.likely == seven.likely == 300
    assert four.high - four.low > five.high - five.low > 0
    assert seven.low == seven.high


def test_a_limit_is_reached_where_the_estimate_passes_it() -> None:
    steady = pace([10] * 14 + [4])
    reach = steady.reaches(200, DAYS)
    assert (reach.earliest, reach.likely, reach.latest) == (20, 20, 20)
    assert steady.reaches(301, DAYS).earliest is None


def test_a_falling_count_reaches_nothing_and_stays_what_it_is() -> None:
    found = pace_of([50, 49, 47, 46, 44, 43, 41, 40], runs=True)
    assert found is not None
    assert found.at_end_of(DAYS) == (40, 40, 40)
    assert found.reaches(50, DAYS).earliest is None


@given(used, st.integers(1, 10**14))
def test_ranges_are_in_order_and_days_bring_no_less(new: list[int], limit: int) -> None:
    found = pace(new)
    ranges = [found.at_end_of(day) for day in range(len(new), DAYS + 1)]
    for total in ranges:
        assert sum(new) <= total.low <= total.likely <= total.high
        assert total.low < total.high or found.looked_at >= 5
    for earlier, later in pairwise(ranges):
        assert earlier.likely <= later.likely
        assert earlier.high <= later.high
    reach = found.reaches(limit, DAYS)
    days = [day or DAYS + 1 for day in (reach.earliest, reach.likely, reach.latest)]
    assert days == sorted(days)
    outlook = found.outlook(DAYS)
    assert not outlook or outlook[len(new)] == (sum(new),) * 3
    assert list(outlook.values())[1:] == ranges[1:]


@given(used, st.integers(0, 10**12))
def test_what_comes_today_never_lowers_an_estimate_and_raises_it_by_no_more(
    new: list[int], more: int
) -> None:
    before = pace(new)
    after = pace([*new[:-1], new[-1] + more])
    for day in range(len(new), DAYS + 1):
        for less, now in zip(before.at_end_of(day), after.at_end_of(day), strict=True):
            assert less <= now <= less + more


@given(falling)
def test_a_count_that_may_fall_has_ranges_in_order_too(totals: list[int]) -> None:
    found = pace_of(totals, runs=True)
    if found is not None:
        for day in range(len(totals), DAYS + 1):
            total = found.at_end_of(day)
            assert totals[-1] <= total.low <= total.likely <= total.high


@pytest.mark.parametrize("complete", [5, 8, 14])
def test_four_of_five_lie_in_the_range(complete: int) -> None:
    # What the page says of itself, for days that are as the arithmetic supposes.
    chance = random.Random(1)
    inside = 0
    for _ in range(2_000):
        new = [max(0, round(chance.gauss(1_000, 200))) for _ in range(DAYS)]
        end = pace([*new[:complete], 0]).at_end_of(DAYS)
        inside += end.low <= sum(new) <= end.high
    assert 0.77 <= inside / 2_000 <= 0.83
