"""How figures read, and what stands beside them."""

from __future__ import annotations

import pytest

from headcount.counting.metrics import BY_NAME
from headcount.page.cards import Against, UsageCard, drivers_of, usage_card
from headcount.page.figures import change_of, moment_text
from headcount.wording import count_text, percent_text, range_text
from support.forecasts import forecast_from


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (10**12, "1,000,000,000,000"), (-1234, "\N{MINUS SIGN}1,234")],
)
def test_counts(count: int, text: str) -> None:
    assert count_text(count) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(1, 3, "33.3 %"), (0, 5, "0.0 %"), (1, 10**9, "< 0.1 %"), (500, 4, "12,500 %")],
)
def test_shares(part: int, whole: int, text: str) -> None:
    assert percent_text(part, whole) == text


@pytest.mark.parametrize(
    ("now", "before", "text", "direction"),
    [
        (5, 5, "no change", "level"),
        (5, 0, "new", "up"),
        (15, 10, "+50.0 %", "up"),
        (5, 10, "\N{MINUS SIGN}50.0 %", "down"),
        (0, 0, "no change", "level"),
        (10**12, 300, "3,333,333,333 times", "up"),
    ],
)
def test_changes(now: int, before: int, text: str, direction: str) -> None:
    change = change_of(now, before)
    assert (change.absolute, change.text, change.direction) == (now - before, text, direction)


def test_moments_are_in_utc() -> None:
    assert moment_text("2026-11-03T01:04:31.000+02:00") == "2 Nov 2026, 23:04 UTC"


def standing(totals: list[int], limit: int | None, *, runs: bool = True) -> UsageCard:
    days = [f"2026-11-{day:02d}" for day in range(1, len(totals) + 1)]
    return usage_card(
        BY_NAME["mtu"], days=days, totals=totals, runs=runs,
        forecast=forecast_from(totals) if runs else None,
        against=Against(totals[-1], 40, "40 in October 2026"), limit=limit,
    )  # fmt: skip


def test_a_limit_that_is_reached_names_the_day() -> None:
    use = standing([10, 50, 90, 90, 100, 120, 125], 100).limit
    assert use is not None
    assert (use.share, use.permille, use.reached) == ("125 %", 1000, "5 November")
    assert use.over == 25
    at_it = standing([10, 50, 100], 100).limit
    assert at_it is not None
    assert (at_it.over, at_it.reached) == (0, "3 November")


def test_a_limit_of_nothing_is_reached_at_once() -> None:
    use = standing([0, 0], 0).limit
    assert use is not None
    assert (use.over, use.permille, use.reached) == (0, 1000, "1 November")


def test_a_limit_ahead_is_estimated_with_its_range() -> None:
    shown = standing([10, 20, 32, 40, 50, 61, 69, 80, 81], 200)
    month_end, limit = shown.estimates
    assert (month_end.label, limit.label) == ("Estimate for 30 Nov", "Limit of 200")
    assert limit.likely == "about 20 Nov"
    earliest, latest = (int(each.removesuffix(" Nov")) for each in limit.range.split(" to "))
    assert 18 <= earliest < 20 < latest <= 25
    assert shown.forecast is not None
    assert shown.forecast.learned_days == 8


def test_a_range_without_width_is_not_named() -> None:
    assert range_text(1_496, 1_600) == "1,496 to 1,600"
    assert range_text(11, 11) == ""


def test_the_bar_shows_what_is_used_and_what_is_ahead() -> None:
    use = standing([10, 20, 30, 40, 50, 60, 61], 400).limit
    assert use is not None
    assert (use.permille, use.permille_ahead) == (152, 750)
    over = standing([10] * 30, 200, runs=False).limit
    assert over is not None
    assert over.permille == over.permille_ahead == 50


def test_the_sources_that_stand_out() -> None:
    sources = [("web", 80, 1), ("app", 30, 27), ("till", 2, -38)]
    largest, moved = drivers_of(sources, 100, compared=True)
    assert (largest.name, largest.figure, largest.share) == ("web", "80", "80.0 %")
    assert (moved.name, moved.figure) == ("till", "\N{MINUS SIGN}38")
    # A source may know more users than the workspace, so no share is told then.
    assert drivers_of(sources, 70, compared=False)[0].share == ""
    assert len(drivers_of(sources, 100, compared=False)) == 1
    assert len(drivers_of([("web", 5, 0)], 5, compared=True)) == 1
    assert drivers_of([], 0, compared=True) == []


def test_a_month_that_is_over_is_no_estimate() -> None:
    shown = standing([10] * 30, 200, runs=False)
    assert shown.estimates == []
    assert shown.no_estimate == ""
    assert shown.compared == "40 in October 2026"
    assert "at least four complete days" in standing([10, 20], 200).no_estimate
    empty = standing([0] * 20, 200)
    assert (list(empty.estimates), empty.no_estimate) == ([], "")
