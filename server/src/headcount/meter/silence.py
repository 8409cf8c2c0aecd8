"""Whether nothing arrives any more where something usually does.

Takes live messages as they are counted, and the clock; gives since when a scope is silent. Days of
the week on which it usually has nothing do not count, nor does time in which this process was not
there, or in which the clock was set: whoever starts late hears of no silence for some minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from headcount.counting.alerts import AlertRule
from headcount.counting.batch import Facts
from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms
from headcount.counting.facts import IMPORTED
from headcount.counting.metrics import ADMITTED
from headcount.errors import DamagedDataError
from headcount.meter.unjudged import ARRIVALS, Unjudged
from headcount.store.protocol import MeterStore

__all__ = ["Silence"]

Scope = tuple[int, int]

_HOUR_MS = 3_600_000
_WRITTEN_EVERY_MS = 60_000
_STEP_MS = 300_000
_AWAKE_MS = 600_000
_DAYS_LOOKED_AT, _DAYS_USED_MIN = 28, 3


class Silence:
    """The scopes that are watched for silence.

    Args:
        store: where usage, and when the last messages came, is read.
        clock_ms: the time, in milliseconds since 1970.
        passed_over: notes those that are watched by less than all.
    """

    def __init__(
        self, store: MeterStore, clock_ms: Callable[[], int], passed_over: Unjudged
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._passed_over = passed_over
        self._watched: set[Scope] = set()
        self._arrived: dict[Scope, int] = {}
        self._written: dict[Scope, int] = {}
        self._has_read = False
        self._left: set[Scope] = set()
        self._awake_since_ms: int | None = None
        self._looked_at_ms = 0
        self._used: dict[Scope, tuple[int, set[int]]] = {}

    def watch(self, rules: Iterable[AlertRule]) -> None:
        """Watch the scopes of some rules, and no others.

        Where it cannot be read when the last messages came, they are watched as though nothing were
        written of it; that is noted.
        """
        rules = list(rules)
        former, self._watched = self._watched, {rule.scope for rule in rules}
        for scope in self._watched - former:
            # What was noted of it is of when somebody watched: more may have come since.
            for noted in (self._arrived, self._written, self._used):
                noted.pop(scope, None)
        if not self._has_read:
            try:
                held = self._store.alerts.arrivals()
            except DamagedDataError as error:
                for rule in rules:
                    self._passed_over.note(rule, ARRIVALS, error)
            else:
                self._written = {scope: at_ms for scope, at_ms in held.items() if at_ms}
                self._has_read = True
        self._left = (self._left | (self._written.keys() - self._watched)) - self._watched

    def arrived(self, facts: Facts) -> tuple[dict[Scope, int], dict[Scope, int]]:
        """What live messages say of when the last one came to each scope.

        Args:
            facts: that are about to be counted.

        Returns:
            What is to be noted once they are, and what of it is to be written with them.
        """
        if not len(facts):
            return {}, {}
        live = facts[(facts["flags"] & IMPORTED) == 0]
        found: dict[Scope, int] = {}
        for workspace, source in self._watched:
            of_scope = live["workspace"] == workspace
            if source:
                of_scope &= live["source"] == source
            if of_scope.any():
                found[workspace, source] = int(live["received_at_ms"][of_scope].max())
        return found, self._to_write(found)

    def told(self, moments: Mapping[Scope, int]) -> tuple[dict[Scope, int], dict[Scope, int]]:
        """As `arrived`, of scopes whose last message is known already."""
        found = {scope: at_ms for scope, at_ms in moments.items() if scope in self._watched}
        return found, self._to_write(found)

    def _to_write(self, found: Mapping[Scope, int]) -> dict[Scope, int]:
        # Nobody sees what comes to a scope that was left: what is written of it is true no more.
        return dict.fromkeys(self._left, 0) | {
            scope: at_ms
            for scope, at_ms in found.items()
            # A clock that was set back makes an earlier moment the last one.
            if abs(at_ms - self._written.get(scope, 0)) >= _WRITTEN_EVERY_MS
        }

    def note(self, arrived: Mapping[Scope, int], written: Mapping[Scope, int]) -> None:
        """Take what `arrived` gave, once it is durable."""
        self._arrived.update(arrived)
        for scope in arrived:
            self._used.pop(scope, None)
        for scope, at_ms in written.items():
            if at_ms:
                self._written[scope] = at_ms
            else:
                self._written.pop(scope, None)
                self._left.discard(scope)

    def forget_days(self) -> None:
        """Read anew on which days there was usage, once an import may have brought some."""
        self._used.clear()

    def since(self, rule: AlertRule, now_ms: int) -> int | None:
        """Since when a rule's scope has had nothing for too long; None where it has not.

        Called about once a second.
        """
        if not self._is_awake(now_ms):
            return None
        arrived_ms = self._arrived.get(rule.scope)
        if arrived_ms is None:
            arrived_ms = self._last_arrival_ms(rule.scope, now_ms)
            if arrived_ms is None:
                return None
            self._arrived[rule.scope] = arrived_ms
        if now_ms - arrived_ms < rule.quiet_hours * _HOUR_MS:
            return None
        used = self._days_used(rule.scope, day_of_ms(arrived_ms))
        if len(used) < _DAYS_USED_MIN:
            return None
        is_quiet = self._is_quiet(used, arrived_ms, now_ms, rule.quiet_hours * _HOUR_MS)
        return arrived_ms if is_quiet else None

    def _is_awake(self, now_ms: int) -> bool:
        """Whether this process has looked on for some minutes, by a clock that nobody set."""
        is_step = not 0 <= now_ms - self._looked_at_ms < _STEP_MS
        if self._awake_since_ms is None or is_step:
            self._awake_since_ms = now_ms
        self._looked_at_ms = now_ms
        return now_ms - self._awake_since_ms >= _AWAKE_MS

    @staticmethod
    def _is_quiet(used: set[int], since_ms: int, now_ms: int, for_ms: int) -> bool:
        """Whether nothing came for so long, on days on whose weekday there usually is something."""
        first, last = min(used), max(used)
        quiet_ms = 0
        for day in range(day_of_ms(since_ms), day_of_ms(now_ms) + 1):
            same = [each for each in range(day - 7, first - 1, -7) if each <= last]
            if len(same) >= 2 and 2 * len(used.intersection(same)) < len(same):
                continue
            begin_ms, end_ms = max(since_ms, day * MS_PER_DAY), (day + 1) * MS_PER_DAY
            quiet_ms += max(0, min(now_ms, end_ms) - begin_ms)
            if quiet_ms >= for_ms:
                return True
        return False

    def _last_arrival_ms(self, scope: Scope, now_ms: int) -> int | None:
        """When the last message came, as far as it is written; None where none ever did.

        A day with usage after what is written says that nobody watched then, or that it was
        imported: a message came at its end at the latest.
        """
        written_ms = self._written.get(scope)
        used = self._days_used(scope, day_of_ms(now_ms))
        if written_ms and (not used or max(used) <= day_of_ms(written_ms)):
            return written_ms
        return min(now_ms, (max(used) + 1) * MS_PER_DAY - 1) if used else None

    def _days_used(self, scope: Scope, until: int) -> set[int]:
        """The days of the four weeks up to one on which a scope had usage."""
        held = self._used.get(scope)
        if held is None or held[0] != until:
            days: set[int] = set()
            for period in {Period.of_day(until), Period.of_day(until - _DAYS_LOOKED_AT)}:
                counts = self._store.alerts.totals(scope[0], period, scope[1]).counts
                found = np.flatnonzero(counts[: period.length, ADMITTED]).tolist()
                days |= {period.first_day + day for day in found}
            used = {day for day in days if until - _DAYS_LOOKED_AT < day <= until}
            held = self._used[scope] = until, used
        return held[1]
