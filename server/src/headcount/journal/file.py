"""One journal file: an SQLite table used as a durable queue.

Takes entries (packed facts with rejection tallies) from the one process that holds the file's
lock; gives them, in order, to whoever reads. An entry that was appended is durable; an entry that
was pruned is gone and its id is never used again.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple, cast

import apsw

from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.metering.facts import FACT_BYTES, FACT_FORMAT, Rejection
from headcount.sqlite import connect, rows, settle, transaction

__all__ = ["JOURNAL_VERSION", "JournalEntry", "JournalFile"]

JOURNAL_VERSION = 1
"""Version of the schema, kept in the file."""

# AUTOINCREMENT: a plain rowid would start again at 1 after pruning, below the metered position.
_SCHEMA = """
CREATE TABLE journal (uuid TEXT NOT NULL);
INSERT INTO journal (uuid) VALUES ({uuid});
CREATE TABLE entry (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    format INTEGER NOT NULL,
    appended_at_ms INTEGER NOT NULL,
    facts_count INTEGER NOT NULL,
    rejections TEXT,
    facts BLOB NOT NULL
);
CREATE TABLE mark (value BLOB PRIMARY KEY) WITHOUT ROWID;
"""
# A commit under load is tens of kilobytes in one entry: in larger pages it costs a quarter less of
# processor time, and a commit of one message no more.
_PAGE_BYTES = 16_384
_APPEND = """
INSERT INTO entry (format, appended_at_ms, facts_count, rejections, facts)
VALUES (?1, ?2, ?3, ?4, ?5)
"""
_READ = """
SELECT id, format, appended_at_ms, rejections, facts FROM entry WHERE id > ?1 ORDER BY id
"""
_LAG = "SELECT coalesce(sum(facts_count), 0) FROM entry WHERE id > ?1"
_LAST_ID = "SELECT seq FROM sqlite_sequence WHERE name = 'entry'"
_SKIP = "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'entry'"
_SKIP_FROM_NONE = "INSERT INTO sqlite_sequence (name, seq) VALUES ('entry', ?1)"
_PRUNE = "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE id <= ?1 ORDER BY id LIMIT ?2)"
_ENTRIES_A_PRUNE = 1024
_MARK = "INSERT INTO mark (value) VALUES (?1) ON CONFLICT DO NOTHING"
_MARKS = "SELECT value FROM mark"
_UNMARK = "DELETE FROM mark WHERE value = ?1"


class JournalEntry(NamedTuple):
    """What one append left.

    Attributes:
        id: its place in the queue; ids ascend and are never used twice.
        appended_at_ms: when it was appended, milliseconds since 1970.
        facts: packed facts, 56 bytes each.
        rejections: tallies that came with them.
    """

    id: int
    appended_at_ms: int
    facts: bytes
    rejections: list[Rejection]


class JournalFile:
    """A journal, open for reading and, by the holder of its lock, for appending.

    Args:
        path: the database file; made when missing.
        vfs: name of the APSW VFS to go through; the system's when None.

    Raises:
        DataFolderError: the file cannot be used as it is.
    """

    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        self.path = path
        schema = _SCHEMA.format(uuid=f"'{uuid.uuid4()}'")
        self._db = connect(
            path, schema=schema, version=JOURNAL_VERSION, page_bytes=_PAGE_BYTES, vfs=vfs
        )
        settle(self._db)
        self.uuid: str = rows(self._db, "SELECT uuid FROM journal")[0][0]

    def append(
        self,
        facts: bytes,
        rejections: Sequence[Rejection],
        appended_at_ms: int,
        mark: bytes | None = None,
    ) -> int:
        """Add one entry and make it durable.

        Args:
            facts: any number of packed facts.
            rejections: tallies to keep with them.
            appended_at_ms: the clock's moment, by which journals are read in order of arrival.
            mark: what the writer will want to know it by after a crash. It outlives the entry,
                until `unmark`, and is there exactly if the entry has been.

        Returns:
            The entry's id.

        Raises:
            StorageUnavailableError: it did not become durable; nothing of it was kept.
        """
        tallies = json.dumps(rejections) if rejections else None
        entry = (FACT_FORMAT, appended_at_ms, len(facts) // FACT_BYTES, tallies, facts)
        try:
            # One statement is a transaction by itself, with fewer turns between this thread and the
            # event loop's, which want the interpreter at the same time.
            with nullcontext() if mark is None else transaction(self._db):
                self._db.execute(_APPEND, entry)
                entry_id = self._db.last_insert_rowid()
                if mark is not None:
                    self._db.execute(_MARK, (mark,))
                return entry_id
        except apsw.Error as error:
            raise StorageUnavailableError(f"{self.path} did not take an entry: {error}") from error

    def entries(self, after_id: int) -> Generator[JournalEntry, None, None]:
        """The entries that follow an id, in order, from one moment.

        Close the iterator when enough is read: an open one keeps the file's log from shrinking.

        Raises:
            DataFolderError: an entry was written by a newer version.
        """
        cursor = self._db.execute(_READ, (after_id,))
        try:
            for entry_id, form, appended_at_ms, tallies, facts in cast(Iterable[Any], cursor):
                if form != FACT_FORMAT:
                    raise DataFolderError(
                        f"{self.path} holds facts of format {form}, and this version of Headcount"
                        f" reads format {FACT_FORMAT}.",
                        "Run the version that wrote them, or a newer one.",
                    )
                rejections = [Rejection(*tally) for tally in json.loads(tallies or "[]")]
                yield JournalEntry(entry_id, appended_at_ms, facts, rejections)
        finally:
            cursor.close()

    def lag_facts(self, after_id: int) -> int:
        """How many facts follow an id."""
        count: int = rows(self._db, _LAG, (after_id,))[0][0]
        return count

    def last_id(self) -> int:
        """Id of the newest entry ever appended, pruned or not; 0 for none."""
        found = rows(self._db, _LAST_ID)
        return found[0][0] if found else 0

    def skip_to(self, entry_id: int) -> None:
        """Give no id up to this one to an entry that is appended from now on.

        For a journal out of a backup whose store has metered further: what is appended at ids that
        the store has behind it would never be counted.
        """
        with transaction(self._db):
            self._db.execute(_SKIP, (entry_id,))
            if not self._db.changes():
                self._db.execute(_SKIP_FROM_NONE, (entry_id,))

    def prune(self, upto_id: int) -> bool:
        """Delete a bounded number of the entries up to an id, oldest first.

        Deleting takes the write lock from intake, so a long backlog goes in several calls.

        Returns:
            Whether none of them is left.
        """
        with transaction(self._db):
            self._db.execute(_PRUNE, (upto_id, _ENTRIES_A_PRUNE))
            return self._db.changes() < _ENTRIES_A_PRUNE

    def marks(self) -> set[bytes]:
        """The marks that entries were appended with and that nobody has taken away."""
        return {mark for (mark,) in rows(self._db, _MARKS)}

    def unmark(self, marks: Iterable[bytes]) -> None:
        """Take marks away; those that are not there do not matter.

        Raises:
            StorageUnavailableError: the disk refused, and all of them are still there.
        """
        try:
            with transaction(self._db):
                self._db.executemany(_UNMARK, ((mark,) for mark in marks))
        except apsw.Error as error:
            raise StorageUnavailableError(f"{self.path} could not be written: {error}") from error

    def close(self) -> None:
        """Release the file; idempotent."""
        self._db.close()
