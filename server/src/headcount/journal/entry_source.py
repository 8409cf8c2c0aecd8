"""What entries are read from: takes nothing, decides nothing, is a journal or what stands for one.

Whoever meters, or hands entries on to a log, reads them from an `EntrySource`: a numbered queue
that keeps what it was given until it is told that everybody has it. A journal is one; so is the
outbox of a partition's store, whose entries go on to the next stage.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from headcount.errors import DamagedDataError
from headcount.journal.entries import JournalEntry

__all__ = ["EntrySource", "MeterSource", "MeterSources", "refuse_older_store"]


class EntrySource(Protocol):
    """A queue of entries whose ids ascend, leave no gap and are never used twice."""

    @property
    def uuid(self) -> str:
        """By which readers keep their positions in it; another queue has another."""
        ...

    def entries(self, after_id: int) -> Generator[JournalEntry, None, None]:
        """The entries that follow an id, in order; damage in its place.

        Close the generator when enough is read.

        Raises:
            DataFolderError: they cannot be read.
        """
        ...

    def last_id(self) -> int:
        """Id of the newest entry ever appended, pruned or not; 0 for none."""
        ...

    def pruned(self) -> tuple[int, int]:
        """Up to which id entries were deleted, and how many facts had been appended by then."""
        ...

    def chain(self) -> dict[int, int]:
        """Partition to the entry that it was known to have when the queue was last pruned."""
        ...

    def prune(self, upto_id: int, chain: Mapping[int, int] | None = None) -> bool:
        """Delete a bounded number of the entries up to an id.

        Args:
            upto_id: everybody has all entries up to here.
            chain: partition to the entry up to which it has them; kept with the deletion.

        Returns:
            Whether nothing of it is left to do.
        """
        ...


class MeterSource(EntrySource, Protocol):
    """A queue that a meter reads beside others, in order of arrival."""

    @property
    def path(self) -> Path:
        """What to call it."""
        ...

    def moments(self, after_id: int) -> Iterator[tuple[int, int]]:
        """Id and moment (milliseconds since 1970) of the entries that follow an id, unchecked."""
        ...

    def lag_facts(self, after_id: int) -> int:
        """How many facts follow an id."""
        ...

    def close(self) -> None:
        """Release it; idempotent."""
        ...


class MeterSources(Protocol):
    """Where a meter finds its queues; the folder of journals is one."""

    def paths(self) -> list[Path]:
        """Every queue that there is, in a stable order."""
        ...

    def open(self, path: Path) -> MeterSource:
        """A queue for reading and pruning.

        Raises:
            DataFolderError: it cannot be used as it is.
        """
        ...


def refuse_older_store(journal: MeterSource, position: int) -> None:
    """Refuse a store that has not counted what a journal has deleted as counted.

    Args:
        journal: the journal.
        position: the id up to which the store has counted it.

    Raises:
        DamagedDataError: the entries in between are in neither.
    """
    pruned_id, _ = journal.pruned()
    if pruned_id > position:
        raise DamagedDataError(
            f"The store is older than {journal.path}: it has counted the entries up to"
            f" {position:,}, and those up to {pruned_id:,} were counted and deleted.",
            "Put the store back that belongs here, or restore the data folder from a backup; see"
            " `headcount doctor`.",
        )
