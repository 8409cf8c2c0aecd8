"""A meter with months of history and rules, and what was to be told by them, by plain readings of
the counts and by when messages truly came; it lives through whatever happens to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median

from headcount.counting.alerts import AlertKind, AlertRule, AlertSetup, Crossing
from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms, day_text, parse_period
from headcount.counting.forecast import FORMER_MONTHS, Forecast, forecast_of
from headcount.counting.metrics import BY_NAME
from headcount.counting.months import day_reached
from headcount.counting.usage import Counts
from headcount.errors import StorageUnavailableError
from headcount.meter import MeterLimits
from headcount.store.protocol import Change
from support.oracle import PlainFact
from support.rig import Rig
from support.stores import STORES

__all__ = ["HOUR_MS", "World"]

FIRST_DAY = parse_period("2026-03-01").first_day
HOUR_MS = 3_600_000
HISTORY_DAYS = [64, 64, 26]
WEEKS = {1: (6, 9, 32, 8, 27, 2, 1), 2: (4, 5, 3, 6, 0, 0, 5)}
"""What a source has on each day of the week, from the one of 1970-01-01 on, more or less."""

Told = tuple[int, str, str]
"""Rule, period and mark."""


class Died(BaseException):
    """A process that is killed."""


class World:
    """A meter with two months of history, rules, and what was to be told."""

    def __init__(self, folder: Path, store: str, random: Random) -> None:
        self.random = random
        self.now_ms = (FIRST_DAY + 11) * MS_PER_DAY + 7 * HOUR_MS
        self.rules: dict[int, AlertRule] = {}
        self.off: dict[int, AlertRule] = {}
        self.limit: int | None = 400
        self.setup = AlertSetup()
        self.made = self.fresh = 0
        self.must: set[Told] = set()
        self.may: set[Told] = set()
        self.silences: list[Crossing] = []
        self.silences_missed_at: dict[tuple[int, int], int] = {}
        self.came: dict[int, int] = {}
        """By source, 0 for all: when the last live message came."""
        self.exact: set[int] = set()
        """The sources whose last live message came, and was counted, while a rule looked on."""
        self.awake_since_ms = self.looked_at_ms = self.now_ms
        self.watched_since_ms = self.drained_at_ms = self.now_ms
        self.is_fresh = True
        self.imports_wait = False
        self.known: dict[int, dict[int, int]] = {}
        """By source: the calls of some days, as they were after the last commit."""
        self.rig = Rig(
            folder, lambda: self.now_ms, store=STORES[store](folder),
            limits=MeterLimits(facts_a_batch_max=64), alerts=lambda: self.setup,
        )  # fmt: skip
        self.journal = self.rig.journal()
        self.fill(range(-random.choice(HISTORY_DAYS), 0))
        self.rig.drain()
        self.imports_wait = False

    # What happens

    def send(self, count: int, *, source: int, day: int | None = None) -> None:
        """Messages of now, or an import of a day so far from today."""
        if not count:
            return
        at_ms = self.now_ms + (day or 0) * MS_PER_DAY
        facts = []
        for _ in range(count):
            self.fresh += 1
            user = f"u{self.random.randrange(60)}"
            facts.append(
                PlainFact(at_ms, 1, source, f"m{self.fresh}", user, imported=day is not None)
            )
        self.rig.append(self.journal, facts)
        self.imports_wait |= day is not None
        if day is None:
            watched = {rule.source for rule in self.rules.values() if rule.kind == "silent"}
            for each in (0, source):
                self.came[each] = at_ms
                self.exact = self.exact | {each} if each in watched else self.exact - {each}

    def fill(self, days: range) -> None:
        """Import what such days, so far from today, usually have."""
        for day in days:
            weekday = (day_of_ms(self.now_ms) + day) % 7
            for source, week in WEEKS.items():
                count = round(week[weekday] * self.random.uniform(0.6, 1.6))
                self.send(count, day=day, source=source)

    def die(self, *, after: bool) -> None:
        """Be killed just before, or just after, the next commit, if there is one."""
        commit = self.rig.store.commit

        def dying(change: Change) -> None:
            if after:
                commit(change)
            raise Died

        self.rig.store.commit = dying  # type: ignore[method-assign]
        self.now_ms += 1_001
        try:
            self.rig.meter.step()
        except Died:
            if after:
                self.follow_counts()
            self.follow_silences()
        else:
            self.follow()
        self.restart()

    def restart(self) -> None:
        self.rig.stop()
        self.rig.start()
        self.is_fresh = True
        # Whoever is new has to look on for a while before it calls anybody silent.
        self.watched_since_ms = self.drained_at_ms = self.now_ms

    @contextmanager
    def refusing(self, *, alerts_alone: bool = False) -> Iterator[None]:
        """A disk that takes nothing meanwhile, or no change that tells somebody something.

        A meter notes how far it has come before it looks at the clock: what refuses all never lets
        it come that far.
        """
        commit = self.rig.store.commit

        def refuse(change: Change) -> None:
            if change.alerts or not alerts_alone:
                raise StorageUnavailableError("full")
            commit(change)

        self.rig.store.commit = refuse  # type: ignore[method-assign]
        yield
        self.rig.store.commit = commit  # type: ignore[method-assign]

    def look_in_vain(self) -> None:
        """Come to a disk that refuses what is to be written."""
        self.now_ms += 1_001
        try:
            self.rig.meter.step()
        except StorageUnavailableError:
            self.is_fresh = True  # it looks again at all that it could not write
        else:
            self.follow()

    def change_rules(self) -> None:
        limit = self.limit
        self.setup = AlertSetup(tuple(self.rules.values()), lambda *_: limit)
        self.exact &= {rule.source for rule in self.rules.values() if rule.kind == "silent"}
        self.is_fresh = True

    def step(self, ms: int) -> bool:
        self.now_ms += ms
        drained = self.rig.meter.step().drained
        self.follow(drained=drained)
        return drained

    def settle(self) -> None:
        """Meter all that there is, and look once more when an hour is over."""
        while not self.step(1_001):
            pass
        self.step(HOUR_MS + 1)
        self.judge()

    def wait(self, hours: int) -> None:
        for _ in range(hours * 15):
            self.step(HOUR_MS // 15)
        self.judge()

    # What is true of it

    def counts(self, period: Period, source: int) -> Counts:
        reading = self.rig.store.read_usage(1, period)
        if not source:
            return reading.workspace
        found = dict(zip(reading.source_numbers.tolist(), reading.sources, strict=True))
        return found.get(source, 0 * reading.workspace)

    def calls(self, source: int, days: range) -> dict[int, int]:
        found: dict[int, int] = {}
        for period in {Period.of_day(day) for day in days}:
            of_month = BY_NAME["api_calls"].of(self.counts(period, source)).tolist()
            found |= dict(enumerate(of_month[: period.length], period.first_day))
        return {day: found[day] for day in days}

    def today(self) -> int:
        return day_reached(self.now_ms, self.rig.store.state().last_metered_day)

    def follow(self, *, drained: bool = True) -> None:
        """Take what a step has counted and looked at."""
        self.follow_counts()
        self.imports_wait &= not drained
        waited_ms = self.now_ms - self.looked_at_ms
        self.follow_forecasts(is_due=self.is_fresh or waited_ms > HOUR_MS)
        if self.is_fresh or not drained or not 0 <= waited_ms < HOUR_MS // 12:
            self.awake_since_ms = self.now_ms
        if drained:
            if not 0 <= self.now_ms - self.drained_at_ms < HOUR_MS // 12:
                self.watched_since_ms = self.now_ms
            self.drained_at_ms = self.now_ms
        self.is_fresh, self.looked_at_ms = False, self.now_ms
        self.follow_silences()

    def follow_counts(self) -> None:
        today = self.today()
        for rule in self.of_kind("unusual"):
            days = range(today - 7, today + 1)
            calls = self.calls(rule.source, days)
            known = self.known.get(rule.source, calls)
            for day in days:
                # What came on a day before waited until now to be counted.
                if day != today and calls[day] <= known.get(day, calls[day]):
                    continue
                target = self.far_more(rule, day)
                if target is None or calls[day] < target:
                    continue
                told = rule.number, str(Period.of_day(day)), f"unusual {day_text(day)}"
                self.may.add(told)
                # An import is no news of a day that is over.
                if day == today or not self.imports_wait:
                    self.must.add(told)
        for source in (0, *WEEKS):
            self.known[source] = self.calls(source, range(today - 8, today + 2))

    def far_more(self, rule: AlertRule, day: int | None = None) -> float | None:
        """How many calls are far more than a day usually has; None while that is not known."""
        day = self.today() if day is None else day
        calls = self.calls(rule.source, range(Period.of_day(day).shifted(-2).first_day, day))
        begun = min((each for each, count in calls.items() if count), default=day)
        same = [calls[each] for each in range(day - 56, day, 7) if each >= begun]
        if len(same) < 3:
            return None
        usual = median(same)
        spread = 1.4826 * median(abs(each - usual) for each in same)
        return max(2 * usual, usual + 4 * spread, usual + 20)

    def follow_forecasts(self, *, is_due: bool) -> None:
        period = Period.of_day(self.today())
        for rule in self.of_kind("forecast"):
            forecast = self.forecast(rule)
            for threshold in rule.thresholds:
                target = threshold.target(rule.metric, self.limit)
                if forecast is None or target is None or forecast.at_end.low < target:
                    continue
                told = rule.number, str(period), threshold.text
                self.may.add(told)
                if is_due:
                    self.must.add(told)

    def forecast(self, rule: AlertRule) -> Forecast | None:
        """Where the month will end; None while that is not known."""
        today = self.today()
        period = Period.of_day(today)
        months = [
            self.counts(period.shifted(-back), rule.source) for back in range(FORMER_MONTHS, 0, -1)
        ]
        days = self.counts(period, rule.source)[: today - period.first_day + 1]
        return forecast_of(BY_NAME[rule.metric], period, days, months)

    def follow_silences(self) -> None:
        """Hold each silence that is told to when messages came, and find those that are missed."""
        told = [each for each in self.told() if each.kind == "silent"]
        for each in told[len(self.silences) :]:
            since_ms, came_ms = each.since_ms or 0, self.came.get(each.source, 0)
            # When the last one came is written once a minute, and only while somebody watches;
            # without, it is the end of the last day with usage.
            earliest_ms = came_ms - 60_000
            assert came_ms > self.now_ms or since_ms > earliest_ms, "something has come since"
            assert self.now_ms - since_ms >= each.value * HOUR_MS, "not for so long"
            assert self.now_ms - self.watched_since_ms >= HOUR_MS // 6, "nobody has looked on"
            if each.source in self.exact:
                rule = self.rules[each.rule_number]
                assert any(
                    self.is_silent(rule, moment_ms, live=True)
                    for moment_ms in (came_ms, came_ms - 60_000)
                ), "nothing usually comes then"
        self.silences = told
        if self.now_ms - self.awake_since_ms < HOUR_MS // 6:
            return
        for rule in self.of_kind("silent"):
            came_ms = self.came.get(rule.source)
            if (
                came_ms is None
                or rule.source not in self.exact
                or not self.is_silent(rule, came_ms)
            ):
                continue
            days = {day_text(day_of_ms(moment)) for moment in (came_ms, came_ms - 60_000)}
            assert any(each.rule_number == rule.number and each.day in days for each in told), (
                "a silence is missed"
            )

    def is_silent(self, rule: AlertRule, came_ms: int, *, live: bool = False) -> bool:
        """Whether a scope that usually has something has had nothing for so long.

        Args:
            rule: whose scope.
            came_ms: when the last live message came.
            live: whether it is silent although something was imported of a day after that.
        """
        last = day_of_ms(came_ms)
        calls = self.calls(rule.source, range(last - 27, max(last, day_of_ms(self.now_ms)) + 1))
        used = {day for day, count in calls.items() if count and (day <= last or not live)}
        if len(used) < 3 or max(used) > last:
            return False  # too little is known, or an import says that there was something
        quiet_ms = 0
        for day in range(last, day_of_ms(self.now_ms) + 1):
            same = [each for each in range(day - 7, min(used) - 1, -7) if each <= last]
            if len(same) < 2 or 2 * len(used & set(same)) >= len(same):
                begin_ms = max(came_ms, day * MS_PER_DAY)
                quiet_ms += min(self.now_ms, (day + 1) * MS_PER_DAY) - begin_ms
        return quiet_ms >= rule.quiet_hours * HOUR_MS

    def of_kind(self, kind: AlertKind) -> list[AlertRule]:
        return [rule for rule in self.rules.values() if rule.kind == kind]

    def told(self) -> list[Crossing]:
        events = self.rig.store.alerts.events(most=10_000)
        return [each for stored in events for each in stored.event.crossings]

    def judge(self) -> None:
        found = [(each.rule_number, each.period, each.mark) for each in self.told()]
        assert max(Counter(found).values(), default=0) <= 1, "told twice"
        others = {told for told in found if not told[2].startswith("silent")}
        assert others <= self.may, others - self.may
        assert others >= self.must, self.must - others
