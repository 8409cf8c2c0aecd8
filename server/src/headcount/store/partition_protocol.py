"""What a cluster asks of a store beside what any machine does: of one partition's, and of the one
into which a node mirrors what all partitions count."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from headcount.counting.calendar import Period
from headcount.counting.facts import Rejection
from headcount.counting.usage import Counts
from headcount.store.protocol import MeterStore
from headcount.store.stored_outbox import StoredOutbox

__all__ = ["MIRROR_COMPLETE", "MirrorStore", "PartitionStore", "Place"]

MIRROR_COMPLETE = "mirror_complete"
"""A number that a node's store keeps from when on all partitions are in its sums."""

Place = tuple[int, Period, int]
"""Workspace, month and source of a row of counts; source 0 is the workspace."""


class PartitionStore(MeterStore, Protocol):
    """The store of one partition: an outbox beside the counts, and rows that others mirror."""

    @property
    def outbox(self) -> StoredOutbox:
        """What goes on to the next stage, committed with the counts."""
        ...

    @property
    def generation(self) -> int:
        """How many transactions it has seen."""
        ...

    def watermarks(self) -> dict[str, int]:
        """All numbers that are kept by name."""
        ...

    def drop_watermarks(self, prefix: str) -> None:
        """Let numbers go whose names begin so, and overwrite them.

        Raises:
            StorageUnavailableError: the disk refused.
        """
        ...

    def sealed(self) -> set[tuple[int, Period]]:
        """The (workspace, month) pairs that are closed, also those of which it holds nothing."""
        ...

    def import_days(self) -> dict[tuple[int, Period], int]:
        """(workspace, month) to the latest day on which something was imported into it."""
        ...

    def beside_counts(self, workspaces: Collection[int]) -> set[int]:
        """Those of which there is anything beside counts: tallies, what is set aside."""
        ...

    def places(self) -> tuple[list[Place], list[Place]]:
        """Of which scopes it holds counts, and of which tallies."""
        ...

    def counts_at(self, places: Iterable[Place]) -> Iterator[tuple[Place, Counts]]:
        """The counts of some scopes, of those that have any."""
        ...

    def tallies_at(self, places: Collection[Place]) -> list[Rejection]:
        """The tallies of some sources and months, conflicting duplicates among them."""
        ...


class MirrorStore(MeterStore, Protocol):
    """The store of a node in a cluster, into which the counts of all partitions go."""

    def states(self) -> dict[str, bytes]:
        """Partition to how far it is mirrored, as the mirror wrote it down."""
        ...

    def mirrored_places(self, partition: str) -> list[Place]:
        """Of which scopes a partition has counts here."""
        ...

    def mirrored_counts(self, partition: str, place: Place) -> Counts | None:
        """The counts of a scope in a partition; None for none."""
        ...

    def mirrored_conflicts(self, partition: str, place: Place) -> Counts:
        """Conflicting duplicates of a source in a partition, by day in the first column."""
        ...

    def beside_counts(self, workspaces: Collection[int]) -> set[int]:
        """Those of which there is anything beside counts: tallies, what is set aside."""
        ...

    def tally(self, rejection: Rejection) -> int:
        """How many messages a tally has here, by its place and word."""
        ...
