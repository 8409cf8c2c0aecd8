"""What a mirror's changes make people hear of: what is news, what imports bring, who is silent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from headcount.counting.alerts import AlertRule, AlertSetup, Quota, parse_threshold
from headcount.counting.calendar import MS_PER_DAY, Period, day_text, parse_period
from headcount.counting.facts import Rejection
from headcount.counting.libraries import USE_PREFIX
from headcount.counting.metrics import ADMITTED, API_CALLS, KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.stages.counts_feed import counts_subject
from headcount.stages.counts_packs import CountsStanding, encode_counts
from headcount.stages.mirror import Mirror
from headcount.stages.mirror_watch import MirrorWatch
from headcount.store.opening import open_mirror_store
from support.memory_log import MemoryLogServer

MONTH = parse_period("2026-03-01")
BEFORE = MONTH.shifted(-1)
TODAY = MONTH.first_day + 14
NAMES = ["facts-0", "keys-0"]
HOUR_MS = 3_600_000


def rule(number: int, *texts: str, kind: str = "count", metric: str = "api_calls") -> AlertRule:
    thresholds = tuple(parse_threshold(text, metric) for text in texts)
    return AlertRule(
        number,
        f"r{number}",
        "",
        1,
        0,
        kind,
        metric,
        thresholds,
        quiet_hours=24,
        channels=(1,),  # type: ignore[arg-type]
    )


def calls(number: int, day: int) -> Counts:
    counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    counts[day - Period.of_day(day).first_day, [API_CALLS, ADMITTED]] = number
    return counts


class Life:
    """A mirror that judges, and the log that it reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = MemoryLogServer().open()
        self.now_ms = TODAY * MS_PER_DAY + 12 * HOUR_MS
        self.setup = AlertSetup()
        self.rows: dict[tuple[int, Period, int], Counts] = {}
        self.generation = 0
        self.imported: list[tuple[int, int, int]] = []
        self.start()

    def start(self) -> None:
        self.store = open_mirror_store(self.folder / "store.sqlite")
        self.watch = MirrorWatch(self.store, lambda: self.setup, lambda: self.now_ms)
        self.mirror = Mirror(
            self.store, self.log, NAMES, lambda: self.now_ms, lambda: 0.0, self.watch
        )

    def close(self) -> None:
        self.mirror.close()
        self.store.close()

    def whole(self) -> None:
        """All partitions are there, and nothing is counted yet."""
        self.counts(0, TODAY)
        standing = CountsStanding("keys-0", 1, "k", 1, self.now_ms, self.now_ms, {"q": 1})
        for data in encode_counts(standing, 0, [], []):
            self.log.publish(counts_subject(self.now_ms), data)
        self.mirror.step()

    def rules(self, *rules: AlertRule, quota: int | None = None) -> None:
        quotas = () if quota is None else (Quota(1, 2, "api_calls", quota, "refuse"),)
        self.setup = AlertSetup(rules, lambda *_: 1_000, quotas)

    def counts(
        self, number: int, day: int, tallies: list[Rejection] | None = None, *, takes: bool = True
    ) -> None:
        """The workspace and its source have so many more messages on a day."""
        period = Period.of_day(day)
        for source in (0, 2):
            held = self.rows.get((1, period, source), calls(0, day))
            self.rows[1, period, source] = held + calls(number, day)
        since, self.generation = self.generation, self.generation + 1
        standing = CountsStanding(
            "facts-0", 1, "f", self.generation, self.now_ms, self.now_ms,
            {"q": self.generation}, TODAY, TODAY, [], self.imported,
        )  # fmt: skip
        rows = [(place, counts) for place, counts in self.rows.items() if place[1] == period]
        for data in encode_counts(standing, since, rows, tallies or []):
            self.log.publish(counts_subject(self.now_ms), data)
        if takes:
            self.mirror.step()

    def passes(self, hours: float) -> None:
        """Time passes, in which this process looks on."""
        until_ms = self.now_ms + int(hours * HOUR_MS)
        while self.now_ms < until_ms:
            self.now_ms = min(self.now_ms + 240_000, until_ms)
            self.watch.look(self.now_ms)

    def told(self) -> list[tuple[int, str, bool]]:
        """Rule, mark, and whether an import brought it."""
        return [
            (each.rule_number, each.mark, each.imported)
            for stored in self.store.alerts.events()
            for each in stored.event.crossings
        ]


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    made = Life(tmp_path)
    yield made
    made.close()


