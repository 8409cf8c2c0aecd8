"""Whatever happens to a meter, each threshold is told once, and none is missed.

Histories of messages that make counts rise and fall, of imports, deaths on either side of a commit,
clocks that step, starts, and rules, limits and channels that change at any moment; judged by what
the counts were after every commit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from headcount.counting.alerts import (
    AlertRule,
    AlertSetup,
    Quota,
    Threshold,
    parse_threshold,
)
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.metrics import BY_NAME
from headcount.counting.months import current_period
from headcount.meter import MeterLimits
from headcount.store.protocol import Change
from support.oracle import PlainFact
from support.rig import Rig
from support.stores import STORES

Message = tuple[int, str | None, str | None]
"""Source, userId and anonymousId."""

FIRST_DAY = parse_period("2026-03-01").first_day
IDS = [None, "a", "b", "c", "d", "e"]
THRESHOLDS = ["1", "2", "3", "4", "5", "6", "9", "15", "50%", "80%", "100%", "150%"]
ACTIONS = {
    "live": 8, "import": 2, "die": 3, "restart": 3, "days": 3, "add": 4, "change": 2, "remove": 1,
    "limit": 1, "quota": 1,
}  # fmt: skip
STEPS = 60


def messages(random: Random) -> list[Message]:
    """A few messages; now and then one user turns out to be many of the anonymous."""
    if random.random() < 0.3:
        user = random.choice(IDS[1:])
        return [(random.choice([1, 2]), user, each) for each in random.sample(IDS[1:], 4)]
    return [
        (random.choice([1, 2]), random.choice(IDS) if random.random() < 0.3 else None,
         random.choice(IDS))
        for _ in range(random.randint(1, 6))
    ]  # fmt: skip


class Died(BaseException):
    """A process that is killed."""


class World:
    """A meter with rules, and what was to be told of what it has counted."""

    def __init__(self, folder: Path, store: str) -> None:
        self.now_ms = (FIRST_DAY + 10) * MS_PER_DAY
        self.rules: dict[int, AlertRule] = {}
        self.quotas: dict[int, Quota] = {}
        self.limit: int | None = 10
        self.setup = AlertSetup()
        self._set: Any = None
        self.high: dict[tuple[int, Period, str], int] = {}
        self.expected: set[tuple[int, str, str]] = set()
        self.expected_quotas: set[tuple[int, Period]] = set()
        self.made = self.fresh = 0
        self.rig = Rig(
            folder, lambda: self.now_ms, store=STORES[store](folder),
            limits=MeterLimits(facts_a_batch_max=8), alerts=lambda: self.setup,
        )  # fmt: skip
        self.journal = self.rig.journal()

    # What happens

    def live(self, messages: list[Message]) -> None:
        self._append([(0, *each) for each in messages], imported=False)

    def imported(self, day: int, messages: list[Message]) -> None:
        self._append([(day, *each) for each in messages], imported=True)

    def _append(self, messages: list[Any], *, imported: bool) -> None:
        facts = []
        for day, source, user, anonymous in messages:
            self.fresh += 1
            moment_ms = self.now_ms + day * MS_PER_DAY
            facts.append(
                PlainFact(moment_ms, 1, source, f"m{self.fresh}", user, anonymous or "z",
                          imported=imported)
            )  # fmt: skip
        self.rig.append(self.journal, facts)

    def die(self, after: bool, messages: list[Message]) -> None:
        """Be killed just before, or just after, a commit."""
        self.live(messages)
        commit = self.rig.store.commit

        def dying(change: Change) -> None:
            if change.positions:
                if after:
                    commit(change)
                raise Died
            commit(change)

        self.rig.store.commit = dying  # type: ignore[method-assign]
        before = self._counts()
        try:
            while not self.rig.meter.step().drained:
                raise AssertionError("it should have died")
        except Died:
            self.rig.stop()
            self.rig.start()
        self._follow(before)

    def restart(self) -> None:
        self.rig.stop()
        self.rig.start()

    def change_rules(self) -> None:
        limit = self.limit
        setup = AlertSetup(
            tuple(self.rules.values()), lambda *_: limit, tuple(self.quotas.values())
        )
        if (setup.rules, setup.quotas, limit) != self._set:
            self.setup, self._set = setup, (setup.rules, setup.quotas, limit)

    # What is true of it

    def settle(self) -> None:
        """Meter all that there is, one commit at a time, and hold what was told to the rules."""
        drained = False
        while not drained:
            self.now_ms += 1_001
            before = self._counts()
            drained = self.rig.meter.step().drained
            self._follow(before)
            if drained:
                self.judge()

    def _counts(self) -> dict[tuple[int, Period, str], int]:
        found = {}
        for period in sorted({month.period for month in self.rig.store.months()}):
            reading = self.rig.store.read_usage(1, period)
            counts = {0: reading.workspace} | dict(
                zip(reading.source_numbers.tolist(), reading.sources, strict=True)
            )
            for source, of_scope in counts.items():
                for metric in ("mtu", "api_calls"):
                    found[source, period, metric] = int(BY_NAME[metric].of(of_scope).sum())
        return found

    def _follow(self, before: dict[tuple[int, Period, str], int]) -> None:
        """Take the counts after a commit, and what they made of the rules."""
        after = self._counts()
        current = current_period(self.now_ms, self.rig.store.state().last_metered_day)
        for place, value in after.items():
            source, period, metric = place
            former = max(self.high.get(place, 0), before.get(place, 0))
            high = self.high[place] = max(former, value)
            for rule in self.rules.values():
                if (rule.source, rule.metric) != (source, metric):
                    continue
                for threshold in rule.thresholds:
                    target = threshold.target(metric, self.limit)
                    if target is None or not high or high < target:
                        continue
                    if period >= current or former < target:
                        self.expected.add((rule.number, str(period), threshold.text))
            quota = self.quotas.get(source)
            is_judged = period == current or value != before.get(place, 0)
            if quota and metric == "api_calls" and value >= quota.amount and is_judged:
                self.expected_quotas.add((source, period))

    def judge(self) -> None:
        told = [
            (each.rule_number, each.period, each.mark)
            for stored in self.rig.store.alerts.events(most=10_000)
            for each in stored.event.crossings
        ]
        assert max(Counter(told).values(), default=0) <= 1, "told twice"
        assert set(told) == self.expected
        for period in {month.period for month in self.rig.store.months()}:
            reached = self.rig.store.alerts.quotas_reached(1, period)
            assert {(each.source, period) for each in reached} == {
                place for place in self.expected_quotas if place[1] == period
            }

    def close(self) -> None:
        self.rig.close()


def act(world: World, random: Random, kind: str) -> None:
    rules = list(world.rules.values())
    if kind == "live":
        world.live(messages(random))
    elif kind == "import":
        world.imported(random.choice([-40, -3, -1, 0]), messages(random))
    elif kind == "die":
        world.die(random.random() < 0.5, messages(random))
    elif kind == "restart":
        world.restart()
    elif kind == "days":
        world.now_ms += random.choice([1, 2, 12, 20, -1, -30]) * MS_PER_DAY
    elif kind == "add":
        world.made += 1
        metric = random.choice(["mtu", "mtu", "api_calls"])
        world.rules[world.made] = AlertRule(
            world.made, f"r{world.made}", "", 1, random.choice([0, 1, 2]), "count", metric,
            thresholds(random, metric), channels=(random.choice([1, 2]),),
        )  # fmt: skip
    elif kind == "change" and rules:
        rule = random.choice(rules)
        world.rules[rule.number] = replace(rule, thresholds=thresholds(random, rule.metric))
    elif kind == "remove" and rules:
        del world.rules[random.choice(rules).number]
    elif kind == "limit":
        world.limit = random.choice([None, 2, 4, 10, 20])
    elif kind == "quota":
        source = random.choice([1, 2])
        world.quotas[source] = Quota(1, source, "api_calls", random.randint(1, 30), "mark")
    world.change_rules()


def thresholds(random: Random, metric: str) -> tuple[Threshold, ...]:
    texts = random.sample(THRESHOLDS, random.randint(1, 4))
    return tuple(parse_threshold(text, metric) for text in texts)


@pytest.mark.parametrize("store", sorted(STORES))
@pytest.mark.parametrize("seed", range(10))
def test_each_threshold_is_told_once_and_none_is_missed(
    seed: int, store: str, tmp_path: Path
) -> None:
    random = Random(seed)
    world = World(tmp_path, store)
    try:
        for _ in range(STEPS):
            (kind,) = random.choices(list(ACTIONS), weights=list(ACTIONS.values()))
            act(world, random, kind)
            world.settle()
        assert len(world.expected) > 3
    finally:
        world.close()
