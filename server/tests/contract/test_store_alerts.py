"""What is told goes with a change, whole or not at all, and once; on every store."""

from __future__ import annotations

import numpy as np
import pytest

from headcount.counting.alerts import AlertEvent, Crossing, QuotaReached
from headcount.counting.calendar import Period, parse_period
from headcount.counting.metrics import ANONYMOUS, ANONYMOUS_IDENTIFIED, IDENTIFIED, KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.store.protocol import Change, MeterStore
from support.stores import OpenStore

MARCH = parse_period("2026-03-01")


def crossing(mark: str, rule: int = 1, period: Period = MARCH) -> Crossing:
    return Crossing(
        rule=f"r{rule}", name="n", kind="count", metric="mtu", rule_number=rule, source=0,
        period=str(period), mark=mark, threshold=mark, value=1, target=1,
    )  # fmt: skip


def event(uid: str, *crossings: Crossing, workspace: int = 1) -> AlertEvent:
    return AlertEvent(uid, workspace, 5, (1, 2), crossings)


def counts(**columns: int) -> Counts:
    made = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    for name, value in columns.items():
        made[3, {"i": IDENTIFIED, "a": ANONYMOUS, "ai": ANONYMOUS_IDENTIFIED}[name]] = value
    return made


def test_an_event_is_read_as_it_was_written(store: MeterStore, open_store: OpenStore) -> None:
    told = event("evt_1", crossing("80%"), crossing("100%"))
    store.commit(Change(alerts=[told]))
    for each in (store, open_store()):
        [found] = each.alerts.events()
        assert found.event == told
        assert each.alerts.event("evt_1") == found
        assert each.alerts.event("evt_2") is None
        assert each.alerts.marks(1, MARCH) == {1: {"80%", "100%"}}
        assert each.alerts.events(after=found.number) == []
        assert each.alerts.events(workspace=2) == []


def test_what_was_told_is_told_by_nothing_again(store: MeterStore) -> None:
    store.commit(Change(alerts=[event("evt_1", crossing("80%"))]))
    store.commit(Change(alerts=[event("evt_2", crossing("80%"))]))
    store.commit(Change(alerts=[event("evt_3", crossing("80%"), crossing("100%"))]))
    store.commit(Change(alerts=[event("evt_4", crossing("80%", period=MARCH.shifted(1)))]))
    found = [[each.mark for each in stored.event.crossings] for stored in store.alerts.events()]
    assert found == [["80%"], ["100%"], ["80%"]]
    assert [each.number for each in store.alerts.events(latest=True)] == sorted(
        (each.number for each in store.alerts.events()), reverse=True
    )


def test_a_change_that_fails_tells_nothing(store: MeterStore) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 — whatever an engine raises for nonsense
        store.commit(Change(alerts=[event("evt_1", crossing("80%"))], counted_aside=[object()]))  # type: ignore[list-item]
    assert store.alerts.events() == []
    assert store.alerts.marks(1, MARCH) == {}


def test_the_most_that_a_falling_count_has_been_is_known(store: MeterStore) -> None:
    place = (MARCH, 1, 0)
    store.commit(Change(counts={place: counts(a=5)}))
    assert store.alerts.totals(1, MARCH, 0).high == {}
    store.commit(Change(counts={place: counts(i=1, ai=5)}))
    store.commit(Change(counts={place: counts(a=1)}))
    totals = store.alerts.totals(1, MARCH, 0)
    assert totals.high == {"mtu": 5}
    assert totals.counts.sum() == 12
    assert store.alerts.totals(1, MARCH, 9).counts.sum() == 0


def test_a_quota_is_reached_once_and_arrivals_are_the_last(store: MeterStore) -> None:
    first = QuotaReached(1, MARCH, 3, "api_calls", 5, 100, "mark")
    later = QuotaReached(1, MARCH, 3, "api_calls", 9, 200, "refuse")
    store.commit(Change(quotas_reached=[first], arrivals={(1, 3): 70}))
    store.commit(Change(quotas_reached=[later], arrivals={(1, 3): 60}))
    assert list(store.alerts.quotas_reached(1, MARCH)) == [first]
    assert list(store.alerts.quotas_reached(2, MARCH)) == []
    assert dict(store.alerts.arrivals()) == {(1, 3): 60}


def test_an_erased_workspace_has_been_told_nothing(store: MeterStore) -> None:
    store.commit(
        Change(alerts=[event("evt_1", crossing("1")), event("evt_2", crossing("1"), workspace=2)])
    )
    store.commit(Change(erased=[1]))
    assert [each.event.workspace for each in store.alerts.events()] == [2]
    assert store.alerts.marks(1, MARCH) == {}
