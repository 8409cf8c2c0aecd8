"""Rules whose months are damaged: the meter goes on, and says which it passes over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.counting.alerts import AlertRule, AlertSetup, Quota, parse_threshold
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.meter import Meter
from headcount.troubles import Troubles
from support.damaged_counts import make_negative
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

    def append(self, source: int, count: int) -> None:
        facts = []
        for _ in range(count):
            self.fresh += 1
            name = f"{self.fresh}"
            facts.append(PlainFact(self.now_ms, 1, source, name, name))
        self.rig.append(self.journal, facts)

    def starts_with(self, *rules: AlertRule, quotas: tuple[Quota, ...] = ()) -> None:
        """A new process, by rules."""
        self.rig.stop()
        self.setup = AlertSetup(rules, quotas=quotas)
        self.rig.start()
        self.rig.meter.close()
        self.rig.meter = Meter(
            self.rig.store, self.rig.writers, self.rig.clock_ms, 35,
            troubles=self.troubles, alerts=self.rig.alerts,
        )  # fmt: skip

    def goes_on(self, source: int, count: int) -> int:
        """Counts more messages of a source; gives what it has in the month."""
        self.now_ms += 1_001
        self.append(source, count)
        self.rig.drain()
        self.now_ms += 1_001
        self.rig.drain()
        return int(self.rig.store.alerts.totals(1, MARCH, source).counts[:, 0].sum())

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
