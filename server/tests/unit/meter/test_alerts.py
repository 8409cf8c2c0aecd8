"""What a meter tells people, and when: thresholds together, imports by name, days far above the
usual, ends of months by the low end of their range, and silences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.counting.alerts import (
    AlertKind,
    AlertRule,
    AlertSetup,
    Crossing,
    parse_threshold,
)
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.facts import Rejection
from headcount.counting.forecast import FORMER_MONTHS, forecast_of
from headcount.counting.metrics import BY_NAME
from headcount.errors import StorageUnavailableError
from headcount.store.protocol import Change
from support.oracle import PlainFact
from support.rig import Rig

FIRST_DAY = parse_period("2026-03-01").first_day
MARCH = Period.of_day(FIRST_DAY)
HOUR_MS = 3_600_000


def rule(
    kind: AlertKind, *texts: str, number: int = 1, metric: str = "api_calls", source: int = 0,
    quiet_hours: int = 24, channels: tuple[int, ...] = (1,),
) -> AlertRule:  # fmt: skip
    thresholds = tuple(parse_threshold(text, metric) for text in texts)
    return AlertRule(
        number, f"r{number}", "", 1, source, kind, metric, thresholds, quiet_hours, channels
    )


class Told:
    """A meter, and what it has told."""

    def __init__(self, folder: Path) -> None:
        self.now_ms = (FIRST_DAY + 9) * MS_PER_DAY + 12 * HOUR_MS
        self.setup = AlertSetup()
        self.fresh = 0
        self.rig = Rig(folder, lambda: self.now_ms, alerts=lambda: self.setup)
        self.journal = self.rig.journal()

    def rules(self, *rules: AlertRule, limit: int | None = None) -> None:
        self.setup = AlertSetup(rules, lambda *_: limit)

    def sends(self, count: int, *, source: int = 1, imported_day: int | None = None) -> None:
        """Messages, each with a user of its own."""
        facts = []
        at_ms = self.now_ms if imported_day is None else imported_day * MS_PER_DAY
        for _ in range(count):
            self.fresh += 1
            name = f"{self.fresh}"
            facts.append(PlainFact(at_ms, 1, source, name, name, imported=imported_day is not None))
        self.rig.append(self.journal, facts)
        self.step()

    def step(self) -> None:
        self.now_ms += 1_001
        self.rig.drain()

    def waits(self, hours: float) -> None:
        """Time passes, and the meter looks on."""
        for _ in range(round(hours * 15)):
            self.now_ms += HOUR_MS // 15
            self.rig.meter.step()

    def crossings(self) -> list[Crossing]:
        return [each for event in self.events() for each in event]

    def events(self) -> list[tuple[Crossing, ...]]:
        return [stored.event.crossings for stored in self.rig.store.alerts.events(most=10_000)]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    told = Told(tmp_path)
    yield told
    told.rig.close()


def test_thresholds_that_one_change_crosses_come_in_one_notice(told: Told) -> None:
    told.rules(
        rule("count", "50%", "80%", "100%", "120%"),
        rule("count", "5", number=2, metric="mtu", source=1),
        limit=10,
    )
    told.sends(10)
    [crossings] = told.events()
    assert sorted((each.rule_number, each.threshold) for each in crossings) == [
        (1, "100%"), (1, "50%"), (1, "80%"), (2, "5"),
    ]  # fmt: skip
    told.sends(2)
    [_, more] = told.events()
    assert [(each.threshold, each.value, each.target) for each in more] == [("120%", 12, 12)]


def test_what_comes_while_a_rule_is_off_counts_once_it_is_on_again(told: Told) -> None:
    told.rules(rule("count", "20"))
    told.sends(3)
    told.rules()
    told.sends(15)
    told.rules(rule("count", "8", "20"))
    told.step()
    assert [(each.threshold, each.value) for each in told.crossings()] == [("8", 18)]
    told.sends(2)
    assert [(each.threshold, each.value) for each in told.crossings()][1:] == [("20", 20)]


def test_other_channels_hear_of_the_same_change_by_themselves(told: Told) -> None:
    told.rules(rule("count", "5"), rule("count", "5", number=2, channels=(2, 3)))
    told.sends(6)
    stored = told.rig.store.alerts.events()
    assert sorted(each.event.channels for each in stored) == [(1,), (2, 3)]


def test_what_an_import_brings_says_so(told: Told) -> None:
    told.rules(rule("count", "5", "20"))
    told.sends(6)
    told.sends(15, imported_day=FIRST_DAY + 3)
    told.sends(7, imported_day=FIRST_DAY - 10)
    assert [(each.period, each.threshold, each.imported) for each in told.crossings()] == [
        ("2026-03-01", "5", False),
        ("2026-03-01", "20", True),
        ("2026-02-01", "5", True),
    ]


def test_what_is_imported_into_one_source_is_not_said_of_another(told: Told) -> None:
    """Both in one change, as they come while an import runs."""
    told.rules(
        rule("count", "5", source=1),
        rule("count", "5", number=2, source=2),
        rule("count", "5", number=3),
    )
    for source, is_imported in ((1, False), (2, True)):
        facts = [
            PlainFact(told.now_ms, 1, source, f"{source} {each}", "u", imported=is_imported)
            for each in range(6)
        ]
        told.rig.append(told.journal, facts)
    told.step()
    assert {each.rule_number: each.imported for each in told.crossings()} == {
        1: False, 2: True, 3: True,
    }  # fmt: skip


def test_a_dip_crosses_nothing_twice_and_hides_nothing(told: Told) -> None:
    told.rules(rule("count", "4", metric="mtu"))
    told.rig.append(
        told.journal,
        [PlainFact(told.now_ms, 1, 1, f"m{each}", None, f"anon{each}") for each in range(5)],
    )
    told.step()
    told.rig.append(
        told.journal,
        [PlainFact(told.now_ms, 1, 1, f"n{each}", "one", f"anon{each}") for each in range(5)],
    )
    told.step()
    told.rig.stop()
    told.rig.start()
    # Five it was, and one it is: a rule that comes now hears of five all the same, and once.
    told.rules(rule("count", "4", metric="mtu"), rule("count", "5", number=2, metric="mtu"))
    told.step()
    told.sends(6)
    assert [(each.rule_number, each.threshold) for each in told.crossings()] == [(1, "4"), (2, "5")]
    assert told.crossings()[1].value == 5


def test_shares_of_messages_are_judged_once_there_are_enough(told: Told) -> None:
    told.rules(rule("count", "40%", metric="rejected_share"))
    today = told.now_ms // MS_PER_DAY
    told.rig.append(told.journal, [], [Rejection(1, 1, today, "invalid_id", 40)])
    told.step()
    assert told.crossings() == []
    told.sends(60)
    [crossing] = told.crossings()
    assert (crossing.metric, crossing.value, crossing.threshold) == ("rejected_share", 40, "40%")


def test_what_a_disk_refuses_is_told_when_it_takes_it(told: Told) -> None:
    told.rules(rule("count", "3"))
    commit = told.rig.store.commit

    def refusing(change: Change) -> None:
        raise StorageUnavailableError("full")

    told.rig.store.commit = refusing  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailableError):
        told.sends(4)
    told.rig.store.commit = commit  # type: ignore[method-assign]
    assert told.crossings() == []
    told.step()
    assert [each.threshold for each in told.crossings()] == ["3"]


def days_of_usage(told: Told, days: int, count: int) -> None:
    """Some usage on each of the days before today."""
    today = told.now_ms // MS_PER_DAY
    for day in range(today - days, today):
        told.sends(count, imported_day=day)


def test_a_day_with_far_more_than_its_weekday_is_told_once(told: Told) -> None:
    days_of_usage(told, 40, 20)
    told.rules(rule("unusual"))
    told.sends(39)
    assert told.crossings() == []
    told.sends(1)
    told.sends(200)
    [crossing] = told.crossings()
    assert (crossing.day, crossing.usual, crossing.value) == ("2026-03-10", 20, 40)
    told.now_ms += MS_PER_DAY
    told.sends(300)
    assert [each.day for each in told.crossings()] == ["2026-03-10", "2026-03-11"]


def test_a_day_that_was_far_above_is_told_though_its_messages_are_counted_after_it(
    told: Told,
) -> None:
    """They came shortly before midnight, or the meter was away; an import is no news of a day."""
    days_of_usage(told, 40, 20)
    told.rules(rule("unusual"))
    told.step()
    facts = [PlainFact(told.now_ms, 1, 1, f"late {each}", "u") for each in range(41)]
    told.rig.append(told.journal, facts)
    told.now_ms += MS_PER_DAY
    told.step()
    [crossing] = told.crossings()
    assert (crossing.day, crossing.usual, crossing.value) == ("2026-03-10", 20, 41)
    told.sends(90, imported_day=FIRST_DAY + 8)
    told.step()
    assert len(told.crossings()) == 1


def test_a_weekday_that_is_not_known_yet_is_never_unusual(told: Told) -> None:
    days_of_usage(told, 20, 20)
    told.rules(rule("unusual"))
    told.sends(500)
    assert told.crossings() == []


def test_a_forecast_is_told_when_its_low_end_passes(told: Told) -> None:
    days_of_usage(told, 60, 10)
    period, today = MARCH, told.now_ms // MS_PER_DAY
    months = [
        told.rig.store.alerts.totals(1, period.shifted(-back), 0).counts
        for back in range(FORMER_MONTHS, 0, -1)
    ]
    days = told.rig.store.alerts.totals(1, period, 0).counts[: today - FIRST_DAY + 1]
    forecast = forecast_of(BY_NAME["api_calls"], period, days, months)
    assert forecast is not None
    low, likely = forecast.at_end.low, forecast.at_end.likely
    assert low < likely
    told.rules(rule("forecast", str(low), str(low + 1), str(likely)))
    told.step()
    [crossing] = told.crossings()
    assert (crossing.threshold, crossing.low, crossing.likely) == (str(low), low, likely)
    told.rig.stop()
    told.rig.start()
    told.waits(2)
    assert len(told.crossings()) == 1


def test_a_silence_is_told_once_and_a_new_one_again(told: Told) -> None:
    days_of_usage(told, 20, 3)
    told.rules(rule("silent", source=1, quiet_hours=6))
    told.sends(1)
    since_ms = told.now_ms - 1_001
    told.waits(5.8)
    assert told.crossings() == []
    told.waits(0.4)
    [crossing] = told.crossings()
    assert crossing.since_ms is not None
    assert abs(crossing.since_ms - since_ms) < 60_000
    told.waits(3)
    told.rig.stop()
    told.rig.start()
    told.waits(10)
    assert len(told.crossings()) == 1
    told.sends(1)
    told.waits(7)
    assert [each.day for each in told.crossings()] == ["2026-03-10", "2026-03-11"]


def test_a_clock_that_steps_away_makes_no_silence(told: Told) -> None:
    days_of_usage(told, 20, 3)
    told.rules(rule("silent", source=1, quiet_hours=6))
    told.sends(1)
    told.now_ms += 3 * MS_PER_DAY
    told.rig.meter.step()
    told.sends(1)
    told.waits(1)
    assert told.crossings() == []


def test_days_on_which_nothing_usually_comes_are_no_silence(told: Told) -> None:
    today = told.now_ms // MS_PER_DAY
    quiet = {(today + 1) % 7, (today + 2) % 7}
    for day in range(today - 28, today):
        if day % 7 not in quiet:
            told.sends(2, imported_day=day)
    told.rules(rule("silent", source=1, quiet_hours=20))
    told.sends(1)  # at noon, before two days on which nothing comes
    told.waits(12 + 48 + 7)
    assert told.crossings() == []
    told.waits(2)
    assert len(told.crossings()) == 1
