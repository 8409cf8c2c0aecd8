"""The mirror: in a node's store, the sum of what all partitions have counted.

Takes packs of counts, keeps each partition's rows and adds what changed to the rows that readers
read: a pack, or those of several partitions together, in one transaction. A partition's rows are
those of one state of it, and states only move forward: what stands behind is left out, and so is
another copy of a partition (restored, or moved) until it has everything that is here. So no sum
falls. And since inside each partition, at every state, the largest source <= the workspace <= the
sum of its sources, that holds in every sum.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec
import numpy as np

from headcount.counting.calendar import Period
from headcount.counting.conflicts import CONFLICTING
from headcount.counting.facts import Rejection
from headcount.counting.usage import Counts
from headcount.engines import FactLog, Follower
from headcount.stages.bundles import parts_of
from headcount.stages.counts_feed import counts_subject
from headcount.stages.counts_less import CountsLess, less_than
from headcount.stages.counts_packs import (
    CountsPack,
    CountsStanding,
    CountsWanted,
    FreshCounts,
    decode_counts,
)
from headcount.stages.mirror_changes import Held, TakenState, together
from headcount.stages.mirror_watch import MirrorWatch
from headcount.stages.packs import PackError
from headcount.store.partition_change import Mirrored
from headcount.store.partition_protocol import MIRROR_COMPLETE, MirrorStore, Place
from headcount.store.protocol import Change

__all__ = ["Mirror"]

_log = logging.getLogger(__name__)

_ASK_EVERY_S = 2.0
_LACKS_AFTER_S = 1.0
_MARK_EVERY_S = 0.5
_SET_BACK_MS = 60_000
_NEAR_MS = 600_000
_BEHIND_BYTES = 1 << 20


class Mirror:
    """Mirrors all partitions of a cluster.

    Args:
        store: into which.
        log: out of which.
        partitions: the names of all partitions.
        clock_ms: the time, in milliseconds since 1970.
        monotonic_s: a clock that nobody sets.
        watch: judges what the sums make people hear of; None where nobody wants to.
        on_less: called before sums become smaller than they were, with what they lack.
        erased: gives the workspaces that were deleted and are to be erased, whose sums go.
    """

    def __init__(
        self,
        store: MirrorStore,
        log: FactLog,
        partitions: Sequence[str],
        clock_ms: Callable[[], int],
        monotonic_s: Callable[[], float] = time.monotonic,
        watch: MirrorWatch | None = None,
        on_less: Callable[[CountsLess], None] = lambda _: None,
        erased: Callable[[], Collection[int]] = frozenset,
    ) -> None:
        self._erased = erased
        self._watch = watch
        self._on_less = on_less
        self._store = store
        self._log = log
        self._partitions = list(partitions)
        self._clock_ms = clock_ms
        self._monotonic_s = monotonic_s
        decode = msgspec.msgpack.Decoder(Held).decode
        states = store.states()
        self._held = {name: decode(states[name]) for name in partitions if name in states}
        self._followers: dict[str, Follower] = {}
        self._parts: dict[tuple[str, str, int, int], dict[int, CountsPack]] = {}
        self._taken: dict[str, TakenState] = {}
        self._lacks_since_s: dict[str, float] = {}
        self._asked_at_s: dict[str, float] = {}
        self._marked_at_s = float("-inf")
        self._marked_ms = store.state().counted_until_ms
        for name in partitions:
            if name not in self._held:
                self._lacks_since_s[name] = float("-inf")

    def step(self) -> bool:
        """Take what was published; whether it was so much that there is likely more.

        Raises:
            EngineAwayError: the log cannot be asked.
            StorageUnavailableError: the disk refused; what was not taken is asked for again.
        """
        nbytes = 0
        try:
            for follower in self._follow():
                for entry in follower.take():
                    nbytes += len(entry.data)
                    for part in parts_of(entry.data):
                        try:
                            self._take(decode_counts(part))
                        except PackError as error:
                            _log.error("counts in the log: %s", error)
        finally:
            self._commit_taken()
        self._mark()
        return nbytes >= _BEHIND_BYTES

    def _follow(self) -> list[Follower]:
        """Followers of where counts are published about now, by whatever clock near this one."""
        now_ms = self._clock_ms()
        near = {counts_subject(now_ms + by_ms) for by_ms in (-_NEAR_MS, 0, _NEAR_MS)}
        for subject in near - self._followers.keys():
            self._followers[subject] = self._log.follow(subject)
        for subject in self._followers.keys() - near:
            self._followers.pop(subject).close()
        return [self._followers[subject] for subject in sorted(near)]

    def _take(self, pack: CountsPack) -> None:
        standing = pack.standing
        if standing.partition not in self._partitions:
            return
        if standing.partition in self._taken:
            self._commit_taken()
        held = self._held.get(standing.partition)
        if held is not None and standing.epoch < held.standing.epoch:
            return
        is_same = held is not None and held.standing.lineage == standing.lineage
        if held is not None and is_same and standing.generation <= held.standing.generation:
            return
        if pack.since and not (
            held is not None and is_same and pack.since <= held.standing.generation
        ):
            self._lacks_since_s.setdefault(standing.partition, self._monotonic_s())
            return
        if held is not None and not is_same and not _has_all(standing, held.standing):
            # It catches up; it is asked again until it has.
            self._lacks_since_s.setdefault(standing.partition, self._monotonic_s())
            return
        place = (standing.partition, standing.lineage, pack.since, standing.generation)
        parts = self._parts.setdefault(place, {})
        parts[pack.part] = pack
        if len(parts) == pack.parts:
            taken = self._whole(list(parts.values()), standing, replace=pack.since == 0)
            self._parts = {
                other: of for other, of in self._parts.items() if other[0] != standing.partition
            }
            by_itself = taken.takes_back or (
                self._watch is not None
                and self._watch.is_left_behind(standing, taken.shown_until_ms)
            )
            if by_itself:
                self._commit_taken()
            self._taken[standing.partition] = taken
            if by_itself:
                self._commit_taken()

    def _whole(
        self, parts: Sequence[CountsPack], standing: CountsStanding, *, replace: bool
    ) -> TakenState:
        """What a state of a partition changes, all parts of which are here."""
        name = standing.partition
        former = self._held.get(name)
        rows: dict[Place, Counts | None] = {
            place: counts for pack in parts for place, counts in pack.unpacked()
        }
        if replace:
            gone = set(self._store.mirrored_places(name)) - rows.keys()
            rows |= dict.fromkeys(gone)
        counts: dict[tuple[Period, int, int], Counts] = {}
        for (workspace, period, source), new in rows.items():
            old = self._store.mirrored_counts(name, (workspace, period, source))
            added = _less(new, old)
            if added is not None:
                counts[period, workspace, source] = added
        keeps_until = former is not None and former.standing.lineage == standing.lineage
        if former is not None and not keeps_until:
            erased = self._erased()
            kept = {place: each for place, each in counts.items() if place[1] not in erased}
            less = less_than(former.standing, standing, kept)
            if less is not None:
                self._on_less(less)
        until = [standing.until_ms, former.until_ms if former and keeps_until else None]
        held = Held(standing, max((each for each in until if each is not None), default=None))
        conflicts, conflicting = self._conflicts(name, parts)
        change = Change(
            counts=counts,
            rejections=self._tallies(parts),
            conflicting=conflicting,
            imported={(w, Period(number)): day for w, number, day in standing.imported},
            sealed=[(w, Period(number)) for w, number in standing.sealed]
            if name.startswith("facts-")
            else (),
            last_metered_day=standing.last_metered_day,
            trusted_day=standing.trusted_day,
            confirmed_day=_taken_back_to(standing, former),
            mirrored=[Mirrored(name, msgspec.msgpack.encode(held), rows, conflicts)],
        )
        return TakenState(held, former.until_ms if former else None, change)

    def _commit_taken(self) -> None:
        """Add to the sums what was taken of several partitions.

        Raises:
            StorageUnavailableError: the disk refused; it is asked for again.
        """
        taken, self._taken = list(self._taken.values()), {}
        if not taken:
            return
        change = together(taken)
        everybody = self._held | {each.name: each.held for each in taken}
        if len(everybody) == len(self._partitions):
            change.watermarks = {MIRROR_COMPLETE: 1}
        # Sums that lack a partition are shown to nobody, and cross nothing as they become whole.
        watch = None if self.missing() else self._watch
        if watch is not None:
            watch.judge(change, taken)
        self._store.commit(change)
        self._held = everybody
        if watch is not None:
            watch.committed(change, [each.name for each in taken])
        for each in taken:
            self._lacks_since_s.pop(each.name, None)

    def _tallies(self, parts: Sequence[CountsPack]) -> list[Rejection]:
        """What tallies have grown by: a source's are of one partition alone."""
        found = []
        for pack in parts:
            for tally in pack.tallies:
                rejection = Rejection(*tally)
                if rejection.reason == CONFLICTING:
                    continue
                added = rejection.messages - self._store.tally(rejection)
                if added > 0:
                    found.append(rejection._replace(messages=added))
        return found

    def _conflicts(
        self, name: str, parts: Sequence[CountsPack]
    ) -> tuple[dict[Place, Counts], list[Rejection]]:
        """A partition's conflicting duplicates, of places where there are more, and how many more.

        It remembers recent messages only, so one that was put back may tell fewer than before.
        """
        found: dict[Place, Counts] = {}
        added = []
        for tally in (Rejection(*each) for pack in parts for each in pack.tallies):
            if tally.reason != CONFLICTING:
                continue
            period = Period.of_day(tally.day)
            place = tally.workspace, period, tally.source
            if place not in found:
                found[place] = self._store.mirrored_conflicts(name, place).copy()
            row = tally.day - period.first_day
            more = tally.messages - int(found[place][row, 0])
            if more > 0:
                found[place][row, 0] = tally.messages
                added.append(tally._replace(messages=more))
        return found, added

    def hear(self, tells: Iterable[FreshCounts | CountsWanted]) -> None:
        """Learn until when partitions have everything."""
        for tell in tells:
            if isinstance(tell, CountsWanted) or tell.partition not in self._partitions:
                continue
            held = self._held.get(tell.partition)
            if held is not None and tell.epoch < held.standing.epoch:
                continue
            if (
                held is None
                or held.standing.lineage != tell.lineage
                or held.standing.generation < tell.generation
            ):
                self._lacks_since_s.setdefault(tell.partition, self._monotonic_s())
                continue
            # Told late, it is a little earlier; told by a clock that was set back, a lot.
            former_ms = held.until_ms
            if former_ms is None or not 0 <= former_ms - tell.until_ms <= _SET_BACK_MS:
                held.until_ms = tell.until_ms

    def wanted(self) -> list[CountsWanted]:
        """What to ask partitions for now."""
        now_s = self._monotonic_s()
        found = []
        for name, since_s in self._lacks_since_s.items():
            asked_at_s = self._asked_at_s.get(name, float("-inf"))
            if now_s - since_s < _LACKS_AFTER_S or now_s - asked_at_s < _ASK_EVERY_S:
                continue
            self._asked_at_s[name] = now_s
            held = self._held.get(name)
            lineage, generation = "", 0
            if held is not None:
                lineage, generation = held.standing.lineage, held.standing.generation
            found.append(CountsWanted(name, lineage, generation))
        return found

    def until_ms(self) -> int | None:
        """Until when everything is in the sums; None while a partition has not said."""
        moments = [self._held[n].until_ms if n in self._held else None for n in self._partitions]
        known = [moment for moment in moments if moment is not None]
        return min(known, default=None) if len(known) == len(moments) else None

    def missing(self) -> list[str]:
        """Partitions whose counts are not in the sums, so that nothing can be read."""
        return [name for name in self._partitions if name not in self._held]

    def sealed_by(self) -> dict[str, set[tuple[int, int]]]:
        """Partition to the (workspace, number of the month) pairs that it has closed."""
        return {name: set(held.standing.sealed) for name, held in self._held.items()}

    def moments(self) -> dict[str, int | None]:
        """Partition to until when everything is counted in it."""
        return {n: self._held[n].until_ms if n in self._held else None for n in self._partitions}

    def _mark(self) -> None:
        """Let readers know until when the sums are complete, a few times a second."""
        now_s, until_ms = self._monotonic_s(), self.until_ms()
        if until_ms is None or now_s - self._marked_at_s < _MARK_EVERY_S:
            return
        self._marked_at_s = now_s
        if until_ms > self._marked_ms:
            self._store.commit(Change(counted_until_ms=until_ms))
        elif until_ms < self._marked_ms - _SET_BACK_MS:
            self._store.commit(Change(counted_back_to_ms=until_ms))
        else:
            return
        self._marked_ms = until_ms

    def erase(self) -> None:
        """Erase what is known of deleted workspaces, but sums of what partitions keep yet.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
        """
        erased = self._erased()
        months = [each for each in self._store.months() if each.workspace in erased]
        due = self._store.beside_counts(erased)
        if months:
            held = {
                place[:2]
                for name in self._partitions
                for place in self._store.mirrored_places(name)
            }
            due.update(
                each.workspace for each in months if (each.workspace, each.period) not in held
            )
        if due:
            self._store.commit(Change(erased=sorted(due)))

    def close(self) -> None:
        """Stop following; the store belongs to the caller. Idempotent."""
        while self._followers:
            self._followers.popitem()[1].close()


def _taken_back_to(standing: CountsStanding, former: Held | None) -> int | None:
    """The day that was confirmed in a partition, where that was behind what it had counted."""
    if former is None or former.standing.lineage != standing.lineage:
        return None
    days = [
        (now, before)
        for now, before in (
            (standing.trusted_day, former.standing.trusted_day),
            (standing.last_metered_day, former.standing.last_metered_day),
        )
        if now is not None and before is not None
    ]
    return standing.trusted_day if any(now < before for now, before in days) else None


def _has_all(new: CountsStanding, held: CountsStanding) -> bool:
    """Whether a copy of a partition has everything that another one had."""
    at_least = all(new.positions.get(queue, 0) >= last for queue, last in held.positions.items())
    # Queues that are no more are named by positions of long ago; a later moment covers them.
    return at_least or (new.until_ms is not None and new.until_ms > held.latest_ms)


def _less(new: Counts | None, old: Counts | None) -> Counts | None:
    """What a row has grown by; None for nothing."""
    if new is None:
        return None if old is None else -old
    added = new if old is None else new - old
    return added if np.any(added) else None
