"""The auditor: knows what was sent, acknowledged, metered and read, and says where these differ.

Takes notice of everything that happens in the simulated world; raises `Violation` with a sentence.
Its counts are those of the naive oracle, fed with what the meter committed, in metering order; that
this is what clients were promised is checked on its own, fact by fact.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, cast

import numpy as np

from headcount.counting.aside import AsideReason
from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms
from headcount.counting.facts import FACT_BYTES
from headcount.counting.metrics import (
    ADMITTED,
    ANONYMOUS,
    ANONYMOUS_IDENTIFIED,
    API_CALLS,
    IDENTIFIED,
    KINDS,
)
from headcount.counting.sealing import OPEN_DAYS
from headcount.counting.usage import DAYS_MAX, Counts, UsageReading
from headcount.journal import JournalEntry
from headcount.store.protocol import Change, MeterStore, sealed_months
from sim.workload import Request, tallied
from support.oracle import Oracle, PlainFact
from support.rig import pack

__all__ = ["Auditor", "Violation"]

_TAGS = slice(16, 20)
_EARLIEST_MS = 946_684_800_000
_SETS = {
    IDENTIFIED: "identified",
    ANONYMOUS: "anonymous",
    ANONYMOUS_IDENTIFIED: "anonymous_identified",
}
_NEVER_FALL = (API_CALLS, IDENTIFIED, ANONYMOUS, ANONYMOUS_IDENTIFIED, ADMITTED)


class _Attempt(NamedTuple):
    """A change that was to be committed, and under which circumstances."""

    change: Change
    clock_day: int
    believed: tuple[int, int]
    facts_max: int


class _Done(NamedTuple):
    """What a store was seen to have done, and what to undo where that is lost to damage.

    Attributes:
        play: does the same to an oracle.
        positions: where the store stood after it.
        metered: its facts.
        paid: those of them that were owed.
        tallies: its rejections.
        tallies_paid: those of them that were owed.
    """

    play: Callable[[Oracle], object]
    positions: dict[str, int]
    metered: Counter[bytes]
    paid: Counter[bytes]
    tallies: Counter[tuple[int, int, int, str]]
    tallies_paid: Counter[tuple[int, int, int, str]]


class Violation(AssertionError):
    """Something happened that must never happen."""


def _without_tags(fact: bytes) -> bytes:
    return fact[: _TAGS.start] + b"\0\0\0\0" + fact[_TAGS.stop :]


def _sent_as(fact: PlainFact) -> bytes:
    return _without_tags(pack(fact))


def _facts(packed: bytes) -> list[bytes]:
    return [_without_tags(packed[at : at + FACT_BYTES]) for at in range(0, len(packed), FACT_BYTES)]


def _kept(store: MeterStore) -> int:
    return sum(each.messages for each in store.set_aside() if each.reason != AsideReason.DAMAGED)


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise Violation(sentence)


class Auditor:
    """Checks one world.

    Args:
        window_days: the deduplication window, as the rules have it.
    """

    def __init__(self, window_days: int) -> None:
        self.oracle = Oracle(window_days)
        self.positions: dict[str, int] = {}
        self._plain: dict[bytes, PlainFact] = {}
        self._sent: Counter[bytes] = Counter()
        self._owed: Counter[bytes] = Counter()
        """Facts that were acknowledged and are not metered."""
        self._acknowledged_at_ms: dict[bytes, int] = {}
        self._entries: dict[tuple[str, int], JournalEntry] = {}
        self._attempts: list[_Attempt] = []
        self._believed = (0, 0)
        self._clock_is_believed = False
        self._facts_max = 0
        self._tallies_owed: Counter[tuple[int, int, int, str]] = Counter()
        self._tallies_sent: Counter[tuple[int, int, int, str]] = Counter()
        self._tallied: Counter[tuple[int, int, int, str]] = Counter()
        self._unwitnessed: Counter[bytes] = Counter()
        self.is_damaged = False
        """Whether somebody has damaged the folder: then what is said to be lost may be missing."""
        self._said_lost: dict[tuple[str, int], int | None] = {}
        self._done: list[_Done] = []
        self._read: dict[tuple[int, Period], Counts] = {}
        self._expected: dict[tuple[Period, int, int], Counts] | None = None
        self.metered = 0

    # What clients do.

    def sending(self, request: Request) -> None:
        """A request is on its way: all of it may become durable, or nothing."""
        for fact in request.facts:
            packed = _sent_as(fact)
            self._plain[packed] = fact
            self._sent[packed] += 1
        self._tallies_sent.update(tallied(request.rejections))

    def acknowledged(self, request: Request, now_ms: int) -> None:
        """Its client was told that it is durable."""
        for packed in map(_sent_as, request.facts):
            self._owed[packed] += 1
            self._acknowledged_at_ms[packed] = now_ms
        self._tallies_owed.update(tallied(request.rejections))

    def power_went(self) -> None:
        """What was acknowledged in the last second before may be confirmed nowhere else yet: the
        small files that confirm are synced once a second. Damage that comes on top of a power cut
        before all is counted again is seen in the journal or not at all."""
        self._unwitnessed = self.owed_now()

    def has_unwitnessed(self) -> bool:
        """Whether anything of what was outstanding at the last power cut still is."""
        return any(self._owed[fact] > 0 for fact in self._unwitnessed)

    # What the meter does.

    def entry_read(self, journal: str, entry: JournalEntry) -> None:
        """An entry was read: it must be what somebody sent, and the same whenever it is read."""
        if entry.damage is not None:
            _require(self.is_damaged, f"entry {entry.id} of {journal} is called damaged: it is not")
            self._said_lost[journal, entry.id] = entry.damage.messages
            return
        known = self._entries.setdefault((journal, entry.id), entry)
        _require(known == entry, f"entry {entry.id} of journal {journal} is another than before")
        for fact in _facts(entry.facts):
            _require(fact in self._plain, f"entry {entry.id} holds a fact that nobody sent")

    def stepping(self, clock_day: int, facts_max: int) -> None:
        """A step of the meter begins, which believes what is known of the clock by now."""
        self._believed = self.oracle.believed(clock_day)
        since_2000 = clock_day * MS_PER_DAY >= _EARLIEST_MS
        self._clock_is_believed = since_2000 and clock_day <= self._believed[0]
        self._facts_max = facts_max

    def attempting(self, change: Change, clock_day: int) -> None:
        """A change is about to be committed; whether it was may be known only later."""
        for journal, upto in change.positions.items():
            before = self.positions.get(journal, 0)
            _require(upto > before, f"entries up to {upto} are metered again, after {before}")
        self._attempts.append(_Attempt(change, clock_day, self._believed, self._facts_max))

    def committed(self) -> None:
        """The last attempt was committed."""
        self._apply(self._attempts[-1])

    def started(self, store: MeterStore) -> None:
        """A meter begins; where its store stands tells how its predecessor ended."""
        positions, kept = dict(store.state().positions), _kept(store)
        if positions == self.positions and kept == self.oracle.kept():
            return
        for attempt in reversed(self._attempts):
            if {**self.positions, **attempt.change.positions} == positions:
                self._apply(attempt)
                break
        else:
            known = self.is_damaged and self._go_back(store, positions, kept)
            _require(known, f"the store stands at {positions}, where nobody committed")
        self._check_kept(kept)

    def _go_back(self, store: MeterStore, positions: dict[str, int], kept: int) -> bool:
        """Be where the store was before its last commits, which damage has taken from it.

        That is no loss where the journals hold what those commits had counted: what is counted then
        must be as if they had never been.
        """
        sealed, trusted_day = sealed_months(store.months()), store.state().trusted_day
        for length in range(len(self._done) - 1, -1, -1):
            stood = self._done[length - 1].positions if length else {}
            if stood != positions:
                continue
            oracle = Oracle(self.oracle.window_days)
            for each in self._done[:length]:
                each.play(oracle)
            if (oracle.kept(), oracle.sealed, oracle.trusted_day) == (kept, sealed, trusted_day):
                self._undo(self._done[length:])
                del self._done[length:]
                self.oracle, self.positions, self._expected = oracle, positions, None
                self._read.clear()
                return True
        return False

    def _undo(self, lost: list[_Done]) -> None:
        for each in lost:
            self._sent.update(each.metered)
            self._owed.update(each.paid)
            self._tallied.subtract(each.tallies)
            self._tallies_owed.update(each.tallies_paid)
            self.metered -= each.metered.total()
        self._tallied = +self._tallied

    def _check_kept(self, kept: int) -> None:
        expected = self.oracle.kept()
        _require(kept == expected, f"{kept} messages are set aside, and the oracle has {expected}")

    def confirmed(self, clock_day: int) -> None:
        """The operator said that it is this day."""
        self._attempts.clear()
        self._do(lambda oracle: oracle.confirm(clock_day))

    def _do(self, play: Callable[[Oracle], object]) -> _Done:
        """Take notice of what the store has done, and do it to the oracle."""
        play(self.oracle)
        done = _Done(play, dict(self.positions), Counter(), Counter(), Counter(), Counter())
        self._done.append(done)
        return done

    def _apply(self, attempt: _Attempt) -> None:
        # Once one was committed, what was refused before can no longer come back.
        self._attempts.clear()
        self._expected = None
        change, clock_day = attempt.change, attempt.clock_day
        if change.counted_aside:
            self._free(attempt)
            return
        entries = [
            entry
            for journal, upto in change.positions.items()
            for entry_id in range(self.positions.get(journal, 0) + 1, upto + 1)
            if (journal, entry_id) not in self._said_lost
            and (entry := self._entries.get((journal, entry_id))) is not None
        ]
        self.positions.update(change.positions)
        packed = [fact for entry in entries for fact in _facts(entry.facts)]
        facts = sorted((self._plain[fact] for fact in packed), key=lambda f: f.received_at_ms)
        done = self._do(lambda oracle: oracle.take_batch(facts, clock_day, attempt.believed))
        for fact in packed:
            self._take(fact, done)
        for entry in entries:
            tallies = tallied(entry.rejections)
            done.tallies.update(tallies)
            done.tallies_paid.update(tallies & self._tallies_owed)
            self._tallied.update(tallies)
            self._tallies_owed -= tallies
        self.metered += len(facts)

    def _free(self, attempt: _Attempt) -> None:
        rows: list[int] = []
        clock_day, facts_max = attempt.clock_day, attempt.facts_max
        self._do(lambda oracle: rows.append(oracle.free(clock_day, facts_max)))
        found = len(attempt.change.counted_aside)
        _require(rows[0] == found, f"{rows[0]} rows of facts were to be freed, not {found}")

    def _take(self, fact: bytes, done: _Done) -> None:
        self._sent[fact] -= 1
        _require(self._sent[fact] >= 0, f"{self._plain[fact]} is metered more often than sent")
        done.metered[fact] += 1
        if self._owed[fact] > 0:
            self._owed[fact] -= 1
            done.paid[fact] += 1

    def stepped(
        self, store: MeterStore, counted_until_ms: tuple[int, int], before: Mapping[bytes, int]
    ) -> None:
        """A step of the meter has ended.

        Args:
            store: what it wrote to.
            counted_until_ms: until when the meter, and what readers see, say that everything is. A
                clock that nobody believes moves nothing that readers see.
            before: `owed_now()` as it was before the step.
        """
        _require(
            dict(store.state().positions) == self.positions,
            "the store's positions moved by themselves",
        )
        self._check_kept(_kept(store))
        for fact in before:
            if self._owed[fact] <= 0:
                continue
            at_ms = self._acknowledged_at_ms[fact]
            # A time before 2000 says nothing of when something came.
            _require(
                at_ms < _EARLIEST_MS
                or at_ms > max(counted_until_ms[: 1 + self._clock_is_believed]),
                f"{self._plain[fact]} is not counted, and all until {counted_until_ms} is said so",
            )

    def owed_now(self) -> Counter[bytes]:
        """The facts that are acknowledged and not metered at this moment."""
        return +self._owed

    def sealing(
        self,
        sealed: Iterable[tuple[int, Period]],
        clock_day: int,
        before: Mapping[bytes, int] | None = None,
    ) -> list[str]:
        """The store closed months: each must be due, with nothing outstanding, by a good clock.

        Args:
            sealed: what is closed by now.
            clock_day: the day of the clock.
            before: `owed_now()` as it was before the step that closed it.

        Returns:
            What was closed anew, in words.
        """
        oracle = self.oracle
        new = set(sealed) - oracle.sealed
        _require(set(sealed) >= oracle.sealed, "a closed month is open again")
        for workspace, period in sorted(new):
            what = f"{period} of workspace {workspace}"
            waiting = sum(self._owed[fact] > 0 for fact in before or ())
            _require(not waiting, f"{what} was closed while {waiting} messages were waiting")
            last_day = max(period.last_day, oracle.last_import_day.get((workspace, period), 0))
            _require(clock_day - last_day > OPEN_DAYS, f"{what} was closed too early")
            trusted = oracle.trusted_day
            _require(
                trusted is not None and clock_day <= trusted + 2,
                f"{what} was closed by a clock that has jumped",
            )
        if new:
            self._do(lambda oracle: oracle.sealed.update(new))
        return [f"{period} of workspace {workspace}" for workspace, period in sorted(new)]

    # What readers see.

    def check_reading(self, workspace: int, reading: UsageReading) -> None:
        """A reading, at whatever moment, is the oracle's of the last commit."""
        period = reading.period
        expected = self.expected()
        zero = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
        whole = expected.get((period, workspace, 0), zero)
        self._compare(reading.workspace, whole, f"workspace {workspace} in {period}")
        sources = {
            source: counts for (of, _, source), counts in expected.items()
            if of == period and source and self.oracle.workspace_of[source] == workspace
        }  # fmt: skip
        numbers = reading.source_numbers.tolist()
        _require(
            {n for n, counts in zip(numbers, reading.sources, strict=True) if counts.any()}
            == {n for n, counts in sources.items() if counts.any()},
            f"the sources of workspace {workspace} in {period} are {numbers}",
        )
        for number, counts in zip(numbers, reading.sources, strict=True):
            self._compare(counts, sources.get(number, zero), f"source {number} in {period}")
        self._check_invariants(workspace, reading)
        rejected = tallied(list(reading.rejected))
        of_month = {
            place: n for place, n in self._tallied.items()
            if place[0] == workspace and Period.of_day(place[2]) == period
        }  # fmt: skip
        _require(rejected == of_month, f"rejections of workspace {workspace} in {period} differ")

    def _compare(self, found: Counts, expected: Counts, where: str) -> None:
        if (found == expected).all():
            return
        day, kind = (int(axis[0]) for axis in np.nonzero(found != expected))
        raise Violation(
            f"{where}, day {day + 1}: {found[day, kind]} new {KINDS[kind]}, and the oracle has"
            f" {expected[day, kind]}"
        )

    def _check_invariants(self, workspace: int, reading: UsageReading) -> None:
        where = f"workspace {workspace} in {reading.period}"
        totals, parts = reading.workspace_totals(), reading.source_totals()
        _require(bool((reading.workspace >= 0).all()), f"a new count of {where} is negative")
        _require(
            bool((reading.sources >= 0).all()), f"a new count of a source of {where} is negative"
        )
        if len(parts):
            for kind in _SETS:
                of_kind = parts[:, :, kind]
                _require(
                    bool((of_kind.max(axis=0) <= totals[:, kind]).all())
                    and bool((totals[:, kind] <= of_kind.sum(axis=0)).all()),
                    f"{KINDS[kind]} of {where} is not between its largest source and their sum",
                )
            _require(
                bool((parts[:, :, API_CALLS].sum(axis=0) == totals[:, API_CALLS]).all()),
                f"the API calls of {where} are not the sum of its sources'",
            )
        former = self._read.get((workspace, reading.period))
        if former is not None:
            _require(
                bool((totals[:, _NEVER_FALL] >= former[:, _NEVER_FALL]).all()),
                f"a count of {where} has fallen since it was read before",
            )
        self._read[workspace, reading.period] = totals

    def expected(self) -> dict[tuple[Period, int, int], Counts]:
        """(period, workspace, source) to the oracle's new counts by day; source 0 for the whole."""
        if self._expected is None:
            self._expected = _expected(self.oracle)
        return self._expected

    def check_drained(self) -> None:
        """Everything is said to be metered: nothing that was acknowledged is missing."""
        missing = self.owed_now()
        if self._said_lost:
            said = sum(messages or 0 for messages in self._said_lost.values())
            _require(
                None in self._said_lost.values() or missing.total() <= said,
                f"{missing.total()} acknowledged messages are lost, and {said} are said to be",
            )
            return
        for fact in missing:
            raise Violation(
                f"{len(missing)} acknowledged messages are lost, such as {self._plain[fact]}"
            )
        for place in +self._tallies_owed:
            raise Violation(f"the acknowledged rejections of {place} are lost")
        for place, messages in self._tallied.items():
            _require(
                messages <= self._tallies_sent[place],
                f"{messages} rejections of {place} are tallied, more than were sent",
            )

    def said(self) -> str:
        """What was said to be lost, in words; empty where nothing was."""
        return ", ".join(
            f"entry {entry} of {journal[:8]} is set aside with {messages} messages"
            for (journal, entry), messages in self._said_lost.items()
        )

    def copied(self) -> Auditor:
        """Another one that knows the same, for a world beside this one."""
        return cast(Auditor, _copied(self))

    def check_due(self, sealed: Iterable[tuple[int, Period]], clock_day: int) -> None:
        """Nothing waits and the clock is good: what is due must be closed."""
        before = set(self.oracle.sealed)
        self.oracle.seal(clock_day)
        left_open = self.oracle.sealed - set(sealed)
        self.oracle.sealed = before
        _require(not left_open, f"{sorted(left_open)} should be closed by now")


