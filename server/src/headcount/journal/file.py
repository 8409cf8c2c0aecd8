"""One journal file: an SQLite table used as a durable queue.

Takes entries (packed facts with rejection tallies) from the one process that holds the file's
lock; gives them, in order, to whoever reads. An entry that was appended is durable, and confirmed
outside of the file; one that was pruned is gone and its id is never used again. An entry that is
not what was appended is given as damage, whole, and those behind it come all the same.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec

from headcount.confirmed import Witness
from headcount.counting.facts import (
    FACT_FORMAT,
    WIDE_FACT_FORMAT,
    Rejection,
    WideFacts,
    fact_bytes,
)
from headcount.errors import StorageUnavailableError
from headcount.identity import fresh_uuid, installation_for
from headcount.journal.entries import (
    JournalEntry,
    JournalState,
    journal_state,
    last_of,
    read_entries,
)
from headcount.journal.schema import (
    CHAIN,
    CHAIN_SCHEMA,
    DAMAGED,
    IMPORT_CHECKPOINT,
    JOURNAL,
    JOURNAL_VERSION,
    PAGE_BYTES,
    SCHEMA,
    entry_checksum,
)
from headcount.sqlite.opening import connect, damage_named, one_moment, rows, transaction
from headcount.sqlite.parts import PartState, open_part
from headcount.sqlite.rows import read_checked

__all__ = ["JOURNAL_VERSION", "JournalFile"]

_APPEND = """
INSERT INTO entry
    (id, format, appended_at_ms, facts_count, total_facts, rejections, checksum, facts)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
