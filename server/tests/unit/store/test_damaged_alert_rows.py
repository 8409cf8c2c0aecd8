"""Rows of what was told that are damaged: what is counted is written all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from headcount.counting.alerts import AlertEvent, Crossing, QuotaReached
from headcount.counting.calendar import parse_period
from headcount.counting.metrics import ANONYMOUS, ANONYMOUS_IDENTIFIED, IDENTIFIED, KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.errors import DamagedDataError
from headcount.store.opening import open_store
from headcount.store.protocol import Change, MeterStore
from support.damaged_counts import change_by_hand

MARCH = parse_period("2026-03-01")
PLACE = (MARCH, 1, 3)


def counts(anonymous: int = 0, linked: int = 0) -> Counts:
    """Of so many who are anonymous, and of so many of these who turn out to be one person."""
    made = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    made[0, ANONYMOUS] = anonymous
    made[0, IDENTIFIED], made[0, ANONYMOUS_IDENTIFIED] = bool(linked), linked
    return made


def told(rule: int, uid: str) -> AlertEvent:
    crossing = Crossing(
        rule=f"r{rule}", name="n", kind="count", metric="mtu", rule_number=rule, source=3,
        period=str(MARCH), mark="5", threshold="5", value=5, target=5,
    )  # fmt: skip
    return AlertEvent(uid, 1, 5, (), (crossing,))


def change(anonymous: int, linked: int, rule: int, source: int, at_ms: int) -> Change:
    return Change(
        counts={PLACE: counts(anonymous, linked)},
        alerts=[told(rule, f"evt_{rule}")],
        quotas_reached=[QuotaReached(1, MARCH, source, "mtu", 5, at_ms, "mark")],
        arrivals={(1, 3): at_ms},
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MeterStore]:
    made = open_store(tmp_path / "store.sqlite")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("table", "column", "where"),
    [
        ("high_water", "value", "1"),
        ("arrival", "received_at_ms", "1"),
        ("alert_mark", "event", "rule = 1"),
        # These stand then where another one is to be written.
        ("alert_mark", "rule", "rule = 2"),
        ("quota_reached", "source", "source = 4"),
    ],
)
def test_counts_are_written_beside_rows_that_are_damaged(
    store: MeterStore, tmp_path: Path, table: str, column: str, where: str
) -> None:
    store.commit(change(anonymous=9, linked=0, rule=1, source=3, at_ms=100_000))
    store.commit(change(anonymous=0, linked=4, rule=1, source=3, at_ms=200_000))
    change_by_hand(tmp_path / "store.sqlite", table, column, 1)
    store.commit(change(anonymous=0, linked=5, rule=2, source=4, at_ms=300_000))
    usage = store.read_usage(1, MARCH)
    assert usage.sources[0].sum(axis=0)[[ANONYMOUS, ANONYMOUS_IDENTIFIED]].tolist() == [9, 9]
    # Whoever asks for the damaged row is told, and it is not written over.
    reads = {
        "high_water": lambda: store.alerts.totals(1, MARCH, 3),
        "arrival": store.alerts.arrivals,
        "alert_mark": lambda: store.alerts.marks(1, MARCH),
        "quota_reached": lambda: store.alerts.quotas_reached(1, MARCH),
    }
    with pytest.raises(DamagedDataError, match=table):
        reads[table]()
    change_by_hand(tmp_path / "store.sqlite", table, column, -1, where)
    reads[table]()
