"""A store in memory, as plain as can be: what the protocol means, without an engine.

Takes changes, gives what every store gives, out of dictionaries and lists. It keeps nothing for
good: whoever opens the same `Held` again sees what is in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field

import numpy as np

from headcount.counting.alerts import AlertEvent, QuotaReached, without_marked
from headcount.counting.aside import Aside, AsideReason, AsideSum, ConfirmedAside
from headcount.counting.attributes import OTHER, RESERVED, Attributes, coarser
from headcount.counting.calendar import Period
from headcount.counting.contributions import COLUMNS, Contributions
from headcount.counting.facts import Rejection
from headcount.counting.keys import TRACKED, Family, KeyBlock
from headcount.counting.libraries import (
    NAMES_MAX,
    OTHER_LIBRARY,
    USE_PREFIX,
    LibraryUse,
    split_tallies,
    tallies_of,
)
from headcount.counting.metrics import API_CALLS, BY_NAME, KINDS
from headcount.counting.usage import DAYS_MAX, Counts, UsageReading
from headcount.store.alert_protocol import AlertStore, ScopeTotals, StoredEvent
from headcount.store.contribution_rows import COARSE_MAX, WITH_EVENTS_MAX
from headcount.store.protocol import (
    AttributedUsage,
    Attribution,
    Change,
    KeyErasure,
    KeyReplacement,
    Month,
    StoreState,
)


@dataclass
class _Moment:
    """All that is committed."""

    keys: dict[tuple[Period, Family], tuple[KeyBlock, ...]] = field(default_factory=dict)
    counts: dict[tuple[Period, int, int], Counts] = field(default_factory=dict)
    revisions: dict[tuple[Period, int], int] = field(default_factory=dict)
    rejections: dict[tuple[int, int, int, str], int] = field(default_factory=dict)
    libraries: dict[tuple[int, int, int, str], int] = field(default_factory=dict)
    conflicts: dict[tuple[int, int, int, str], int] = field(default_factory=dict)
    contributions: dict[tuple[int, Period, int, int, Attributes], Counts] = field(
        default_factory=dict
    )
    positions: dict[str, int] = field(default_factory=dict)
    imported: dict[tuple[int, Period], int] = field(default_factory=dict)
    sealed: set[tuple[int, Period]] = field(default_factory=set)
    dropped: set[tuple[int, Period]] = field(default_factory=set)
    aside: dict[int, Aside] = field(default_factory=dict)
    next_row: int = 1
    counted_until_ms: int = 0
    last_metered_day: int | None = None
    trusted_day: int | None = None
    events: tuple[AlertEvent, ...] = ()
    marks: dict[tuple[int, int, int, str], bool] = field(default_factory=dict)
    high: dict[tuple[Period, int, int], dict[str, int]] = field(default_factory=dict)
    arrivals: dict[tuple[int, int], int] = field(default_factory=dict)
    quotas: dict[tuple[int, Period, int, str], QuotaReached] = field(default_factory=dict)

    def copied(self) -> _Moment:
        return _Moment(**{name: copy(held) for name, held in vars(self).items()})

    def apply(self, change: Change) -> None:
        if change.confirmed_day is not None:
            self._confirm(change.confirmed_day)
        for place, new in change.keys.items():
            self.keys[place] = (*self.keys.get(place, ()), new.keys)
        for scope, counts in change.counts.items():
            mtu = BY_NAME["mtu"].of
            if scope in self.counts and mtu(counts).sum() < 0:
                reached = int(mtu(self.counts[scope]).sum())
                held = self.high.get(scope, {}).get("mtu", 0)
                self.high[scope] = {"mtu": max(held, reached)}
            self.counts[scope] = self.counts.get(scope, np.int64(0)) + counts
            self.revisions[scope[:2]] = self.revisions.get(scope[:2], 0) + 1
        for period, day_of in change.contributions:
            for number, added in zip(day_of.numbers.tolist(), day_of.counts, strict=True):
                place = day_of.workspace, period, day_of.source
                attributes = self._told_apart(place, change.attributes[number])
                row = (*place, day_of.day, attributes)
                self.contributions[row] = self.contributions.get(row, np.int64(0)) + added
        for workspace, source, day, reason, messages in change.rejections:
            tally = workspace, source, day, reason
            self.rejections[tally] = self.rejections.get(tally, 0) + messages
        for *place, messages in change.conflicting:
            self.conflicts[tuple(place)] = self.conflicts.get(tuple(place), 0) + messages
        for workspace, source, day, word, messages in tallies_of(change.libraries):
            tally = workspace, source, day, word
            same = {name for *place, name in self.libraries if tuple(place) == tally[:3]}
            if word not in same and len(same) >= NAMES_MAX - 1:
                tally = (*tally[:3], USE_PREFIX + OTHER_LIBRARY)
            self.libraries[tally] = self.libraries.get(tally, 0) + messages
        for event in change.alerts:
            left = without_marked(event, self.marks.__contains__)
            if left is not None and left.uid not in {each.uid for each in self.events}:
                self.events = (*self.events, left)
                self.marks |= dict.fromkeys(left.places(), True)
        self.arrivals |= change.arrivals
        for each in change.quotas_reached:
            place = each.workspace, each.period, each.source, each.metric
            self.quotas.setdefault(place, each)
        self.positions |= change.positions
        for queue in change.queues_gone:
            self.positions.pop(queue, None)
        for month, day in change.imported.items():
            self.imported[month] = max(day, self.imported.get(month, day))
        self.sealed |= set(change.sealed)
        for workspace in change.erased:
            self._erase(workspace)
        for each in change.aside:
            self.aside[self.next_row] = each
            self.next_row += 1
        for row in change.counted_aside:
            del self.aside[row]
        if change.counted_back_to_ms is not None:
            self.counted_until_ms = min(self.counted_until_ms, change.counted_back_to_ms)
        self.counted_until_ms = max(self.counted_until_ms, change.counted_until_ms or 0)
        self.last_metered_day = _later(self.last_metered_day, change.last_metered_day)
        self.trusted_day = _later(self.trusted_day, change.trusted_day)

    def _told_apart(self, place: tuple[int, Period, int], attributes: Attributes) -> Attributes:
        known = {row[-1] for row in self.contributions if row[:3] == place} | set(RESERVED)
        bounds = dict.fromkeys(coarser(attributes), COARSE_MAX)
        for each, bound in ({attributes: WITH_EVENTS_MAX} | bounds).items():
            if each in known or len(known) < bound:
                return each
        return OTHER

    def _erase(self, workspace: int) -> None:
        held = {period for period, _ in self.keys}
        for place in list(self.counts):
            period, owner, _ = place
            if owner == workspace and period in held:
                self.sealed.add((workspace, period))
            elif owner == workspace:
                del self.counts[place]
                self.imported.pop((workspace, period), None)
                self.sealed.discard((workspace, period))
                self.dropped.discard((workspace, period))
        self.conflicts = {t: n for t, n in self.conflicts.items() if t[0] != workspace}
        self.contributions = {r: n for r, n in self.contributions.items() if r[0] != workspace}
        self.rejections = {t: n for t, n in self.rejections.items() if t[0] != workspace}
        self.aside = {row: each for row, each in self.aside.items() if each.workspace != workspace}
        self.events = tuple(each for each in self.events if each.workspace != workspace)
        self.marks = {mark: True for mark in self.marks if mark[0] != workspace}

    def _confirm(self, day: int) -> None:
        self.trusted_day = day
        if self.last_metered_day is not None:
            self.last_metered_day = min(self.last_metered_day, day)
        self.imported = {month: min(day, on) for month, on in self.imported.items()}
        for row, each in self.aside.items():
            if each.reason is AsideReason.WAITING and each.day is not None and each.day <= day:
                self.aside[row] = each._replace(reason=AsideReason.CONFIRMED)


def _later(held: int | None, day: int | None) -> int | None:
    return max((each for each in (held, day) if each is not None), default=None)


def _renamed(block: KeyBlock, renamed: Mapping[int, int]) -> KeyBlock:
    names = [renamed.get(key, key) for key in block.fingerprints.tolist()]
    order = np.argsort(np.array(names, np.uint64))
    return KeyBlock(np.array(names, np.uint64), *block.of_days()).chosen(order)


class _Attributed:
    """To which messages usage is attributed, as it was at one moment."""

    def __init__(self, readings: Sequence[UsageReading], workspace: int, moment: _Moment) -> None:
        self.readings, self._workspace, self._moment = readings, workspace, moment

    def of_source(self, source: int) -> Sequence[Contributions]:
        return [self._of((self._workspace, each.period, source)) for each in self.readings]

    def _of(self, place: tuple[int, Period, int]) -> Contributions:
        rows = {
            row[3:]: counts
            for row, counts in self._moment.contributions.items()
            if row[:3] == place and counts.any()
        }
        attributes = list(dict.fromkeys((*RESERVED, *(row[-1] for row in rows))))
        places = [(day, attributes.index(each)) for day, each in rows]
        columns = np.array(places, np.int64).reshape(-1, 2).T
        counts = np.array(list(rows.values()), np.int64).reshape(-1, COLUMNS)
        return Contributions(attributes, *columns, counts)


class Held:
    """What outlives the stores that are opened on it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.moment = _Moment()


