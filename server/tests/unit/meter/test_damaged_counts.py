"""Rules whose months are damaged: the meter goes on, and says which it passes over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.counting.alerts import AlertRule, AlertSetup, Quota, parse_threshold
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.meter import Meter
from headcount.troubles import Troubles
from support.damaged_counts import change_by_hand, make_negative
from support.oracle import PlainFact
from support.rig import Rig

MARCH = parse_period("2026-03-01")
BEFORE = [MARCH.shifted(-months) for months in (2, 1)]
DAYS = 12


def rule(number: int, kind: str, source: int, *texts: str) -> AlertRule:
    thresholds = tuple(parse_threshold(text, "api_calls") for text in texts)
    return AlertRule(
        number, f"r{number}", f"{kind} of #{source}", 1, source,
        kind, "api_calls", thresholds, 24, (1,),  # type: ignore[arg-type]
    )  # fmt: skip


class Place:
    """Two sources with usage on all days of two months and some, and rules of each kind on them."""

    def __init__(self, folder: Path) -> None:
        self.now_ms = BEFORE[0].first_day * MS_PER_DAY
        self.setup = AlertSetup()
        self.fresh = 0
        self.rig = Rig(folder, lambda: self.now_ms, alerts=lambda: self.setup)
        self.journal = self.rig.journal()
        self.store = folder / "store.sqlite"
        for day in range(BEFORE[0].first_day, MARCH.first_day + DAYS):
            self.now_ms = day * MS_PER_DAY
            self.append(1, 3)
            self.append(2, 3)
        self.rig.drain()
        self.troubles = Troubles(None, "meter", lambda: self.now_ms)

    def append(self, source: int, count: int, workspace: int = 1) -> None:
        facts = []
        for _ in range(count):
            self.fresh += 1
            name = f"{self.fresh}"
            facts.append(PlainFact(self.now_ms, workspace, source, name, name))
        self.rig.append(self.journal, facts)

    def starts_with(self, *rules: AlertRule, quotas: tuple[Quota, ...] = ()) -> None:
        """A new process, by rules."""
        self.rig.stop()
        self.troubles = Troubles(None, "meter", lambda: self.now_ms)
        self.setup = AlertSetup(rules, quotas=quotas)
        self.rig.start()
        self.rig.meter.close()
        self.rig.meter = Meter(
            self.rig.store, self.rig.writers, self.rig.clock_ms, 35,
            troubles=self.troubles, alerts=self.rig.alerts,
        )  # fmt: skip

    def goes_on(self, source: int, count: int, workspace: int = 1) -> int:
        """Counts more messages of a source; gives what it has in the month."""
        self.now_ms += 1_001
        self.append(source, count, workspace)
        self.waits(1_001)
        return int(self.rig.store.alerts.totals(workspace, MARCH, source).counts[:, 0].sum())

    def waits(self, ms: int) -> None:
        self.rig.drain()
        self.now_ms += ms
        self.rig.drain()

    def quotas(self, workspace: int) -> set[int]:
        found = self.rig.store.alerts.quotas_reached(workspace, MARCH)
        return {each.source for each in found}

    def told(self) -> set[tuple[int, str]]:
        events = self.rig.store.alerts.events(most=1_000)
        return {(of.rule_number, of.mark) for each in events for of in each.event.crossings}

    def said(self) -> list[str]:
        return [each.message for each in self.troubles.now() if each.kind == "alerts_unjudged"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.rig.close()


ALL = [
    rule(number, kind, source, *texts)
    for source in (1, 2)
    for number, (kind, texts) in enumerate(
        [("count", ["50"]), ("forecast", ["60"]), ("unusual", []), ("silent", [])], 4 * source
    )
]
OF_OTHER = {rule.number for rule in ALL if rule.source == 2}


@pytest.mark.parametrize("with_checksum", [True, False])
@pytest.mark.parametrize("period", BEFORE)
def test_a_former_month_that_is_damaged_stops_no_counting(
    place: Place, period: Period, with_checksum: bool
) -> None:
    make_negative(place.store, period, source=1, with_checksum=with_checksum)
    place.starts_with(*ALL)
    assert place.goes_on(1, 30) == 3 * DAYS + 30
    assert place.goes_on(2, 30) == 3 * DAYS + 30
    # What does not need that month is told, of both; and all of the other source.
    assert {(4, "50"), (8, "50"), (9, "60"), (10, "unusual 2026-03-12")} <= place.told()
    if not with_checksum:
        [said] = place.said()
        assert "unusual of #1" in said
        assert "of #2" not in said
        assert "damaged" in said
        place.setup = AlertSetup((ALL[0],))
        place.goes_on(1, 1)
        assert place.said() == []


@pytest.mark.parametrize("with_checksum", [True, False])
def test_a_month_that_runs_and_is_damaged_stops_no_other_source(
    place: Place, with_checksum: bool
) -> None:
    quotas = tuple(Quota(1, source, "api_calls", 40, "refuse") for source in (1, 2))
    make_negative(place.store, MARCH, source=1, with_checksum=with_checksum)
    place.starts_with(*ALL, quotas=quotas)
    assert place.goes_on(2, 30) == 3 * DAYS + 30
    assert {(8, "50"), (9, "60")} <= place.told()
    assert set(place.rig.meter.over_quota()) == {2}
    [said] = place.said()
    assert "forecast of #1" in said
    assert "of #2" not in said
    if with_checksum:
        # It is counted into as it stands; what doctor says of it is the operator's to hear.
        place.goes_on(1, 5)
        place.rig.drain()


def test_of_a_quota_that_is_noted_and_damaged_nothing_is_lost(place: Place) -> None:
    quotas = [Quota(1, source, "api_calls", 40, "refuse", f"#{source}") for source in (1, 2)]
    quotas.append(Quota(2, 3, "api_calls", 5, "mark", "#3"))
    # A rule on a source hides no quota of it.
    place.starts_with(ALL[4], quotas=tuple(quotas))
    place.goes_on(1, 5)
    assert place.quotas(1) == {1}
    place.rig.stop()
    change_by_hand(place.store, "quota_reached", "amount", 1)
    place.starts_with(ALL[4], quotas=tuple(quotas))
    assert place.goes_on(2, 7) == 3 * DAYS + 7
    assert place.goes_on(3, 7, workspace=2) == 7
    # The damaged row is of the one workspace; and who used a quota is refused, noted or not.
    assert place.quotas(2) == {3}
    assert set(place.rig.meter.over_quota()) == {1, 2}
    [said] = place.said()
    assert "the quota of #1 in 2026-03" in said
    assert "the quota of #2 in 2026-03" in said
    assert "#3" not in said
    change_by_hand(place.store, "quota_reached", "amount", -1, "workspace = 1")
    place.waits(60_001)
    assert place.quotas(1) == {1, 2}
    assert place.said() == []


def test_when_the_last_messages_came_and_is_damaged_is_taken_for_unknown(place: Place) -> None:
    silent = [rule for rule in ALL if rule.kind == "silent"]
    place.starts_with(*silent)
    place.goes_on(1, 1)
    place.rig.stop()
    change_by_hand(place.store, "arrival", "received_at_ms", 1)
    place.starts_with(*silent)
    # The row is to be written anew with this, and is not.
    assert place.goes_on(1, 1) == 3 * DAYS + 2
    assert place.goes_on(2, 1) == 3 * DAYS + 1
    [said] = place.said()
    assert "silent of #1" in said
    # What came since is known, and days are: it tells of a silence.
    for _ in range(30):
        place.waits(3_600_000)
        place.waits(200_000)
        for _ in range(4):
            place.waits(200_000)
    assert {number for number, _ in place.told()} == {rule.number for rule in silent}
    change_by_hand(place.store, "arrival", "received_at_ms", -1, "source = 1")
    place.starts_with(*silent)
    place.goes_on(1, 1)
    assert place.said() == []


@pytest.mark.parametrize("table", ["alert_mark", "alert_event"])
def test_of_marks_that_are_damaged_only_what_they_say_is_unknown(place: Place, table: str) -> None:
    quotas = (Quota(1, 2, "api_calls", 40, "refuse"),)
    rules = [each for each in ALL if each.kind == "count"]
    place.starts_with(*rules, quotas=quotas)
    place.goes_on(1, 30)
    column = {"alert_mark": "event", "alert_event": "created_at_ms"}[table]
    change_by_hand(place.store, table, column, 1)
    place.goes_on(1, 1)
    place.starts_with(*rules, quotas=quotas)
    assert place.goes_on(2, 30) == 3 * DAYS + 30
    assert set(place.rig.meter.over_quota()) == {2}
    change_by_hand(
        place.store, table, column, -1, {"alert_mark": "rule = 4", "alert_event": "id = 1"}[table]
    )
    place.waits(60_001)
    assert place.said() == []
    # What could not be judged is told once it can be, and nothing twice.
    assert sorted(place.told()) == [(4, "50"), (8, "50")]
    events = place.rig.store.alerts.events(most=1_000)
    assert sum(len(each.event.crossings) for each in events) == 2
