"""Doctor holds every month against the limit of its own time, and calls no overage a fault."""

from __future__ import annotations

import numpy as np

from headcount.catalog import FROM_THE_BEGINNING, DatedLimit
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX
from headcount.doctor.findings import Level
from headcount.doctor.plans import check_plans
from headcount.store.counts import encoded
from headcount.store.view import StoredUsage

NOVEMBER = Period(2026 * 12 + 10)
TODAY = NOVEMBER.first_day + 22


def usage(workspace: int, months: int, calls: int, source: int = 0) -> StoredUsage:
    counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    counts[1, KINDS.index("api_calls")] = calls
    return StoredUsage(workspace, NOVEMBER.shifted(months), source, encoded(counts))


def test_each_month_is_judged_by_its_own_limit() -> None:
    limits = {
        1: [
            DatedLimit("api_calls", FROM_THE_BEGINNING, 100, None),
            DatedLimit("api_calls", NOVEMBER.first_day - 1, 12_000, 1),  # October's last day
            DatedLimit("api_calls", TODAY + 1, 5, 1),  # tomorrow
        ],
        2: [DatedLimit("mtu", 0, 5, None)],
    }
    rows = [
        *(usage(1, months, 20_942) for months in (-2, -1, 0)),
        usage(1, 0, 10**9, source=3),
        usage(2, 0, 10**9),
        usage(3, 0, 10**9),
    ]
    now_ms = TODAY * MS_PER_DAY
    one, two = check_plans(rows, limits, {1: "Shop", 2: "Café"}, now_ms, None)
    assert {one.level, two.level} == {Level.OK}
    assert one.message == (
        "Shop has used more than its plan included: 2026-11 8,942 API calls over 12,000,"
        " 2026-10 8,942 API calls over 12,000, 2026-09 20,842 API calls over 100."
    )
    assert two.message == "Café has not used more than its plan included in any month."
    told = one.details["over"]
    assert isinstance(told, list)
    assert told[0] == {
        "month": "2026-09", "metric": "apiCalls", "used": 20_942, "limit": 100, "over": 20_842
    }  # fmt: skip
