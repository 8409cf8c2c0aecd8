"""Forecasts: none before there is something to tell from, and ranges that hold what they say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headcount.counting.calendar import Period, parse_period
from headcount.counting.forecast import FORMER_MONTHS, Forecast, forecast_of
from headcount.counting.metrics import (
    ANONYMOUS,
    ANONYMOUS_IDENTIFIED,
    API_CALLS,
    BY_NAME,
    IDENTIFIED,
    KINDS,
)
from headcount.counting.usage import DAYS_MAX, Counts

MONTH = parse_period("2026-11-01")
DAYS = MONTH.length
CALLS, MTU = BY_NAME["api_calls"], BY_NAME["mtu"]

news = st.lists(st.integers(0, 10**12), min_size=6, max_size=DAYS)
"""What is new on each day so far: enough days, and of the complete ones at least two are used."""
used = news.filter(lambda new: new[0] > 0 and any(new[1:-1]))


def counts(new: Sequence[int], column: int = API_CALLS) -> Counts:
    found = np.zeros((len(new), len(KINDS)), np.int64)
    found[:, column] = new
    return found


def told(new: Sequence[int], *former: Counts) -> Forecast | None:
    return forecast_of(CALLS, MONTH, counts(new), former)


def forecast(new: Sequence[int], *former: Counts) -> Forecast:
    found = told(new, *former)
    assert found is not None
    return found


def weeks(period: Period, working: int, weekend: int) -> Counts:
    """A month in which every Saturday and Sunday brings another number."""
    first = period.first_day
    new = [weekend if (first + day) % 7 in (2, 3) else working for day in range(period.length)]
    return counts([*new, *[0] * (31 - period.length)])


@pytest.mark.parametrize("unused", [0, 1, 7, 20])
@pytest.mark.parametrize("complete", range(1, 6))
def test_there_is_none_up_to_three_complete_days_of_usage(unused: int, complete: int) -> None:
    new = [0] * unused + [10] * (complete + 1)
    assert (told(new) is None) == (complete <= 3)


@pytest.mark.parametrize("days", range(1, DAYS + 1))
def test_there_is_none_without_usage_for_one_message_and_for_one_day(days: int) -> None:
    for usage in (0, 1, 500):
        assert told([usage] + [0] * (days - 1)) is None
        assert told([0] * (days - 1) + [usage]) is None


def test_it_starts_from_what_is_counted_today() -> None:
    # 28 a day for 24 days, and a day that brought more than all of them: five are left.
    end = forecast([28] * 24 + [1_400 - 24 * 28])
    assert abs(end.at_end.likely - (1_400 + 5 * 28)) <= 2
    assert 1_400 < end.at_end.low < end.at_end.likely < end.at_end.high < 1_600
    line = list(end.outlook(1_400).values())
    assert line[0] == (1_400, 1_400, 1_400)
    assert [each.likely for each in line[1:]] == pytest.approx(
        [1_400 + 28 * day for day in range(1, 6)], abs=2
    )


def test_a_week_without_usage_before_the_first_changes_little() -> None:
    new = [9, 12, 8, 11, 10, 9, 12, 4]
    early, late = forecast(new), forecast([0] * 7 + new)
    for ahead in range(10):
        for one, other in zip(early.days[ahead], late.days[ahead], strict=True):
            # The days of the week are others, and a day less is learned from: no more.
            assert one == pytest.approx(other, rel=0.08)


def test_a_steady_month_is_told_alike_all_day_long() -> None:
    ends = {forecast([10] * 25 + [today]).at_end for today in range(11)}
    assert len(ends) == 1
    assert 299 <= ends.pop().likely <= 301


def test_weekends_are_known_and_former_months_too() -> None:
    former = [weeks(MONTH.shifted(-back), 100, 20) for back in (2, 1)]
    now = weeks(MONTH, 100, 20)
    whole = int(now[:DAYS, API_CALLS].sum())
    # On the first day of a month, which is a Sunday, and from the months before alone.
    early = forecast(now[:1, API_CALLS].tolist(), *former)
    assert early.at_end.likely == pytest.approx(whole, rel=0.08)
    assert (early.learned_days, early.learned_months) == (61, 2)
    # Twice the usage is seen within a week, with the weekends that were.
    late = forecast((2 * now[:8, API_CALLS]).tolist(), *former)
    assert late.at_end.likely == pytest.approx(2 * whole, rel=0.08)
    days = [later.likely - earlier.likely for earlier, later in pairwise(late.days)]
    saturdays, mondays = days[5::7], days[0::7]
    assert max(saturdays) < min(mondays) / 3


def test_a_set_that_fills_up_is_not_told_as_a_line() -> None:
    def filling(period: Period) -> Counts:
        new = [round(1_000 / (day + 1) ** 0.8) for day in range(period.length)]
        return counts([*new, *[0] * (31 - period.length)], IDENTIFIED)

    now, former = filling(MONTH), [filling(MONTH.shifted(-back)) for back in (3, 2, 1)]
    whole = int(now[:, IDENTIFIED].sum())
    with_former = forecast_of(MTU, MONTH, now[:8], former)
    alone = forecast_of(MTU, MONTH, now[:8], [])
    assert with_former is not None
    assert alone is not None
    assert with_former.at_end.likely == pytest.approx(whole, rel=0.05)
    assert alone.at_end.likely == pytest.approx(whole, rel=0.25)
    line = int(now[:7, IDENTIFIED].sum()) * DAYS / 7
    assert line > 1.8 * whole
    # Who knows less says less.
    assert with_former.at_end.high - with_former.at_end.low < alone.at_end.high - alone.at_end.low


def test_identified_and_never_identified_are_told_apart() -> None:
    # People who come now and then, and new visitors every day, half of whom sign in.
    people = [int(2_000 / (1 + day / 5) ** 1.3) for day in range(DAYS)]
    now = counts(people[:10], IDENTIFIED)
    now[:, ANONYMOUS], now[:, ANONYMOUS_IDENTIFIED] = 100, 50
    found = forecast_of(MTU, MONTH, now, [])
    assert found is not None
    assert found.at_end.likely == pytest.approx(50 * DAYS + sum(people), rel=0.1)


def test_only_a_year_is_looked_at() -> None:
    months = [weeks(MONTH.shifted(-back), 100, 20) for back in range(FORMER_MONTHS + 3, 0, -1)]
    ancient = [5_000 * each for each in months[:3]]
    assert told([10], *ancient, *months[3:]) == told([10], *months[3:])


def test_a_limit_is_reached_where_the_estimate_passes_it() -> None:
    steady = forecast([10] * 14 + [4])
    reach = steady.reaches(200)
    assert reach.likely == 20
    assert reach.earliest is not None
    assert reach.latest is not None
    assert reach.earliest <= 20 <= reach.latest
    assert steady.reaches(400).earliest is None


@given(used, st.integers(1, 10**14))
def test_ranges_are_in_order_and_days_bring_no_less(new: list[int], limit: int) -> None:
    found = forecast(new)
    assert len(found.days) == DAYS - len(new) + 1
    for total in found.days:
        assert sum(new) <= total.low <= total.likely <= total.high
        assert total.low < total.high or found.learned_days >= 5
    for earlier, later in pairwise(found.days):
        assert earlier.likely <= later.likely
        assert earlier.high <= later.high
    reach = found.reaches(limit)
    days = [day or DAYS + 1 for day in (reach.earliest, reach.likely, reach.latest)]
    assert days == sorted(days)
    outlook = found.outlook(sum(new))
    assert not outlook or outlook[len(new)] == (sum(new),) * 3
    assert tuple(outlook.values())[1:] == found.days[1:]


@given(used, st.integers(0, 10**12))
def test_what_comes_today_never_lowers_an_estimate_and_raises_it_by_no_more(
    new: list[int], more: int
) -> None:
    before, after = forecast(new), forecast([*new[:-1], new[-1] + more])
    for one, other in zip(before.days, after.days, strict=True):
        for less, now in zip(one, other, strict=True):
            assert less <= now <= less + more


@st.composite
def any_usage(draw: st.DrawFn) -> tuple[Period, Counts, list[Counts]]:
    """A month until any moment of it and some before, as a tracking server may have counted them.

    Of any size; with days without usage, beginning anywhere, in months of 28 to 31 days.
    """
    period = parse_period(
        draw(st.sampled_from(["2026-02-01", "2024-02-01", "2026-04-01", "2026-05-01"]))
    )
    before = draw(st.integers(0, 4))
    many = draw(st.sampled_from([1, 3, 40, 10**4, 10**9]))
    lengths = [period.shifted(-back).length for back in range(before, 0, -1)]
    lengths.append(draw(st.integers(1, period.length)))
    begins = draw(st.integers(0, sum(lengths)))
    some = st.one_of(st.just(0), st.integers(0, many))
    months = []
    for length in lengths:
        found = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
        for day in range(length):
            begins -= 1
            if begins >= 0:
                continue
            users, browsers = draw(some), draw(some)
            found[day, IDENTIFIED], found[day, ANONYMOUS] = users, browsers
            found[day, ANONYMOUS_IDENTIFIED] = draw(st.integers(0, min(users, browsers)))
            found[day, API_CALLS] = users + browsers + draw(some)
        months.append(found)
    return period, months[-1][: lengths[-1]], months[:-1]


SLOWLY_DRAWN = settings(
    max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(any_usage())
@SLOWLY_DRAWN
def test_at_no_moment_of_any_month_is_it_nonsense(
    usage: tuple[Period, Counts, list[Counts]],
) -> None:
    period, days, former = usage
    ends = {}
    for metric in (CALLS, MTU):
        found = forecast_of(metric, period, days, former)
        now = int(metric.of(days).sum())
        if found is None:
            continue
        ends[metric] = found.at_end
        assert len(found.days) == period.length - len(days) + 1
        busiest = max(int(abs(month).max()) for month in (days, *former))
        for total in found.days:
            assert now <= total.low <= total.likely <= total.high
            # A month has no more than thirty-one days of a few times the busiest that was.
            assert total.high <= now + 31 * 10 * busiest
    if MTU in ends and CALLS in ends:
        for ids, messages in zip(ends[MTU], ends[CALLS], strict=True):
            assert ids <= messages


def test_there_are_no_more_tracked_users_than_messages_where_new_ids_become_more() -> None:
    now = counts([2**day for day in range(9)])
    now[:, ANONYMOUS] = now[:, API_CALLS]
    ids, messages = forecast_of(MTU, MONTH, now, []), forecast_of(CALLS, MONTH, now, [])
    assert ids is not None
    assert messages is not None
    for each, most in zip(ids.days, messages.days, strict=True):
        assert all(number <= limit for number, limit in zip(each, most, strict=True))


@given(any_usage())
@SLOWLY_DRAWN
def test_a_month_that_is_all_but_over_ends_where_it_is(
    usage: tuple[Period, Counts, list[Counts]],
) -> None:
    period, days, former = usage
    whole = np.zeros((period.length, len(KINDS)), np.int64)
    whole[: len(days)] = days
    whole[-1] += whole.max(axis=0)
    for metric in (CALLS, MTU):
        if (found := forecast_of(metric, period, whole, former)) is not None:
            now = int(metric.of(whole).sum())
            # No day is left to come, and today has brought more than days do.
            assert len(found.days) == 1
            assert found.at_end.low == now


@pytest.mark.parametrize(("complete", "widest"), [(5, 0.45), (8, 0.3), (14, 0.2)])
def test_four_of_five_lie_in_the_range_or_more_where_days_are_as_chance_has_it(
    complete: int, widest: float
) -> None:
    # Of histories of many kinds, four of five: bench/results. Plain ones are told more narrowly.
    chance = random.Random(1)
    inside, width = 0, 0.0
    for _ in range(300):
        new = [max(0, round(chance.gauss(1_000, 200))) for _ in range(DAYS)]
        end = forecast([*new[:complete], 0]).at_end
        inside += end.low <= sum(new) <= end.high
        width += (end.high - end.low) / sum(new) / 300
    assert inside >= 0.77 * 300
    assert width < widest


@pytest.mark.parametrize("complete", [9, 16, 25])
@pytest.mark.parametrize("column", [API_CALLS, ANONYMOUS])
def test_one_day_a_thousandfold_tells_nothing_of_those_to_come(complete: int, column: int) -> None:
    """A load test, or an archive of messages that was brought in."""
    ordinary = [100 + day % 7 for day in range(complete + 1)]
    burst = ordinary.copy()
    burst[3] = 100_000
    metric = CALLS if column == API_CALLS else MTU
    both = [
        forecast_of(metric, MONTH, counts(new, column), [counts([100] * 30 + [0], column)])
        for new in (ordinary, burst)
    ]
    plain, after = (each.at_end for each in both if each is not None)
    brought = burst[3] - ordinary[3]
    assert after.low - brought <= plain.likely <= after.high - brought
    assert after.likely - brought == pytest.approx(plain.likely, rel=0.05)


damaged = st.builds(
    lambda rows: np.array(rows, np.int64).reshape(-1, len(KINDS)),
    st.integers(6, DAYS).flatmap(
        lambda days: st.lists(
            st.one_of(st.integers(0, 500), st.sampled_from([-1, -600, -(2**62), 2**62])),
            min_size=days * len(KINDS), max_size=days * len(KINDS),
        )
    ),
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(damaged, st.lists(damaged, max_size=3))
def test_counts_that_are_damaged_stop_nobody(days: Counts, former: list[Counts]) -> None:
    months = [np.resize(each, (31, len(KINDS))) for each in former]
    for metric in (CALLS, MTU):
        found = forecast_of(metric, MONTH, days, months)
        assert found is None or (days >= 0).all()
        if found is not None:
            assert all(each.low <= each.likely <= each.high for each in found.days)


def test_nothing_is_learned_from_a_month_that_is_damaged_or_from_those_before_it() -> None:
    new = [50 + day for day in range(12)]
    months = [weeks(MONTH.shifted(-back), 40 + back, 20) for back in range(5, 0, -1)]
    whole = forecast(new, *months)
    (broken := months[2].copy())[4, IDENTIFIED] = -1
    for damage in (broken, None):
        found = forecast_of(CALLS, MONTH, counts(new), [*months[:2], damage, *months[3:]])
        assert found == forecast(new, *months[3:])
        assert found != whole
    (days := counts(new))[3, API_CALLS] = -5
    assert forecast_of(CALLS, MONTH, days, months) is None
