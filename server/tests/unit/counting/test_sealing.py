"""When a month is closed, and when the clock is believed about it."""

from __future__ import annotations

import pytest

from headcount.counting.calendar import parse_period
from headcount.counting.sealing import is_due, is_plausible, trusted_after

OCTOBER = parse_period("2026-10-01")


@pytest.mark.parametrize(
    ("last_import_day", "days_after_end", "due"),
    [
        (None, 0, False),
        (None, 35, False),
        (None, 36, True),
        (OCTOBER.last_day - 100, 36, True),
        (OCTOBER.last_day + 10, 45, False),
        (OCTOBER.last_day + 10, 46, True),
    ],
)
def test_a_month_stays_open_for_35_days_after_its_end_or_its_last_import(
    last_import_day: int | None, days_after_end: int, due: bool
) -> None:
    assert is_due(OCTOBER, last_import_day, OCTOBER.last_day + days_after_end) is due


@pytest.mark.parametrize(
    ("trusted_day", "day", "plausible"),
    [(None, 100, False), (100, 100, True), (100, 102, True), (100, 103, False), (100, 90, True)],
)
def test_the_clock_is_believed_up_to_two_days_after_the_last_trusted_day(
    trusted_day: int | None, day: int, plausible: bool
) -> None:
    assert is_plausible(trusted_day, day) is plausible


@pytest.mark.parametrize(
    ("trusted_day", "live_days", "after"),
    [
        (None, [100], 100),
        (None, [100, 103], 100),
        (100, [102, 104, 107], 104),
        (100, [90], 100),
        (100, [103, 104], 100),
        (100, [], 100),
    ],
)
def test_a_day_is_trusted_when_live_messages_lead_up_to_it(
    trusted_day: int | None, live_days: list[int], after: int
) -> None:
    assert trusted_after(trusted_day, live_days) == after
