"""What people are to hear of: judged with every change, and every so often by the clock.

Takes each change before it is committed and puts into it what it crosses, so that counts and what
is told of them become durable together; a crash leaves both or none. What no change brings (a month
that is going to be too much, a source that is silent, rules that are others than before) is
looked for about once a second, and committed by itself. Only scopes with rules are looked at, and
only those that a change touches. What was told is known by its marks: a clock that is set,
a start, or rules that change tell nothing twice. Where what a rule is judged by is damaged, it is
passed over, which is said, and counting goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from headcount.counting.alerts import (
    AlertRule,
    AlertSetup,
    Crossing,
    QuotaReached,
    crossing_of,
    events_of,
    usual_of,
)
from headcount.counting.batch import Facts
from headcount.counting.calendar import Period, day_of_ms, day_text
from headcount.counting.forecast import FORMER_MONTHS, forecast_of
from headcount.counting.metrics import BY_NAME
from headcount.counting.months import day_reached
from headcount.counting.scope_standing import Standing
from headcount.errors import DamagedDataError
from headcount.meter.late_and_imported import days_grown, sources_imported
from headcount.meter.quota_watch import QuotaWatch
from headcount.meter.silence import Silence
from headcount.meter.standings import Pending, Place, Standings
from headcount.meter.unjudged import BY_CLOCK, Unjudged
from headcount.store.protocol import Change, MeterStore
from headcount.troubles import Troubles

__all__ = ["AlertWatch"]

_LOOK_EVERY_MS = 1_000
_FORECAST_EVERY_MS = 3_600_000
_FORECASTS_A_LOOK = 4
# Kinds of rules that changes are judged by; the others go by the clock.
_OF_CHANGES = ("count", "unusual")


class AlertWatch:
    """Judges the changes of one meter.

    Args:
        store: where counts, and what was told, are.
        setup: gives the rules as they are at the moment: the same object while none has changed;
            None where there are none.
        clock_ms: the time, in milliseconds since 1970.
        troubles: where it is said that rules cannot be judged; nowhere when None.
    """

    def __init__(
        self,
        store: MeterStore,
        setup: Callable[[], AlertSetup] | None,
        clock_ms: Callable[[], int],
        troubles: Troubles | None = None,
    ) -> None:
        self._store, self._clock_ms = store, clock_ms
        self._passed_over = Unjudged(troubles or Troubles(None, "meter", clock_ms))
        self._ask = setup
        self._setup = AlertSetup()
        self._by_scope: dict[tuple[int, int], list[AlertRule]] = {}
        self._quotas = QuotaWatch(store, self._passed_over)
        self._standings = Standings(store)
        self._last_live_day: int | None = None
        self._pending = Pending()
        self._forecast_at_ms: dict[int, int] = {}
        self._looked_at_ms = 0
        self._unjudged = False
        self._judged_day: int | None = None
        self._silence = Silence(store, clock_ms, self._passed_over)

    # With a change

    def takes(self, facts: Facts) -> None:
        """See which facts the next change is made of."""
        self._refresh()
        self._pending = Pending()
        self._pending.arrivals, self._pending.written = self._silence.arrived(facts)
        if any(source for _, source in self._by_scope):
            self._pending.imported = sources_imported(facts)

    def hears(self, moments: Mapping[tuple[int, int], int]) -> None:
        """As `takes`, where only the last live message of each (workspace, source) is known."""
        self._refresh()
        self._pending = Pending()
        self._pending.arrivals, self._pending.written = self._silence.told(moments)

    def judge(
        self,
        change: Change,
        *,
        imported: Collection[tuple[int, Period]] | None = None,
        is_news: bool = True,
    ) -> None:
        """Put into a change, which is about to be committed, what it makes people hear of.

        Args:
            change: the change.
            imported: the (workspace, month) pairs that an import has brought; None for those of
                the change.
            is_news: whether what it adds to months that are over was counted just now.
        """
        change.arrivals = self._pending.written
        if not self._by_scope and not self._quotas:
            return
        now_ms = self._clock_ms()
        today = self._today(now_ms, change.last_metered_day)
        found: list[tuple[AlertRule, Crossing]] = []
        reached: list[QuotaReached] = []
        for place, rejected in self._touched(change).items():
            period, workspace, source = place
            if (before := self._readable(place)) is None:
                continue
            after = before.plus(change.counts.get(place), rejected)
            self._pending.standings[place] = after
            is_imported = (workspace, period) in (change.imported if imported is None else imported)
            if source and self._pending.imported is not None:
                # What is imported into one source brings nothing to another.
                is_imported = is_imported and (workspace, source) in self._pending.imported
            former = before if is_news else after
            for rule in self._by_scope.get((workspace, source), ()):
                found += self._judged(rule, period, former, after, today, imported=is_imported)
            reached += self._quotas.reached(place, after, now_ms)
        change.alerts = events_of(found, now_ms)
        change.quotas_reached = reached

    def committed(self, change: Change) -> None:
        """Take what a change that is durable has made true."""
        self._standings.take(self._pending.standings)
        self._silence.note(self._pending.arrivals, change.arrivals)
        if change.imported:
            self._silence.forget_days()
        self._pending = Pending()
        self._quotas.committed(change.quotas_reached)
        if change.last_metered_day is not None:
            self._last_live_day = max(change.last_metered_day, self._last_live_day or 0)
        for event in change.alerts:
            self._standings.mark(event)

    def _touched(self, change: Change) -> dict[Place, int]:
        """Scopes that are watched and that a change touches, with what it rejects of each."""
        watched = self._by_scope.keys()
        found = {
            place: 0 for place in change.counts if place[1:] in watched or place[2] in self._quotas
        }
        for each in change.rejections:
            period = Period.of_day(each.day)
            for source in {0, each.source}:
                if (each.workspace, source) in watched:
                    place = period, each.workspace, source
                    found[place] = found.get(place, 0) + each.messages
        return found

    def _judged(
        self, rule: AlertRule, period: Period, *where: Any, imported: bool
    ) -> list[tuple[AlertRule, Crossing]]:
        """As `_crossed`, where a rule is one of changes and what it is judged by is not damaged."""
        if rule.kind not in _OF_CHANGES:
            return []
        crossed = self._crossed(rule, period, *where, imported=imported)
        return self._passed_over.unless_damaged(rule, (period, *rule.scope), crossed)

    def _crossed(
        self,
        rule: AlertRule,
        period: Period,
        before: Standing,
        after: Standing,
        today: int,
        *,
        imported: bool,
    ) -> Iterator[tuple[AlertRule, Crossing]]:
        """What a rule says of where a scope stood, and stands now."""
        current = Period.of_day(today)
        if rule.kind == "unusual":
            late = days_grown(BY_NAME[rule.metric], period, before, after, today)
            for day in () if imported else late:
                yield from self._unusual(rule, period, after, day, imported=False)
            if period == current:
                yield from self._unusual(rule, period, after, today, imported=imported)
        if rule.kind != "count":
            return
        value = after.reached(rule.metric)
        for threshold, target, limit in self._open(rule, period, today):
            if value < target or not value:
                continue
            # In a month that is over, what was reached before was told, or is no news.
            if period < current and before.reached(rule.metric) >= target:
                continue
            yield (
                rule,
                crossing_of(
                    rule, period, threshold, imported=imported, threshold=threshold,
                    value=round(value, 3), target=round(float(target), 3), limit=limit,
                ),
            )  # fmt: skip

    def _open(
        self, rule: AlertRule, period: Period, today: int
    ) -> Iterator[tuple[str, Fraction, int | None]]:
        """The thresholds of a rule that a month has not told yet: text, target and limit."""
        told = self._standings.told(rule, period)
        left = [each for each in rule.thresholds if each.text not in told]
        if not left:
            return
        limit = self._setup.limit_of(rule.workspace, rule.metric, min(today, period.last_day))
        for threshold in left:
            target = threshold.target(rule.metric, limit)
            if target is not None:
                yield threshold.text, target, limit

    def _unusual(
        self, rule: AlertRule, period: Period, after: Standing, day: int, *, imported: bool
    ) -> Iterator[tuple[AlertRule, Crossing]]:
        mark = f"unusual {day_text(day)}"
        value = int(BY_NAME[rule.metric].of(after.counts)[day - period.first_day])
        if not value or mark in self._standings.told(rule, period):
            return
        usual = usual_of(day, self._standings.days_before(rule, period, after))
        if usual is not None and value >= usual.target:
            yield (
                rule,
                crossing_of(
                    rule, period, mark, imported=imported, value=value, day=day_text(day),
                    target=round(usual.target, 1), usual=usual.usual,
                ),
            )  # fmt: skip

    def over_quota(self) -> Mapping[int, int]:
        """Sources that are to be refused, and until when, in milliseconds since 1970."""
        return self._quotas.over

    # By the clock

    def look(self, *, drained: bool) -> None:
        """Look for what no change brings, about once a second.

        Args:
            drained: whether everything that had come is counted.

        Raises:
            StorageUnavailableError: the disk refused; it is looked for again.
        """
        self._refresh()
        if not self._by_scope and not self._quotas:
            self._quotas.over = {}
            self._passed_over.say()
            return
        now_ms = self._clock_ms()
        if 0 <= now_ms - self._looked_at_ms < _LOOK_EVERY_MS and not self._unjudged:
            return
        self._looked_at_ms = now_ms
        self._last_live_day = self._store.state().last_metered_day
        today = self._today(now_ms, None)
        if today != self._judged_day:
            self._unjudged = True  # another month may run, or another limit be in force
        period = Period.of_day(today)
        found: list[tuple[AlertRule, Crossing]] = []
        reached: list[QuotaReached] = []
        for place in self._to_judge(period, now_ms):
            if (stands := self._readable(place)) is None:
                continue
            for rule in self._by_scope.get(place[1:], ()):
                found += self._judged(rule, place[0], stands, stands, today, imported=False)
            reached += self._quotas.reached(place, stands, now_ms)
        found += self._forecasts(period, today, now_ms)
        if drained:
            for rule in self._rules_of("silent"):
                silent = self._silent(rule, now_ms)
                found += self._passed_over.unless_damaged(rule, BY_CLOCK, silent)
        if found or reached:
            change = Change(alerts=events_of(found, now_ms), quotas_reached=reached)
            self._pending = Pending()
            try:
                self._store.commit(change)
            except BaseException:
                self._forecast_at_ms.clear()  # what was found is to be found again
                raise
            self.committed(change)
        self._quotas.note_over(period, self._readable)
        self._passed_over.say()
        self._unjudged = False
        self._judged_day = today

    def _to_judge(self, period: Period, now_ms: int) -> Collection[Place]:
        """What is to be judged though nothing changes: what could not be, and all by new rules."""
        places = dict.fromkeys(self._passed_over.due(now_ms))
        if self._unjudged:
            places |= dict.fromkeys((period, *scope) for scope in self._by_scope)
            places |= dict.fromkeys(self._quotas.places(period))
        return places

    def _forecasts(
        self, period: Period, today: int, now_ms: int
    ) -> Iterator[tuple[AlertRule, Crossing]]:
        """Where months will end, each rule about once an hour, a few of them a look."""
        room = _FORECASTS_A_LOOK
        for rule in self._rules_of("forecast"):
            at_ms = self._forecast_at_ms.get(rule.number)
            if at_ms is not None and 0 <= now_ms - at_ms < _FORECAST_EVERY_MS:
                continue
            if not room:
                return
            room -= 1
            self._forecast_at_ms[rule.number] = now_ms
            forecast = self._forecast(rule, period, today)
            yield from self._passed_over.unless_damaged(rule, BY_CLOCK, forecast)

    def _forecast(
        self, rule: AlertRule, period: Period, today: int
    ) -> Iterator[tuple[AlertRule, Crossing]]:
        targets = [each for each in self._open(rule, period, today) if each[1]]
        if not targets:
            return
        months = [
            self._standings.former(rule, period.shifted(-back))
            for back in range(FORMER_MONTHS, 0, -1)
        ]
        days = self._standings.possible((period, *rule.scope))[: today - period.first_day + 1]
        forecast = forecast_of(BY_NAME[rule.metric], period, days, months)
        if forecast is None:
            return
        end = forecast.at_end
        for threshold, target, limit in targets:
            # Not the middle: what is told is that it will be reached, in nine cases of ten.
            if end.low >= target and end.low:
                yield (
                    rule,
                    crossing_of(
                        rule, period, threshold, threshold=threshold, value=end.low,
                        target=round(float(target), 3), limit=limit,
                        low=end.low, likely=end.likely, high=end.high,
                    ),
                )  # fmt: skip

    def _silent(self, rule: AlertRule, now_ms: int) -> Iterator[tuple[AlertRule, Crossing]]:
        since_ms = self._silence.since(rule, now_ms)
        if since_ms is None:
            return
        day = day_of_ms(since_ms)
        period, mark = Period.of_day(day), f"silent {day_text(day)}"
        if mark not in self._standings.told(rule, period):
            crossing = crossing_of(
                rule, period, mark, value=rule.quiet_hours, day=day_text(day), since_ms=since_ms
            )
            yield rule, crossing

    # What is known

    def _refresh(self) -> None:
        """Take the rules as they are now."""
        setup = self._setup if self._ask is None else self._ask()
        if setup is self._setup:
            return
        self._setup = setup
        self._passed_over.forget()
        self._by_scope = {}
        for rule in setup.rules:
            self._by_scope.setdefault(rule.scope, []).append(rule)
        self._quotas.watch(setup.quotas)
        self._last_live_day = self._store.state().last_metered_day
        self._forecast_at_ms = {}
        # Of scopes that no rule was on, changes have passed by unseen.
        self._standings.forget()
        self._silence.watch(self._rules_of("silent"))
        self._unjudged = True

    def _rules_of(self, kind: str) -> Sequence[AlertRule]:
        return [rule for rule in self._setup.rules if rule.kind == kind]

    def _today(self, now_ms: int, last_live_day: int | None) -> int:
        days = [day for day in (self._last_live_day, last_live_day) if day is not None]
        return day_reached(now_ms, max(days, default=None))

    def _readable(self, place: Place) -> Standing | None:
        """Where a scope stands; None where that is damaged, so that nothing of it is judged."""
        try:
            return self._standings.of(place)
        except DamagedDataError as error:
            for rule in self._by_scope.get(place[1:], ()):
                if rule.kind in _OF_CHANGES:
                    self._passed_over.note(rule, place, error)
            self._quotas.note_unjudged(place, error)
            return None
