"""What an alert says: of imports, of shares, and in money, where the plan has a price."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from headcount.alerting.alert_notices import alert_body
from headcount.catalog import DatedPrice
from headcount.counting.alerts import AlertEvent, Crossing
from headcount.counting.calendar import parse_day
from headcount.counting.cost import Price

AT_MS = 1_780_000_000_000  # 28 May 2026
PRICES = [
    DatedPrice("mtu", 0, Price(Decimal("10.00"), 1_000, "USD"), 1),
    DatedPrice("mtu", parse_day("2026-05-29"), Price(Decimal(99), 1, "EUR"), 2),
]


def crossing(**more: Any) -> Crossing:
    fixed: dict[str, Any] = {
        "rule": "r", "name": "MTU", "kind": "count", "metric": "mtu", "rule_number": 1,
        "source": 0, "period": "2026-05-01", "mark": "m", "threshold": "100%", "target": 12_000,
        "value": 12_001, "limit": 12_000,
    }  # fmt: skip
    return Crossing(**fixed | more)


def told(found: Crossing) -> dict[str, Any]:
    event = AlertEvent("evt_1", 1, AT_MS, (1,), (found,))
    [data] = json.loads(alert_body(event, ("w1", "Shop"), {4: ("s4", "web")}, PRICES))["data"][
        "crossings"
    ]
    return dict(data)


def test_use_beyond_the_plan_is_told_in_money_by_the_price_of_its_day() -> None:
    found = told(crossing())
    assert found["overageCost"] == {"currency": "USD", "now": "10.00"}
    assert found["text"].endswith(" That is USD 10.00 beyond the plan so far.")
    forecast = told(crossing(kind="forecast", low=12_000, likely=13_500, high=14_001, value=12_000))
    assert forecast["overageCost"] == {
        "currency": "USD", "likely": "20.00", "low": "0.00", "high": "30.00",
    }  # fmt: skip
    assert "about USD 20.00 (USD 0.00 to USD 30.00)" in forecast["text"]
    past = told(crossing(period="2026-04-01"))
    assert past["overageCost"]["currency"] == "USD"


@pytest.mark.parametrize(
    "more",
    [{"value": 12_000}, {"source": 4}, {"limit": None}, {"metric": "api_calls"},
     {"kind": "silent", "since_ms": AT_MS}],
)  # fmt: skip
def test_nothing_is_said_of_money_where_nothing_is_charged(more: dict[str, Any]) -> None:
    found = told(crossing(**more))
    assert "overageCost" not in found
    assert "plan so far" not in found["text"]


def test_a_title_says_that_an_import_brought_all_of_it() -> None:
    def title(*imported: bool) -> str:
        found = tuple(
            crossing(imported=each, threshold=f"{at}%") for at, each in enumerate(imported, 1)
        )
        event = AlertEvent("evt_1", 1, AT_MS, (1,), found)
        return str(json.loads(alert_body(event, ("w1", "Shop"), {}))["data"]["title"])

    assert title(True, True) == "Headcount: Shop: MTU 1%, MTU 2% (by an import)"
    assert title(True, False) == title(False, False) == "Headcount: Shop: MTU 1%, MTU 2%"
    assert title(True).endswith("An import brought it.")
    long = title(*[True] * 20)
    assert len(long) <= 200
    assert long.endswith(" (by an import)")


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("rejected_share", "24.5 % of the messages of Shop in May 2026 are rejected: the"),
        ("duplicate_share", "24.5 % of the messages of Shop in May 2026 are duplicates: the"),
    ],
)
def test_a_share_of_messages_is_said_plainly(metric: str, words: str) -> None:
    found = told(crossing(metric=metric, value=24.5, target=10, threshold="10%", limit=None))
    assert found["text"].startswith(words)
