"""Whatever happens to a meter, what needs more than a count is told once too, and none is missed:
ends of months, days far above the usual, and silences.

Histories of live messages, imports, deaths on either side of a commit, disks that refuse, clocks
that step, starts, and rules and limits that change; judged, after every commit and every look at
the clock, by plain readings of the counts and by when messages truly came. What is random seldom
comes near what makes a difference, so some of it aims there: a call less than far more, a message
just before a silence, one that waits behind others, an evening before a day that is always quiet.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from headcount.counting.alerts import AlertKind, AlertRule, Threshold, parse_threshold
from headcount.counting.calendar import MS_PER_DAY, day_of_ms
from support.alert_histories import HOUR_MS, WEEKS, World
from support.stores import STORES

STEPS = 30
ACTIONS = {
    "live": 4, "burst": 2, "import": 2, "die": 4, "restart": 2, "quiet": 2, "days": 3, "back": 1,
    "add": 3, "change": 2, "off": 2, "on": 2, "limit": 1, "refuse": 2,
    "aim": 4, "late rule": 2, "blink": 2, "lonely": 2, "near": 4, "evening": 3,
}  # fmt: skip
RULES_MAX = 4
"""Of a kind: no more ends of months are estimated in one look."""
A_LOOK_MS = HOUR_MS // 15


def aim(world: World, random: Random) -> None:
    """Come to one call less than far more than usual, or to just that."""
    rules = world.of_kind("unusual")
    rule = random.choice(rules) if rules else None
    target = None if rule is None else world.far_more(rule)
    if rule is None or target is None:
        return
    today = world.today()
    left = math.ceil(target) - world.calls(rule.source, range(today, today + 1))[today]
    if 1 <= left <= 150:
        world.send(left - random.choice([0, 1]), source=rule.source or random.choice([1, 2]))


def late_rule(world: World, random: Random) -> None:
    """Make a rule of a day that had far more before it was there."""
    for number in [each.number for each in world.of_kind("unusual")]:
        world.off[number] = world.rules.pop(number)
    world.change_rules()
    world.send(random.choice([40, 90]), source=random.choice([1, 2]))
    world.settle()
    add(world, random, "unusual")


def silent_rule(world: World, random: Random) -> AlertRule | None:
    rules = [each for each in world.of_kind("silent") if each.source in world.exact]
    return random.choice(rules) if rules else None


def blink(world: World, random: Random) -> None:
    """Take a rule of silence away while messages come, and bring it back."""
    rule = silent_rule(world, random)
    if rule is None:
        return
    source = rule.source or 1
    world.now_ms = (day_of_ms(world.now_ms) + 1) * MS_PER_DAY + 5 * HOUR_MS
    world.send(1, source=source)
    world.step(1_001)
    away = [each for each in world.of_kind("silent") if each.source == rule.source]
    for each in away:
        del world.rules[each.number]
    world.change_rules()
    world.step(HOUR_MS // 2)
    world.send(2, source=source)
    world.step(1_001)
    if random.random() < 0.5:
        world.restart()
    world.rules |= {each.number: each for each in away}
    world.change_rules()
    world.wait(random.choice([1, 6]))


def lonely(world: World, random: Random) -> None:
    """Let one source be quiet for hours while the other is not."""
    source = random.choice([1, 2])
    for _ in range(random.choice([2, 6]) * 3):
        world.send(1, source=source)
        for _ in range(5):
            world.step(A_LOOK_MS)
    world.judge()


def near(world: World, random: Random) -> None:
    """Come to shortly before a silence: it comes, or a message does, or one waits behind others."""
    rule = silent_rule(world, random)
    if rule is None or rule.source not in world.came:
        return
    due_ms = world.came[rule.source] + rule.quiet_hours * HOUR_MS
    if not 0 < due_ms - world.now_ms < 8 * HOUR_MS:
        return
    while (left_ms := due_ms - 200_000 - world.now_ms) > 0:
        world.step(min(A_LOOK_MS, left_ms))
    ends = random.choice(["silence", "message", "queue"])
    if ends == "queue" and rule.source:
        world.send(150, source=3 - rule.source)
    if ends != "silence":
        world.send(1, source=rule.source or random.choice([1, 2]))
    for _ in range(8):
        world.step(A_LOOK_MS)
    world.judge()


def evening(world: World, random: Random) -> None:
    """Let messages come before midnight, and wait into the next day, which may be a quiet one."""
    today = day_of_ms(world.now_ms)
    quiet = [day for day in range(today, today + 7) if not WEEKS[2][(day + 1) % 7]]
    day = random.choice([today, *quiet])
    at_ms = day * MS_PER_DAY + 21 * HOUR_MS
    if at_ms <= world.now_ms:
        return
    add(world, random, "silent", source=2)
    world.now_ms = at_ms
    world.settle()
    world.send(2, source=2)
    world.step(1_001)
    world.wait(random.choice([4, 9]))


def passed_in_vain(world: World, random: Random) -> bool:
    """Let the end of a month pass a threshold when the disk takes nothing, and then takes it.

    Returns:
        Whether it did: whether a forecast is known.
    """
    rule = random.choice(world.of_kind("forecast"))
    forecast = world.forecast(rule)
    if forecast is None or forecast.at_end.low < 2:
        return False
    targets = {forecast.at_end.low - random.choice([0, 1]), random.randint(1, forecast.at_end.low)}
    thresholds = tuple(parse_threshold(str(each), rule.metric) for each in sorted(targets) if each)
    world.rules[rule.number] = replace(rule, thresholds=thresholds)
    world.change_rules()
    with world.refusing(alerts_alone=True):
        for _ in range(random.choice([1, 2])):
            world.look_in_vain()
    # Not an hour later, when it is estimated again in any case.
    world.step(1_001)
    world.judge()
    return True


AIMED = {"aim": aim, "late rule": late_rule, "blink": blink, "lonely": lonely, "near": near,
         "evening": evening}  # fmt: skip


def act(world: World, random: Random, kind: str) -> None:
    rules = list(world.rules)
    if kind in AIMED:
        AIMED[kind](world, random)
    elif kind == "live":
        world.send(random.randint(1, 5), source=random.choice([1, 2]))
    elif kind == "burst":
        world.send(random.randint(15, 45), source=random.choice([1, 2]))
    elif kind == "import":
        world.send(random.randint(1, 30), source=random.choice([1, 2]),
                   day=random.choice([-35, -28, -14, -7, -1, 0, 0, 0]))  # fmt: skip
    elif kind == "die":
        if random.random() < 0.7:
            world.send(random.randint(1, 40), source=random.choice([1, 2]))
        world.die(after=random.random() < 0.5)
    elif kind == "restart":
        world.restart()
    elif kind == "quiet":
        world.wait(random.choice([1, 2, 4, 9]))
    elif kind == "days":
        days = random.choice([1, 1, 2, 7, 13])
        world.now_ms += days * MS_PER_DAY
        if random.random() < 0.7:
            world.fill(range(-days, 0))
    elif kind == "back":
        world.now_ms -= random.choice([2, 30, 80]) * HOUR_MS
    elif kind == "refuse":
        if random.random() < 0.5:
            world.send(random.randint(1, 30), source=random.choice([1, 2]))
        world.now_ms += random.choice([0, HOUR_MS])
        with world.refusing():
            world.look_in_vain()
    elif kind == "add":
        add(world, random, random.choice(["forecast", "unusual", "silent"]))
    elif kind == "change" and rules:
        number = random.choice(rules)
        rule = world.rules[number]
        world.rules[number] = (
            replace(rule, quiet_hours=random.choice([1, 2, 5]))
            if rule.kind == "silent"
            else replace(rule, thresholds=thresholds(random, rule.kind, rule.metric))
        )
        world.change_rules()
    elif kind == "off" and rules:
        number = random.choice(rules)
        world.off[number] = world.rules.pop(number)
        world.change_rules()
    elif kind == "on" and world.off:
        number = random.choice(list(world.off))
        rule = world.off.pop(number)
        if len(world.of_kind(rule.kind)) < RULES_MAX:
            world.rules[number] = rule
        world.change_rules()
    elif kind == "limit":
        world.limit = random.choice([None, 100, 300, 900])
        world.change_rules()


def add(world: World, random: Random, kind: AlertKind, source: int | None = None) -> None:
    if len(world.of_kind(kind)) >= RULES_MAX:
        return
    world.made += 1
    metric = random.choice(["mtu", "api_calls"]) if kind == "forecast" else "api_calls"
    of = random.choice([0, 1, 2]) if source is None else source
    world.rules[world.made] = AlertRule(
        world.made, f"r{world.made}", "", 1, of, kind, metric,
        thresholds(random, kind, metric), quiet_hours=random.choice([1, 2, 5]),
    )  # fmt: skip
    world.change_rules()


def thresholds(random: Random, kind: AlertKind, metric: str) -> tuple[Threshold, ...]:
    if kind != "forecast":
        return ()
    texts = random.sample(["30", "40", "60", "90", "150", "250", "400", "40%", "80%", "150%"], 4)
    return tuple(parse_threshold(text, metric) for text in texts)


@pytest.mark.parametrize("store", sorted(STORES))
@pytest.mark.parametrize("seed", [4, 5, 7, 10, 11])
def test_each_is_told_once_and_none_is_missed(seed: int, store: str, tmp_path: Path) -> None:
    random = Random(seed)
    world = World(tmp_path, store, random)
    try:
        for kind in ("forecast", "unusual", "silent"):
            add(world, random, kind)
        for _ in range(STEPS):
            (kind,) = random.choices(list(ACTIONS), weights=list(ACTIONS.values()))
            act(world, random, kind)
            world.settle()
        kinds = Counter(each.kind for each in world.told())
        assert len(kinds) >= 2, kinds
    finally:
        world.rig.close()


@pytest.mark.parametrize("store", sorted(STORES))
@pytest.mark.parametrize("seed", range(2))
def test_an_end_of_a_month_that_a_disk_refused_is_told_with_the_next_look(
    seed: int, store: str, tmp_path: Path
) -> None:
    random = Random(seed)
    world = World(tmp_path, store, random)
    passed = 0
    try:
        for _ in range(3):
            add(world, random, "forecast")
        world.settle()
        for _ in range(8):
            act(world, random, random.choice(["live", "days", "restart", "limit"]))
            world.settle()
            passed += passed_in_vain(world, random)
        assert passed > 3
    finally:
        world.rig.close()
