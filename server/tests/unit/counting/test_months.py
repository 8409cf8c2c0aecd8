"""Which month is current, which there are and how many of their days have begun."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.months import (
    current_period,
    day_reached,
    days_so_far,
    is_there,
    periods_of,
)

NOVEMBER = Period(2026 * 12 + 10)
days = st.integers(NOVEMBER.first_day - 70, NOVEMBER.last_day + 70)


def test_a_clock_that_is_set_back_takes_no_day_away() -> None:
    day = NOVEMBER.first_day + 4
    assert day_reached(day * MS_PER_DAY + 5) == day
    assert day_reached(day * MS_PER_DAY, day - 1) == day
    assert day_reached((day - 40) * MS_PER_DAY, day) == day
    assert current_period((day - 40) * MS_PER_DAY) == NOVEMBER.shifted(-2)
    assert current_period((day - 40) * MS_PER_DAY, day) == NOVEMBER


@given(days)
def test_days_that_have_begun_add_up_to_the_day(day: int) -> None:
    current = Period.of_day(day)
    assert days_so_far(current, day) == day - current.first_day + 1
    assert days_so_far(current.shifted(-1), day) == current.shifted(-1).length
    assert days_so_far(current.shifted(1), day) == 0


@given(days, st.none() | days)
def test_the_months_that_there_are_are_listed(day: int, first_day: int | None) -> None:
    current = Period.of_day(day)
    first = None if first_day is None else Period.of_day(first_day)
    near = [current.shifted(months) for months in range(6, -7, -1)]
    assert periods_of(first, current) == [each for each in near if is_there(each, first, current)]
    assert is_there(current, first, current)
    assert not is_there(current.shifted(1), first, current)
