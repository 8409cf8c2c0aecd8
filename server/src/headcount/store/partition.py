"""What a partition's store has beside those of any: an outbox, and rows that others mirror.

Takes an embedded store, gives a partition's store. And for a node of a cluster the store into which
it mirrors what all partitions count .
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal, overload

import numpy as np

from headcount.counting.calendar import Period
from headcount.counting.conflicts import CONFLICTING
from headcount.counting.facts import Rejection
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX, Counts, UsageReading, WorkspaceReading
from headcount.errors import StorageUnavailableError
from headcount.sqlite.opening import damage_named, rows
from headcount.store.counts import counts_of
from headcount.store.files import overwriting, refusals
from headcount.store.partition_change import CONFLICTS
from headcount.store.partition_protocol import MIRROR_COMPLETE, Place
from headcount.store.protocol import Attribution
from headcount.store.sqlite import SqliteStore
from headcount.store.stored_outbox import StoredOutbox
from headcount.store.tables import (
    CONFLICT,
    MIRRORED,
    MIRRORED_PART,
    MONTH,
    REJECTION,
    USAGE,
    WATERMARK,
)

__all__ = [
    "SqliteMirrorStore",
    "SqlitePartitionStore",
    "WholeSums",
]

_ALL_PLACES = "SELECT workspace, period, source FROM usage ORDER BY workspace, period, source"
_ALL_TALLIES = (
    "SELECT workspace, period, source FROM rejection"
    " UNION SELECT workspace, period, source FROM conflict"
)
_BESIDE_COUNTS = (
    "SELECT EXISTS (SELECT 1 FROM rejection WHERE workspace = ?1)"
    " OR EXISTS (SELECT 1 FROM conflict WHERE workspace = ?1)"
    " OR EXISTS (SELECT 1 FROM aside WHERE workspace = ?1)"
)
_MIRRORED_PLACES = "SELECT workspace, period, source FROM mirrored WHERE partition = ?1"


class _OfACluster(SqliteStore):
    """What both kinds of stores of a node can say."""

    def beside_counts(self, workspaces: Collection[int]) -> set[int]:
        """Those of which there is anything beside counts: tallies, what is set aside."""
        with self._lock, damage_named(self._path):
            return {each for each in workspaces if rows(self._db, _BESIDE_COUNTS, (each,))[0][0]}


class SqlitePartitionStore(_OfACluster):
    """The store of one partition; the arguments are those of `SqliteStore`."""

    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        super().__init__(path, vfs=vfs)
        self.outbox = StoredOutbox(path, self._db, self._ledger, self._lock)

    @property
    def generation(self) -> int:
        """How many transactions it has seen."""
        return self._ledger.part.generation

    def watermarks(self) -> dict[str, int]:
        """All numbers that are kept by name."""
        with self._lock:
            return dict(self._ledger.read(WATERMARK))

    def drop_watermarks(self, prefix: str) -> None:
        """Let numbers go whose names begin so, and overwrite them.

        Raises:
            StorageUnavailableError: the disk refused.
        """
        clause = "WHERE substr(name, 1, length(?1)) = ?1"
        with (
            refusals("did not let numbers go"),
            self._lock,
            overwriting(self._db),
            self._ledger.transaction(),
        ):
            self._ledger.drop(WATERMARK, clause, (prefix,))

    def sealed(self) -> set[tuple[int, Period]]:
        """The (workspace, month) pairs that are closed, also those of which it holds nothing."""
        with self._lock:
            found = self._ledger.read(MONTH, "WHERE sealed")
        return {(row[0], Period(row[1])) for row in found}

    def import_days(self) -> dict[tuple[int, Period], int]:
        """(workspace, month) to the latest day on which something was imported into it."""
        with self._lock:
            found = self._ledger.read(MONTH, "WHERE last_import_day IS NOT NULL")
        return {(row[0], Period(row[1])): row[2] for row in found}

    def places(self) -> tuple[list[Place], list[Place]]:
        """Of which scopes it holds counts, and of which tallies."""
        with self._lock, damage_named(self._path):
            found = rows(self._db, _ALL_PLACES), rows(self._db, _ALL_TALLIES)
        counts, tallies = ([(w, Period(p), s) for w, p, s in each] for each in found)
        return counts, tallies

    def counts_at(self, places: Iterable[Place]) -> Iterator[tuple[Place, Counts]]:
        """The counts of some scopes, of those that have any."""
        for workspace, period, source in places:
            with self._lock:
                row = self._ledger.get(USAGE, workspace, period.number, source)
            if row is not None:
                yield (workspace, period, source), counts_of(row[4])

    def tallies_at(self, places: Collection[Place]) -> list[Rejection]:
        """The tallies of some sources and months, conflicting duplicates among them."""
        found = []
        for workspace, period, source in places:
            clause = "WHERE workspace = ?1 AND period = ?2 AND source = ?3"
            with self._lock:
                held = self._ledger.read(REJECTION, clause, (workspace, period.number, source))
                conflicts = self._ledger.read(CONFLICT, clause, (workspace, period.number, source))
            found += [Rejection(row[0], *row[2:]) for row in held]
            found += [Rejection(w, s, day, CONFLICTING, n) for w, _, s, day, n in conflicts]
        return found


class SqliteMirrorStore(_OfACluster):
    """The store of a node in a cluster, into which the counts of all partitions go."""

    def states(self) -> dict[str, bytes]:
        """Partition to how far it is mirrored, as the mirror wrote it down."""
        with self._lock:
            return dict(self._ledger.read(MIRRORED_PART))

    def mirrored_places(self, partition: str) -> list[Place]:
        """Of which scopes a partition has counts here."""
        with self._lock, damage_named(self._path):
            found = rows(self._db, _MIRRORED_PLACES, (partition,))
        return [(workspace, Period(number), source) for workspace, number, source in found]

    def mirrored_counts(self, partition: str, place: Place) -> Counts | None:
        """The counts of a scope in a partition; None for none."""
        workspace, period, source = place
        with self._lock:
            row = self._ledger.get(MIRRORED, partition, workspace, period.number, source)
        return None if row is None else counts_of(row[4])

    def mirrored_conflicts(self, partition: str, place: Place) -> Counts:
        """Conflicting duplicates of a source in a partition, by day in the first column."""
        found = self.mirrored_counts(partition + CONFLICTS, place)
        return np.zeros((DAYS_MAX, len(KINDS)), np.int64) if found is None else found

    def tally(self, rejection: Rejection) -> int:
        """How many messages a tally has here, by its place and word."""
        workspace, source, day, reason, _ = rejection
        place = (workspace, Period.of_day(day).number, source, day, reason)
        with self._lock:
            row = self._ledger.get(REJECTION, *place)
        return 0 if row is None else int(row[-1])


class WholeSums(SqliteStore):
    """A node's store as readers see it: nothing, until all partitions are in its sums.

    A sum that lacks a partition would look right, and be too small.
    """

    _is_whole = False

    @overload
    def read_usage(
        self, workspace: int, period: Period, *, sources: Literal[False]
    ) -> WorkspaceReading: ...
    @overload
    def read_usage(
        self, workspace: int, period: Period, *, libraries: bool = False
    ) -> UsageReading: ...
    def read_usage(
        self, workspace: int, period: Period, *, sources: bool = True, libraries: bool = False
    ) -> WorkspaceReading:
        """The usage of a workspace in a period; as `SqliteStore.read_usage`.

        Raises:
            StorageUnavailableError: not all partitions are there yet.
        """
        self._require_all()
        if not sources:
            return super().read_usage(workspace, period, sources=False)
        return super().read_usage(workspace, period, libraries=libraries)

    @property
    def attribution(self) -> Attribution | None:
        """None: partitions do not follow which message brought what."""
        return None

    def _require_all(self) -> None:
        if not self._is_whole:
            with self._lock:
                self._is_whole = self._ledger.get(WATERMARK, MIRROR_COMPLETE) is not None
        if not self._is_whole:
            raise StorageUnavailableError(
                "what all partitions of the cluster have counted is not on this node yet"
            )
