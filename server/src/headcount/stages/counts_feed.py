"""The counts of one partition, published as they change: takes what is committed, gives packs.

Which scopes changed is remembered for as long as it is little; a mirror that lacks more, or has
another copy's counts, gets all of them. Nothing is published by a node without an epoch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import takewhile
from typing import NamedTuple

from headcount.counting.calendar import Period
from headcount.stages.counts_packs import (
    CountsStanding,
    CountsWanted,
    FreshCounts,
    encode_counts,
)
from headcount.stages.partition_meter import PartitionMeter
from headcount.stages.relay import Handing
from headcount.store.partition_protocol import Place
from headcount.store.protocol import Change

__all__ = ["CountsFeed", "counts_subject"]

_REMEMBERED_MAX = 100_000
_BUCKET_MS = 600_000


def counts_subject(moment_ms: int) -> str:
    """Where counts are published at a moment: who begins need not read what was long ago."""
    return f"counts.{moment_ms // _BUCKET_MS}"


class _Changed(NamedTuple):
    generation: int
    counts: frozenset[Place]
    tallies: frozenset[Place]


class CountsFeed:
    """Publishes the counts of one partition.

    Args:
        meter: of the partition.
        clock_ms: the time, in milliseconds since 1970.
    """

    def __init__(self, meter: PartitionMeter, clock_ms: Callable[[], int]) -> None:
        self._meter = meter
        self._store = meter.store
        self._clock_ms = clock_ms
        self._known_from = self._published = self._store.generation
        self._changed: deque[_Changed] = deque()
        self._held = 0
        self._wanted_since: int | None = None
        meter.on_committed = self._note

    def _note(self, change: Change) -> None:
        if change.erased:
            # What is gone is in no list of what changed: all that is left is told, also to whoever
            # comes later with a state of before.
            self._known_from, self._wanted_since = self._store.generation, 0
        counts = frozenset((w, period, s) for period, w, s in change.counts)
        of_sources = (*change.rejections, *change.libraries, *change.conflicting)
        tallied = [each[:3] for each in of_sources]
        tallies = frozenset((w, Period.of_day(day), source) for w, source, day in tallied)
        days = (change.last_metered_day, change.confirmed_day)
        moved = change.sealed or change.imported or days != (None, None)
        if not (counts or tallies or moved):
            return
        self._changed.append(_Changed(self._store.generation, counts, tallies))
        self._held += len(counts) + len(tallies) + 1
        while self._held > _REMEMBERED_MAX:
            oldest = self._changed.popleft()
            self._held -= len(oldest.counts) + len(oldest.tallies) + 1
            self._known_from = max(self._known_from, oldest.generation)

    def hear(self, tells: Iterable[FreshCounts | CountsWanted]) -> None:
        """Learn what mirrors lack."""
        for tell in tells:
            if isinstance(tell, FreshCounts) or tell.partition != self._meter.name:
                continue
            is_known = tell.lineage == self._store.outbox.uuid and (
                self._known_from <= tell.generation <= self._store.generation
            )
            since = tell.generation if is_known else 0
            wanted = self._wanted_since
            self._wanted_since = since if wanted is None else min(wanted, since)

    def due(self, epoch: int) -> Handing | None:
        """What changed and is to be published; None for nothing. Not published, it is due again.

        Args:
            epoch: the how-manieth owner of the partition says so.
        """
        since = self._published if self._wanted_since is None else self._wanted_since
        generation = self._store.generation
        if self._wanted_since is None and not self._has_changed_since(since):
            return None
        standing = self._standing(epoch, generation, self._meter.until_ms())
        return Handing(self._entries(since, standing), partial(self._is_published, generation))

    def _has_changed_since(self, generation: int) -> bool:
        return bool(self._changed) and self._changed[-1].generation > generation

    def _is_published(self, generation: int) -> None:
        self._wanted_since = None
        self._published = generation

    def fresh(self, epoch: int) -> FreshCounts | None:
        """What to tell mirrors of what is published; None while nobody knows, or not all is."""
        until_ms = self._meter.until_ms()
        if until_ms is None or self._has_changed_since(self._published):
            return None
        lineage = self._store.outbox.uuid
        return FreshCounts(self._meter.name, epoch, lineage, self._published, until_ms)

    def _entries(self, since: int, standing: CountsStanding) -> list[tuple[str, bytes]]:
        if since < self._known_from:
            since = 0
        counts: Iterable[Place]
        tallies: Iterable[Place]
        if since == 0:
            counts, tallies = self._store.places()
        else:
            later = list(takewhile(lambda each: each.generation > since, reversed(self._changed)))
            counts = sorted(frozenset().union(*(each.counts for each in later)))
            tallies = sorted(frozenset().union(*(each.tallies for each in later)))
        rows = list(self._store.counts_at(counts))
        messages = encode_counts(standing, since, rows, self._store.tallies_at(list(tallies)))
        subject = counts_subject(self._clock_ms())
        return [(subject, data) for data in messages]

    def _standing(self, epoch: int, generation: int, until_ms: int | None) -> CountsStanding:
        state = self._store.state()
        return CountsStanding(
            partition=self._meter.name,
            epoch=epoch,
            lineage=self._store.outbox.uuid,
            generation=generation,
            until_ms=until_ms,
            latest_ms=self._meter.latest_ms,
            positions=dict(self._meter.positions),
            last_metered_day=state.last_metered_day,
            trusted_day=state.trusted_day,
            sealed=sorted((w, period.number) for w, period in self._store.sealed()),
            imported=sorted(
                (w, period.number, day) for (w, period), day in self._store.import_days().items()
            ),
        )
