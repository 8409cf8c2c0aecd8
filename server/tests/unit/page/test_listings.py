"""The months of a year: the latest first, each with bars that are as long as they are many."""

from __future__ import annotations

from msgspec import UNSET

from headcount.api.v1.all_months import MonthRecord, MonthsBody
from headcount.api.v1.plan_limits import LimitsRecord
from headcount.api.v1.summary import Overage, Totals
from headcount.counting.calendar import Period
from headcount.counting.metrics import REPORTED
from headcount.page.listings import COUNTED, month_rows

NOVEMBER = Period(2026 * 12 + 10)


def months(count: int, step: int) -> MonthsBody:
    records = [
        MonthRecord(
            str(NOVEMBER.shifted(place + 1 - count)),
            "2026-11-23T10:00:00.000Z",
            Totals(**{metric.name: step * (place + 1) for metric in REPORTED}),
            LimitsRecord(mtu=10, api_calls=None),
            Overage(mtu=4) if step * (place + 1) == 14 else UNSET,
        )
        for place in range(count)
    ]
    return MonthsBody(records)


def test_a_month_beside_none_is_no_year() -> None:
    assert month_rows(months(1, 5)) == []


def test_the_latest_month_comes_first() -> None:
    rows = month_rows(months(13, 7))
    assert [row.period for row in rows] == [str(NOVEMBER.shifted(-each)) for each in range(13)]
    for row, total, permille in ((rows[0], 91, 1000), (rows[-1], 7, 76)):
        assert [(bar.total, bar.permille) for bar in row.bars] == [(total, permille)] * len(COUNTED)
        assert [bar.limit for bar in row.bars] == [None, 10]


def test_a_month_beyond_its_plan_says_by_how_much() -> None:
    over = [[bar.over for bar in row.bars] for row in month_rows(months(3, 7))]
    assert over == [[0, 0], [0, 4], [0, 0]]


def test_months_without_usage_have_no_bar() -> None:
    bars = month_rows(months(3, 0))[0].bars
    assert [(bar.total, bar.permille) for bar in bars] == [(0, 0)] * len(COUNTED)
