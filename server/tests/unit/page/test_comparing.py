"""A month beside another: which days are compared, and how that reads."""

from __future__ import annotations

import pytest

from headcount.api.v1.plan_limits import LimitsRecord
from headcount.api.v1.summary import MonthTotals, SummaryBody, Totals, TotalsChange
from headcount.counting.metrics import REPORTED
from headcount.page.comparing import beside, other_of

NONE = LimitsRecord(mtu=None, api_calls=None)


def month(day: str, count: int) -> MonthTotals:
    totals = Totals(*[count] * len(REPORTED))
    return MonthTotals(f"{day[:8]}01", day, "2026-11-23T10:00:00.000Z", totals)


@pytest.mark.parametrize(
    ("now", "before", "compared", "current", "words"),
    [
        ("2026-11-23", "2026-10-23", None, "2026-11-01", "40 at the end of 23 October"),
        ("2026-11-23", "2025-11-23", None, "2026-11-01", "40 at the end of 23 November 2025"),
        ("2026-10-31", "2026-09-30", None, "2026-11-01", "40 in September 2026"),
        # On the last day of a month that runs, it is not over.
        ("2026-11-30", "2026-09-30", None, "2026-11-01", "40 at the end of 30 September"),
        (
            "2025-10-31", "2026-11-23", "2025-10-23", "2026-11-01",
            "40 at the end of 23 November 2026; 70 at the end of 23 October 2025",
        ),
    ],
)  # fmt: skip
def test_what_a_month_is_held_against(
    now: str, before: str, compared: str | None, current: str, words: str
) -> None:
    summary = SummaryBody(month(now, 70), [], NONE)
    summary.previous, summary.change = month(before, 40), TotalsChange(30, 30)
    if compared is not None:
        summary.compared = month(compared, 70)
    other = other_of(summary, named=True, current=current)
    assert other is not None
    rows = beside(summary.month.totals, summary.previous.totals)
    assert [(row.now, row.before, row.change.absolute) for row in rows] == [(70, 40, 30)] * 6
    assert other.held_against(rows[0]).words == words


def test_without_another_month_nothing_is_compared() -> None:
    summary = SummaryBody(month("2026-11-23", 70), [], NONE)
    assert other_of(summary, named=False, current="2026-11-01") is None
    assert beside(summary.month.totals, None) == []