def test_sums_that_become_whole_are_no_news_and_what_follows_is(life: Life) -> None:
    life.rules(rule(1, "5", "9"))
    life.counts(6, BEFORE.last_day)
    life.whole()
    assert life.told() == []
    life.counts(4, BEFORE.last_day)
    assert life.told() == [(1, "9", False)]


def test_who_comes_back_after_long_does_not_judge_what_was_by_rules_of_today(life: Life) -> None:
    life.whole()
    life.mirror.close()
    life.store.close()
    life.counts(7, BEFORE.last_day, takes=False)  # others have counted it, while this one was off
    life.now_ms += 30 * HOUR_MS
    life.rules(rule(1, "5", "9"))  # made since
    life.start()
    life.counts(1, BEFORE.last_day, takes=False)
    for moment_ms in (life.now_ms - 30 * HOUR_MS, life.now_ms):
        life.log.publish(counts_subject(life.now_ms), _all_of(life, moment_ms))
    life.mirror.step()
    assert life.store.read_usage(1, BEFORE).workspace[:, API_CALLS].sum() == 8
    assert life.told() == [], "what was before it came back, it cannot tell from what is new"
    life.counts(1, BEFORE.last_day)
    assert life.told() == [(1, "9", False)]


def _all_of(life: Life, moment_ms: int) -> bytes:
    standing = CountsStanding(
        "facts-0", 1, "f", life.generation, moment_ms, moment_ms, {"q": life.generation}, TODAY
    )
    [data] = encode_counts(standing, 0, list(life.rows.items()), [])
    return data


def test_who_was_killed_judges_what_came_meanwhile(life: Life) -> None:
    life.rules(rule(1, "5"))
    life.whole()
    life.close()
    life.now_ms += 60_000
    life.start()
    life.counts(7, BEFORE.last_day)
    assert life.told() == [(1, "5", False)]


def test_what_an_import_brought_says_so(life: Life) -> None:
    life.rules(rule(1, "5", "9"), rule(2, "100"))
    life.whole()
    life.imported = [(1, BEFORE.number, TODAY), (1, MONTH.number, TODAY)]
    life.counts(6, BEFORE.last_day)
    life.counts(6, TODAY)
    life.counts(4, MONTH.first_day)
    assert life.told() == [(1, "5", True), (1, "5", False), (1, "9", True)]


def test_tallies_of_libraries_are_no_rejections(life: Life) -> None:
    life.rules(rule(1, "5%", metric="rejected_share"))
    life.whole()
    life.counts(100, TODAY, [Rejection(1, 2, MONTH.first_day, USE_PREFIX + "a library", 100)])
    assert life.told() == []
    life.counts(1, TODAY, [Rejection(1, 2, TODAY, "invalid_id", 60)])
    assert life.told() == [(1, "5%", False)]


def test_a_silence_is_told_from_when_messages_came_last(life: Life) -> None:
    life.rules(rule(1, kind="silent"))
    life.whole()
    for back in (3, 2, 1):
        life.counts(5, TODAY - back)
    life.counts(5, TODAY)
    life.passes(20)
    life.counts(1, BEFORE.first_day)  # an import ends no silence
    assert life.told() == []
    life.passes(6)
    assert life.told() == [(1, f"silent {day_text(TODAY)}", False)]
    life.passes(20)
    assert len(life.told()) == 1


def test_a_source_is_over_its_quota_from_when_the_sums_say_so(life: Life) -> None:
    life.rules(quota=5)
    life.whole()
    life.counts(4, TODAY)
    life.watch.look(life.now_ms)
    assert not life.watch.over_quota()
    life.counts(1, TODAY)
    reached_ms, life.now_ms = life.now_ms, life.now_ms + 2_000
    life.watch.look(life.now_ms)
    assert life.watch.over_quota() == {2: (MONTH.last_day + 1) * MS_PER_DAY}
    [reached] = life.store.alerts.quotas_reached(1, MONTH)
    assert (reached.source, reached.reached_at_ms) == (2, reached_ms)
