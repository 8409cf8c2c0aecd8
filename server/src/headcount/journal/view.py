"""A journal as it is at one moment: takes its file, gives what is still to be metered and what is
wrong with its entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import apsw

from headcount.confirmed import Confirmed
from headcount.journal.entries import Damage, journal_state, last_of, read_entries
from headcount.journal.schema import DAMAGED, IMPORT_CHECKPOINT, JOURNAL_VERSION
from headcount.sqlite.opening import rows
from headcount.sqlite.rows import read_checked
from headcount.sqlite.view import View, viewed

__all__ = ["JournalView", "Waiting", "journal_view", "last_id_of"]

_AFTER = """
SELECT count(*), coalesce(sum(facts_count), 0), min(appended_at_ms) FROM entry WHERE id > ?1
"""


_NEWEST = "SELECT max(appended_at_ms) FROM entry"


class Waiting(NamedTuple):
    """What a journal holds that is not metered.

    Attributes:
        entries: how many entries.
        facts: how many facts are in them.
        oldest_at_ms: when the oldest was appended, milliseconds since 1970; None without any.
    """

    entries: int
    facts: int
    oldest_at_ms: int | None


class JournalView(View):
    """One journal.

    Attributes:
        uuid: the journal's name in the store's positions.
        installation: whose it is; empty where it was made outside of a data folder.
        pruned_id: up to which id entries were counted and deleted.
        pruned_facts: how many facts had been appended by then.
        last_id: id of the newest entry that was ever appended; 0 for none.
        total_facts: how many facts ever were.

    Raises:
        DamagedDataError: it does not say which journal it is, or where it ends.
    """

    def __init__(
        self, path: Path, connection: apsw.Connection, confirmed: Confirmed | None
    ) -> None:
        super().__init__(path, connection, confirmed)
        state = journal_state(path, connection)
        self.uuid, self.installation, self.pruned_id, self.pruned_facts = state
        self.last_id, self.total_facts = last_of(path, connection, state)

    def waiting(self, position: int) -> Waiting:
        """What follows the last metered entry, whose id is the position."""
        return Waiting(*rows(self.connection, _AFTER, (position,))[0])

    def newest_at_ms(self) -> int | None:
        """When the newest entry that is still there was appended, by the clock of then."""
        moment: int | None = rows(self.connection, _NEWEST)[0][0]
        return moment

    def damage(self) -> Iterator[Damage]:
        """The entries that cannot be read; reads them all."""
        for entry in read_entries(self.path, self.connection, self.pruned_id, last_id=self.last_id):
            if entry.damage is not None:
                yield entry.damage

    def set_aside(self) -> list[int]:
        """Ids of damaged entries that were passed over and are kept."""
        kept = read_checked(self.path, self.connection, DAMAGED, "ORDER BY id")
        return [entry_id for entry_id, _ in kept]

    def faults(self) -> Iterator[str]:
        """What is wrong with its entries, each as a clause; reads them all.

        Raises:
            DataFolderError: an entry was written by a newer version.
        """
        for damage in self.damage():
            yield f"{damage.text} cannot be read"
        for _ in read_checked(self.path, self.connection, IMPORT_CHECKPOINT):
            pass


def journal_view(path: Path) -> AbstractContextManager[JournalView]:
    """A journal as it is when this is entered.

    Raises:
        DataFolderError: it cannot be read, or has another version.
        apsw.Error: it is damaged.
    """
    return viewed(path, JOURNAL_VERSION, JournalView)


def last_id_of(path: Path) -> int:
    """Id of the newest entry ever appended to a journal, as it is now; 0 for none.

    Raises:
        DataFolderError: it cannot be read, or has another version.
        apsw.Error: it is damaged.
    """
    with journal_view(path) as journal:
        return journal.last_id
