"""A journal as it is at one moment, for whoever checks or copies it.

Takes a journal's file, reads every entry, gives what is still to be metered and what is wrong.
Changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from headcount.journal.file import JOURNAL_VERSION
from headcount.metering.facts import FACT_BYTES, FACT_FORMAT
from headcount.sqlite import rows
from headcount.sqlite_reading import open_at_one_moment

__all__ = ["JournalMoment", "Waiting", "journal_moment", "last_id_of"]

_UUID = "SELECT uuid FROM journal"
_LAST_ID = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'entry'"
_ENTRIES = "SELECT id, format, facts_count, rejections, facts FROM entry ORDER BY id"
_AFTER = """
SELECT count(*), coalesce(sum(facts_count), 0), min(appended_at_ms) FROM entry WHERE id > ?1
"""


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


class JournalMoment:
    """One journal.

    Args:
        path: its file.
        connection: in a read transaction, which makes the moment.

    Attributes:
        path: as given.
        connection: for copying the database as it was then.
        uuid: the journal's name in the store's positions.
        last_id: id of the newest entry that was ever appended; 0 for none.
    """

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self.path = path
        self.connection = connection
        self.uuid: str = rows(connection, _UUID)[0][0]
        self.last_id: int = rows(connection, _LAST_ID)[0][0]

    def waiting(self, position: int) -> Waiting:
        """What follows the last metered entry, whose id is the position."""
        return Waiting(*rows(self.connection, _AFTER, (position,))[0])

    def faults(self) -> Iterator[str]:
        """What is wrong with its entries, each as a clause; reads them all."""
        for entry_id, form, facts_count, tallies, facts in self.connection.execute(_ENTRIES):
            if form != FACT_FORMAT:
                yield (
                    f"entry {entry_id} has facts of format {form}, and this version of Headcount"
                    f" reads format {FACT_FORMAT}"
                )
            elif not isinstance(facts, bytes) or len(facts) != FACT_BYTES * int(facts_count or 0):
                yield f"entry {entry_id} does not hold the {facts_count} facts that it says"
            elif tallies is not None and not _is_tallies(str(tallies)):
                yield f"entry {entry_id} has rejections that cannot be read"


def _is_tallies(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, list) and all(isinstance(t, list) and len(t) == 5 for t in found)


@contextmanager
def journal_moment(path: Path) -> Iterator[JournalMoment]:
    """A journal as it is when this is entered.

    Raises:
        DataFolderError: it cannot be read, or has another version.
        apsw.Error: it is damaged.
    """
    with open_at_one_moment(path, version=JOURNAL_VERSION) as connection:
        yield JournalMoment(path, connection)


def last_id_of(path: Path) -> int:
    """Id of the newest entry ever appended to a journal, as it is now; 0 for none.

    Raises:
        DataFolderError: it cannot be read, or has another version.
        apsw.Error: it is damaged.
    """
    with journal_moment(path) as journal:
        return journal.last_id
