"""A partition's outbox as a queue that a relay reads like a journal."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from headcount.journal import JournalEntry
from headcount.store.stored_outbox import StoredOutbox

__all__ = ["Outbox"]


class Outbox:
    """An `EntrySource`; the facts of its entries are tracked records.

    Args:
        stored: as the store keeps it.
    """

    def __init__(self, stored: StoredOutbox) -> None:
        self._stored = stored

    @property
    def uuid(self) -> str:
        """By which the next stage keeps its positions in it."""
        return self._stored.uuid

    def entries(self, after_id: int) -> Generator[JournalEntry, None, None]:
        """The entries that follow an id.

        Raises:
            DamagedDataError: one is not what was written, or is missing.
        """
        for row in self._stored.entries(after_id):
            yield JournalEntry(
                *(row.id, row.appended_at_ms, row.records, []),
                sealed=row.sealed,
                forgotten=row.forgotten,
                forget=row.forget,
            )

    def last_id(self) -> int:
        """Id of the newest entry ever written; 0 for none."""
        return self._stored.last_id()

    def pruned(self) -> tuple[int, int]:
        """Up to which id entries were deleted; of how many records is not known."""
        return self._stored.pruned_id(), 0

    def chain(self) -> dict[int, int]:
        """Partition to the entry that it was known to have when entries were last deleted."""
        return self._stored.chain()

    def prune(self, upto_id: int, chain: Mapping[int, int] | None = None) -> bool:
        """Delete a bounded number of the entries up to an id; whether nothing is left to do."""
        return self._stored.prune(upto_id, chain)
