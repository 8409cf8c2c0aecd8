"""One step of metering after the other: take entries, fold them, commit, learn.

Takes what the journals hold, in order of arrival; hands the store one change a batch. The order
matters: the indexes are asked before the commit and told after it. An id that was marked as seen
and then not committed would never be counted, so whoever fails between commit and learning must
end this process, and the next one rebuilds the indexes from the store.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from operator import itemgetter
from typing import NamedTuple

import apsw

from headcount import metrics
from headcount.errors import StorageUnavailableError
from headcount.journal import JournalDirectory, JournalEntry, JournalFile
from headcount.meter.indexes import Indexes
from headcount.meter.limits import MeterLimits
from headcount.meter.sealing import Sealing
from headcount.metering.facts import FACT_BYTES, Rejection
from headcount.metering.fold import Folded, facts_from_bytes, fold
from headcount.store.protocol import Change, MeterStore

__all__ = ["Meter", "Step"]

_log = logging.getLogger(__name__)

_PRUNE_EVERY_MS = 500
_MARK_EVERY_MS = 1_000


class Step(NamedTuple):
    """What one step did.

    Attributes:
        facts: how many facts it metered.
        drained: whether every journal was empty behind it.
    """

    facts: int
    drained: bool


class _Taken(NamedTuple):
    """Entries of one batch."""

    facts: list[bytes]
    rejections: list[Rejection]
    positions: dict[str, int]
    next_appended_at_ms: int | None


class Meter:
    """Meters one data folder.

    Args:
        store: where keys and counts go.
        journals: where facts come from.
        clock_ms: the time, in milliseconds since 1970.
        window_days: how many days apart two deliveries of one message id in different periods
            may be and still be one message.
        limits: bounds on batches and memory; None for the defaults.

    Attributes:
        counted_facts: how many facts it has metered.
        counted_until_ms: until when everything that had come is metered, milliseconds since 1970.

    Raises:
        DataFolderError: the store or a journal cannot be used as it is.
    """

    def __init__(
        self,
        store: MeterStore,
        journals: JournalDirectory,
        clock_ms: Callable[[], int],
        window_days: int,
        limits: MeterLimits | None = None,
    ) -> None:
        self._store = store
        self._journals = journals
        self._clock_ms = clock_ms
        self._window_days = window_days
        self._limits = limits or MeterLimits()
        self._open: dict[str, JournalFile] = {}
        self._positions = dict(store.positions())
        self._pruned: dict[str, int] = {}
        self._unpruned: set[str] = set()
        self._pruned_at_ms = 0
        self._marked_at_ms = 0
        self.counted_facts = 0
        self.counted_until_ms = clock_ms()
        store.tidy(clock_ms())
        self.indexes = Indexes(store, clock_ms, window_days, self._limits)
        self._sealing = Sealing(store, self.indexes, clock_ms)
        self._open_new_journals()

    def step(self) -> Step:
        """Meter one batch, if there is anything.

        Raises:
            StorageUnavailableError: nothing was committed; the same step can be tried again.
            DataFolderError: a journal cannot be read as it is.
        """
        now_ms = self._clock_ms()
        self._open_new_journals()
        taken = self._take()
        drained = taken.next_appended_at_ms is None
        # Journals are looked at one after the other, so nothing later than the beginning is sure.
        counted_until_ms = now_ms
        if taken.next_appended_at_ms is not None:
            counted_until_ms = min(now_ms, taken.next_appended_at_ms - 1)
        try:
            if not taken.positions:
                self._mark(now_ms, counted_until_ms)
            else:
                self._meter(taken, counted_until_ms)
        except StorageUnavailableError:
            # A run that is half written may be what fills the disk.
            self.indexes.give_up()
            raise
        facts = sum(map(len, taken.facts)) // FACT_BYTES
        self.counted_facts += facts
        if now_ms - self._pruned_at_ms >= _PRUNE_EVERY_MS or now_ms < self._pruned_at_ms:
            self._prune()
            self._pruned_at_ms = now_ms
        self.counted_until_ms = counted_until_ms
        self.indexes.upkeep()
        if drained:
            self._sealing.seal_due()
        return Step(facts, drained)

    def _open_new_journals(self) -> None:
        held = {journal.path for journal in self._open.values()}
        for path in self._journals.paths():
            if path not in held:
                journal = self._journals.open(path)
                self._open[journal.uuid] = journal

    def _take(self) -> _Taken:
        """Entries of all journals in order of arrival, up to a batch; each journal's in order."""
        facts: list[bytes] = []
        rejections: list[Rejection] = []
        positions: dict[str, int] = {}
        room_bytes = self._limits.facts_a_batch_max * FACT_BYTES
        with ExitStack() as stack:
            arrivals = []
            for journal in self._open.values():
                entries = stack.enter_context(closing(self._entries(journal)))
                arrivals.append(entries)
            for appended_at_ms, journal_uuid, entry in heapq.merge(*arrivals, key=itemgetter(0)):
                if room_bytes <= 0:
                    return _Taken(facts, rejections, positions, appended_at_ms)
                facts.append(entry.facts)
                rejections.extend(entry.rejections)
                positions[journal_uuid] = entry.id
                room_bytes -= len(entry.facts)
        return _Taken(facts, rejections, positions, None)

    def _entries(
        self, journal: JournalFile
    ) -> Generator[tuple[int, str, JournalEntry], None, None]:
        with closing(journal.entries(self._positions.get(journal.uuid, 0))) as entries:
            for entry in entries:
                yield entry.appended_at_ms, journal.uuid, entry

    def peek(self) -> list[bytes]:
        """The packed facts that the next step would meter, entry by entry."""
        self._open_new_journals()
        return self._take().facts

    def _meter(self, taken: _Taken, counted_until_ms: int) -> None:
        facts, aside = self._sealing.split(facts_from_bytes(taken.facts))
        folded = fold(facts, self.indexes, self._window_days)
        change = Change(
            keys=folded.keys,
            counts=folded.counts,
            rejections=taken.rejections,
            positions=taken.positions,
            counted_until_ms=counted_until_ms,
            last_metered_day=max(folded.live_days, default=None),
            trusted_day=self._sealing.trusted_after(folded.live_days),
            imported=self._sealing.imported(facts),
            aside=aside,
        )
        with metrics.COMMIT_SECONDS.labels("store").time():
            self._store.commit(change)
        folded.learn(self.indexes)
        self._positions.update(taken.positions)
        self._report(folded)

    def _report(self, folded: Folded) -> None:
        metrics.MESSAGES.labels("accepted", "").inc(folded.facts - folded.duplicates)
        metrics.MESSAGES.labels("duplicate", "").inc(folded.duplicates)

    def _mark(self, now_ms: int, counted_until_ms: int) -> None:
        """Say that there was nothing to meter, about once a second, and report sizes."""
        if 0 <= now_ms - self._marked_at_ms < _MARK_EVERY_MS:
            return
        self._marked_at_ms = now_ms
        self._store.mark_counted_until(counted_until_ms)

    def report_sizes(self) -> None:
        """Set the gauges of index size."""
        for family, (keys, nbytes) in self.indexes.sizes().items():
            metrics.INDEX_KEYS.labels(family).set(keys)
            metrics.INDEX_BYTES.labels(family).set(nbytes)

    def lag_facts(self) -> int:
        """How many facts the journals hold that are not metered yet."""
        return sum(
            journal.lag_facts(self._positions.get(journal_uuid, 0))
            for journal_uuid, journal in self._open.items()
        )

    def _prune(self) -> None:
        """Delete what is metered and durable; a journal that is busy gets its turn later."""
        for journal_uuid, journal in self._open.items():
            position = self._positions.get(journal_uuid, 0)
            if self._pruned.get(journal_uuid) == position:
                continue
            try:
                if journal.prune(position):
                    self._pruned[journal_uuid] = position
                self._unpruned.discard(journal_uuid)
            except apsw.Error as error:
                if journal_uuid not in self._unpruned:
                    _log.warning("%s cannot be pruned for now: %s", journal.path, error)
                self._unpruned.add(journal_uuid)

    def close(self) -> None:
        """Close the journals; the store belongs to the caller. Idempotent."""
        self.indexes.close()
        while self._open:
            self._open.popitem()[1].close()