class MemoryStore:
    """A `MeterStore` without files.

    Args:
        held: what it opens.
    """

    files = None

    def __init__(self, held: Held) -> None:
        self._held = held

    def close(self) -> None:
        """Nothing is open."""

    def state(self) -> StoreState:
        now = self._held.moment
        return StoreState(
            dict(now.positions),
            sorted(now.keys, key=lambda place: (place[0], place[1] == "message")),
            now.counted_until_ms,
            now.last_metered_day,
            now.trusted_day,
        )

    def months(self) -> Sequence[Month]:
        now = self._held.moment
        used = sorted((w, p) for p, w, source in now.counts if source == 0)
        return [
            Month(*month, now.imported.get(month), month in now.sealed, month in now.dropped)
            for month in used
        ]

    def keys(self, period: Period, family: Family) -> Iterator[KeyBlock]:
        yield from self._held.moment.keys.get((period, family), ())

    def commit(self, change: Change) -> None:
        with self._held.lock:
            # Beside what readers see, so that a change that fails half way has left nothing.
            changed = self._held.moment.copied()
            changed.apply(change)
            self._held.moment = changed

    def drop_keys(self, period: Period, now_ms: int) -> None:
        with self._held.lock:
            now = self._held.moment.copied()
            now.keys = {place: keys for place, keys in now.keys.items() if place[0] != period}
            now.dropped |= {month for month in now.sealed if month[1] == period}
            self._held.moment = now

    @property
    def erasure(self) -> KeyErasure:
        return self

    @property
    def alerts(self) -> AlertStore:
        return self

    def totals(self, workspace: int, period: Period, source: int) -> ScopeTotals:
        now = self._held.moment
        scope = period, workspace, source
        nothing = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
        rejected = sum(
            messages
            for (of, at, day, _), messages in now.rejections.items()
            if of == workspace and source in (0, at) and Period.of_day(day) == period
        )
        return ScopeTotals(now.counts.get(scope, nothing), now.high.get(scope, {}), rejected)

    def marks(self, workspace: int, period: Period) -> Mapping[int, set[str]]:
        found: dict[int, set[str]] = {}
        for of, rule, month, mark in self._held.moment.marks:
            if (of, month) == (workspace, period.number):
                found.setdefault(rule, set()).add(mark)
        return found

    def arrivals(self) -> Mapping[tuple[int, int], int]:
        return self._held.moment.arrivals

    def events(
        self, *, after: int = 0, workspace: int | None = None, most: int = 100, latest: bool = False
    ) -> Sequence[StoredEvent]:
        found = [
            StoredEvent(number, event)
            for number, event in enumerate(self._held.moment.events, 1)
            if number > after and workspace in (None, event.workspace)
        ]
        return (found[::-1] if latest else found)[:most]

    def event(self, uid: str) -> StoredEvent | None:
        return next((each for each in self.events(most=10**9) if each.event.uid == uid), None)

    def quotas_reached(self, workspace: int | None, period: Period) -> Sequence[QuotaReached]:
        return [
            each
            for place, each in sorted(self._held.moment.quotas.items(), key=lambda e: e[0][2:])
            if place[1] == period and workspace in (None, place[0])
        ]

    def forget_replaced(self, periods: Iterable[Period]) -> None:
        """Nothing is left."""

    def aside_facts(self) -> Iterator[ConfirmedAside]:
        for row, each in sorted(self._held.moment.aside.items()):
            yield ConfirmedAside(row, each.facts)

    def replace_keys(self, replaced: Sequence[KeyReplacement], aside: Mapping[int, bytes]) -> None:
        with self._held.lock:
            now = self._held.moment.copied()
            for period, former, new in replaced:
                place = period, TRACKED
                renamed = dict(zip(former.tolist(), new.tolist(), strict=True))
                now.keys[place] = tuple(
                    _renamed(block, renamed) for block in now.keys.get(place, ())
                )
            for row, facts in aside.items():
                now.aside[row] = now.aside[row]._replace(facts=facts)
            self._held.moment = now

    def set_aside(self) -> Sequence[AsideSum]:
        groups: dict[tuple[str, int, Period | None], list[Aside]] = {}
        for each in self._held.moment.aside.values():
            groups.setdefault((each.reason.value, each.workspace, each.period), []).append(each)
        sums = []
        for place in sorted(groups, key=lambda g: (g[0], g[1], g[2] is not None, g[2])):
            days = [each.day for each in groups[place] if each.day is not None]
            messages = sum(each.messages for each in groups[place])
            origin = min(each.origin for each in groups[place])
            first, last = min(days, default=None), max(days, default=None)
            sums.append(AsideSum(*place, first, last, messages, origin))
        return sums

    def confirmed_aside(self, messages_max: int) -> Sequence[ConfirmedAside]:
        found = []
        for row, each in sorted(self._held.moment.aside.items()):
            if each.reason is AsideReason.CONFIRMED and messages_max > 0:
                found.append(ConfirmedAside(row, each.facts))
                messages_max -= each.messages
        return found

    def read_usage(
        self,
        workspace: int,
        period: Period,
        *,
        sources: bool = True,  # read whether they are asked for or not
        libraries: bool = False,
    ) -> UsageReading:
        now = self._held.moment
        used = sorted(
            p for (p, w, s), counts in now.counts.items()
            if (w, s) == (workspace, 0) and counts[:, API_CALLS].any()
        )  # fmt: skip
        nothing = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
        sources = sorted(s for p, w, s in now.counts if (p, w) == (period, workspace) and s)
        of_sources = [now.counts[period, workspace, source] for source in sources]
        return UsageReading(
            period=period,
            first_period=used[0] if used else None,
            last_metered_day=now.last_metered_day,
            counted_until_ms=now.counted_until_ms,
            revision=now.revisions.get((period, workspace), 0),
            workspace=now.counts.get((period, workspace, 0), nothing),
            source_numbers=np.array(sources, np.uint32),
            sources=np.array(of_sources, np.int64).reshape(len(sources), *nothing.shape),
            rejected=tuple(
                Rejection(*tally, messages)
                for tally, messages in sorted(now.rejections.items())
                if tally[0] == workspace and Period.of_day(tally[2]) == period
            ),
            conflicting=tuple(
                Rejection(*tally, messages)
                for tally, messages in sorted(now.conflicts.items())
                if tally[0] == workspace and Period.of_day(tally[2]) == period
            ),
            libraries=self._libraries(workspace, period) if libraries else (),
        )

    @property
    def attribution(self) -> Attribution:
        return self

    @contextmanager
    def attributed(self, workspace: int, periods: Sequence[Period]) -> Iterator[AttributedUsage]:
        readings = [self.read_usage(workspace, each) for each in periods]
        yield _Attributed(readings, workspace, self._held.moment)

    def _libraries(self, workspace: int, period: Period) -> tuple[LibraryUse, ...]:
        tallies = (
            Rejection(*tally, messages)
            for tally, messages in sorted(self._held.moment.libraries.items())
            if tally[0] == workspace and Period.of_day(tally[2]) == period
        )
        return tuple(split_tallies(tallies)[1])