"""
_MOMENTS = "SELECT id, appended_at_ms FROM entry WHERE id > ?1 ORDER BY id"
_LAG = "SELECT coalesce(sum(facts_count), 0) FROM entry WHERE id > ?1"
_PRUNE = "DELETE FROM entry WHERE id <= ?1"
# What deleting holds intake up by: a few milliseconds, and the time of a sync.
_ENTRIES_A_PRUNE, _FACT_BYTES_A_PRUNE = 1024, 8 << 20
_ADD_CHECKPOINT = "INSERT INTO mark (value, checksum) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
_DROP_CHECKPOINT = "DELETE FROM mark WHERE value = ?1"
_HAS_CHAIN = "SELECT 1 FROM sqlite_schema WHERE name = 'chain'"
_FREE_PAGES = "PRAGMA freelist_count"
# A few megabytes stay for what comes next; each step holds intake up for some milliseconds.
_FREE_PAGES_KEPT = 256
_encode = msgspec.json.Encoder().encode
_GIVE_PAGES_BACK = "PRAGMA incremental_vacuum(256)"


class _Written(NamedTuple):
    """How far a journal was appended to: the last id, and facts that were ever appended."""

    last_id: int
    total_facts: int


class _Due(NamedTuple):
    """Entries that are to be deleted.

    Attributes:
        pruned_id, pruned_facts: up to which, and how many facts had been appended by then.
        damaged: what is kept of those that could not be read.
        is_all: whether that is all that was asked for.
    """

    pruned_id: int
    pruned_facts: int
    damaged: list[tuple[int, bytes | None]]
    is_all: bool


class JournalFile:
    """A journal, open for reading and, by the holder of its lock, for appending.

    Args:
        path: the database file; made when missing.
        vfs: name of the APSW VFS to go through; the system's when None.

    Raises:
        DataFolderError: the file cannot be used as it is; DamagedDataError: it is damaged, holds
            fewer entries than were acknowledged, or is of another installation.
    """

    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        self.path = path
        self._witness: Witness | None = None
        self._written: _Written | None = None

        def connected() -> apsw.Connection:
            installation = installation_for(path)

            def begin(connection: apsw.Connection) -> None:
                values = (1, fresh_uuid(), installation, 0, 0)
                connection.execute(JOURNAL.insert, (*values, JOURNAL.checksum(values)))

            return connect(
                path,
                schema=SCHEMA,
                version=JOURNAL_VERSION,
                begin=begin,
                page_bytes=PAGE_BYTES,
                vfs=vfs,
            )

        def state_of(connection: apsw.Connection) -> PartState:
            state, end = _end_of(path, connection)
            self.uuid, self._known_id = state.uuid, end.last_id
            return PartState(state.uuid, state.installation, *end)

        self._db = open_part(path, connected, state_of, register=True)

    def append(
        self,
        facts: bytes,
        rejections: Sequence[Rejection],
        appended_at_ms: int,
        checkpoint: bytes | None = None,
    ) -> int:
        """Add one entry and make it durable.

        Args:
            facts: any number of packed facts.
            rejections: tallies to keep with them.
            appended_at_ms: the clock's moment, by which journals are read in order of arrival.
            checkpoint: what the writer will want to know it by after a crash. It outlives the
                entry, until `drop_checkpoints`, and is there exactly if the entry has been.

        Returns:
            The entry's id.

        Raises:
            StorageUnavailableError: it did not become durable; nothing of it was kept.
        """
        tallies = _encode(rejections) if rejections else None
        count = len(facts) // fact_bytes(facts)
        form = WIDE_FACT_FORMAT if isinstance(facts, WideFacts) else FACT_FORMAT
        try:
            last_id, total = self._written or self._begin_writing()
            last_id, total = last_id + 1, total + count
            checksum = entry_checksum(
                last_id,
                form,
                appended_at_ms,
                count,
                total,
                tallies,
                facts,
            )
            text = None if tallies is None else tallies.decode()
            entry = (last_id, form, appended_at_ms, count, total, text, checksum, facts)
            if checkpoint is None:
                # One statement is a transaction by itself, with fewer turns between this thread and
                # the event loop's, which want the interpreter at the same time.
                self._db.execute(_APPEND, entry)
            else:
                with transaction(self._db):
                    self._db.execute(_APPEND, entry)
                    self._db.execute(
                        _ADD_CHECKPOINT, (checkpoint, IMPORT_CHECKPOINT.checksum((checkpoint,)))
                    )
        except apsw.Error as error:
            raise StorageUnavailableError(f"{self.path} did not take an entry: {error}") from error
        self._written = _Written(last_id, total)
        if self._witness is not None:
            self._witness.confirm(last_id, total)
        return last_id

    def next_id(self) -> int:
        """The id that the next entry will have, if it is appended.

        Raises:
            StorageUnavailableError: the file does not say.
        """
        try:
            return (self._written or self._begin_writing()).last_id + 1
        except apsw.Error as error:
            raise StorageUnavailableError(f"{self.path} cannot be read: {error}") from error

    def _begin_writing(self) -> _Written:
        _, end = _end_of(self.path, self._db)
        if self._witness is None:
            self._witness = Witness(self.path, self.uuid)
        return end

    def entries(self, after_id: int) -> Generator[JournalEntry, None, None]:
        """The entries that follow an id, in order, from one moment; damage in their place.

        Close the iterator when enough is read: an open one keeps the file's log from shrinking.

        Raises:
            DataFolderError: an entry was written by a newer version, or the file is damaged so that
                nothing can be said of its entries.
        """
        return read_entries(self.path, self._db, after_id, last_id=self._known_id)

    def moments(self, after_id: int) -> Iterator[tuple[int, int]]:
        """Id and moment of the entries that follow an id, unchecked.

        Raises:
            DamagedDataError: the file is damaged.
        """
        with damage_named(self.path):
            for entry_id, appended_at_ms in self._db.execute(_MOMENTS, (after_id,)):
                if isinstance(entry_id, int) and isinstance(appended_at_ms, int):
                    yield entry_id, appended_at_ms

    def lag_facts(self, after_id: int) -> int:
        """How many facts follow an id."""
        with damage_named(self.path):
            count: int = rows(self._db, _LAG, (after_id,))[0][0]
        return count

    def last_id(self) -> int:
        """Id of the newest entry ever appended, pruned or not; 0 for none."""
        return _end_of(self.path, self._db)[1].last_id

    def pruned(self) -> tuple[int, int]:
        """Up to which id entries were deleted, and how many facts had been appended by then."""
        state = journal_state(self.path, self._db)
        return state.pruned_id, state.pruned_facts

    def skip_to(self, entry_id: int) -> None:
        """Give no id up to this one to an entry that is appended from now on.

        For a journal out of a backup whose store has metered further: what is appended at ids that
        the store has behind it would never be counted. What it holds up to there is counted, and
        goes.
        """
        state, (last_id, total) = _end_of(self.path, self._db)
        if entry_id < last_id:
            while not self.prune(entry_id):
                pass
            return
        with transaction(self._db):
            self._db.execute(_PRUNE, (entry_id,))
            self._write_state(state.uuid, state.installation, entry_id, total)
        self._written = None

    def chain(self) -> dict[int, int]:
        """Partition to the entry that it was known to have when entries were last pruned.

        Empty where nothing was ever pruned for partitions.
        """
        if not rows(self._db, _HAS_CHAIN):
            return {}
        return dict(read_checked(self.path, self._db, CHAIN))

    def prune(self, upto_id: int, chain: Mapping[int, int] | None = None) -> bool:
        """Delete a bounded number of the entries up to an id, oldest first, and give room back.

        Deleting takes the write lock from intake, so a long backlog goes in several calls. What
        could not be read is kept, in the table `damaged`.

        Args:
            upto_id: the id.
            chain: partition to the entry up to which it has them, where partitions count them; kept
                in the same transaction.

        Returns:
            Whether none of them is left, and no room to give back.
        """
        with damage_named(self.path):
            with one_moment(self._db):
                state = journal_state(self.path, self._db)
                due = self._due(state, upto_id)
            before = self._free_pages()
            if due.pruned_id > state.pruned_id or chain is not None:
                with transaction(self._db):
                    if journal_state(self.path, self._db) != state:
                        return False  # another has pruned meanwhile
                    self._prune(state, due)
                    if chain is not None:
                        self._write_chain(chain)
        free = self._free_pages()
        if not due.is_all:
            return False
        if free <= _FREE_PAGES_KEPT:
            return True
        # As much as was just freed, intake will fill again before the next call.
        if free > _FREE_PAGES_KEPT + 2 * (free - before):
            rows(self._db, _GIVE_PAGES_BACK)
        return self._free_pages() <= _FREE_PAGES_KEPT

    def _free_pages(self) -> int:
        return int(rows(self._db, _FREE_PAGES)[0][0])

    def _due(self, state: JournalState, upto_id: int) -> _Due:
        """What is to be deleted next. Read before others are kept from writing: it takes longer."""
        pruned_id, pruned_facts, left_bytes = *state[2:], _FACT_BYTES_A_PRUNE
        bound = min(upto_id, pruned_id + _ENTRIES_A_PRUNE)
        damaged: list[tuple[int, bytes | None]] = []
        for entry in read_entries(self.path, self._db, pruned_id, bound, last_id=self._known_id):
            pruned_id = entry.id
            if entry.damage is not None:
                damaged += entry.damage.kept
                pruned_facts += entry.damage.messages or 0
                continue
            pruned_facts = entry.total_facts
            left_bytes -= len(entry.facts)
            if left_bytes <= 0:
                return _Due(pruned_id, pruned_facts, damaged, pruned_id >= upto_id)
        is_all = pruned_id >= upto_id or pruned_id < bound
        return _Due(pruned_id, pruned_facts, damaged, is_all)

    def _prune(self, state: JournalState, due: _Due) -> None:
        if due.pruned_id == state.pruned_id:
            return
        for values in due.damaged:
            self._db.execute(DAMAGED.insert, (*values, DAMAGED.checksum(values)))
        self._db.execute(_PRUNE, (due.pruned_id,))
        self._write_state(state.uuid, state.installation, due.pruned_id, due.pruned_facts)

    def _write_chain(self, chain: Mapping[int, int]) -> None:
        self._db.execute(CHAIN_SCHEMA)  # a journal of one machine has none
        for values in chain.items():
            self._db.execute(CHAIN.replace, (*values, CHAIN.checksum(values)))

    def _write_state(self, uuid: str, installation: str, pruned_id: int, pruned_facts: int) -> None:
        values = (1, uuid, installation, pruned_id, pruned_facts)
        self._db.execute(JOURNAL.update, (*values, JOURNAL.checksum(values)))

    def checkpoints(self) -> set[bytes]:
        """The checkpoints that entries were appended with and that nobody has taken away.

        Raises:
            DamagedDataError: one of them is not what was written.
        """
        return {each for (each,) in read_checked(self.path, self._db, IMPORT_CHECKPOINT)}

    def drop_checkpoints(self, checkpoints: Iterable[bytes]) -> None:
        """Take checkpoints of imports away; those that are not there do not matter.

        Raises:
            StorageUnavailableError: the disk refused, and all of them are still there.
        """
        try:
            with transaction(self._db):
                self._db.executemany(_DROP_CHECKPOINT, ((each,) for each in checkpoints))
        except apsw.Error as error:
            raise StorageUnavailableError(f"{self.path} could not be written: {error}") from error

    def close(self) -> None:
        """Release the file; idempotent."""
        if self._witness is not None:
            self._witness.close()
            self._witness = None
        self._db.close()


def _end_of(path: Path, connection: apsw.Connection) -> tuple[JournalState, _Written]:
    """What a journal says of itself, and how far it was appended to, both at one moment.

    Were the meter to prune between the two, the entries would be gone and not pruned yet: their ids
    would be given to others, which the store has behind it and would never count.
    """
    with one_moment(connection):
        state = journal_state(path, connection)
        return state, _Written(*last_of(path, connection, state))