def _copied(value: object) -> object:
    """As deep as auditors change what they hold: records, numbers and texts are never changed."""
    if isinstance(value, Auditor | Oracle):
        found = copy.copy(value)
        vars(found).update({name: _copied(each) for name, each in vars(value).items()})
        return found
    if isinstance(value, dict):
        found = copy.copy(value)
        if value and isinstance(next(iter(value.values())), dict | set | list):
            for key, each in value.items():
                found[key] = _copied(each)
        return found
    if isinstance(value, list | set):
        return copy.copy(value)
    return value


def _expected(oracle: Oracle) -> dict[tuple[Period, int, int], Counts]:
    found: dict[tuple[Period, int, int], Counts] = {}

    def add(source: int, day: int, kind: int, count: int) -> None:
        period = Period.of_day(day)
        for scope in (source, 0):
            place = (period, oracle.workspace_of[source], scope)
            if place not in found:
                found[place] = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
            found[place][day - period.first_day, kind] += count

    for (source, day), messages in oracle.admitted.items():
        add(source, day, ADMITTED, messages)
    for (source, _), accepted in oracle.accepted.items():
        for day in accepted.values():
            add(source, day, API_CALLS, 1)
    for (period, scope, number), sets in oracle.joined.items():
        source = number if scope == "source" else 0
        workspace = oracle.workspace_of[number] if source else number
        for kind, name in _SETS.items():
            for day in sets.get(name, {}).values():
                found[period, workspace, source][day - period.first_day, kind] += 1
    return found


def day_in_words(moment_ms: int) -> str:
    """A moment's day and time, for the history."""
    day = day_of_ms(moment_ms)
    return str(np.datetime64(day, "D")) + f" +{moment_ms % 86_400_000 // 1000} s"
