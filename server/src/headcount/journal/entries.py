"""Reading a journal's entries, in order, past those that are damaged.

Takes a connection, gives entries, and in the place of one or several that cannot be read a single
one that says so: which ids, how many messages they held as far as that is known, and what is left
of their bytes. Ids leave no gap, so an entry that is simply not there is damage as well.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import msgspec

from headcount.confirmed import read_confirmed
from headcount.counting.attributes import Attributes
from headcount.counting.facts import FACT_FORMAT, WIDE_FACT_FORMAT, Rejection, WideFacts
from headcount.counting.libraries import LibraryUse, split_tallies
from headcount.errors import DamagedDataError
from headcount.journal.schema import ENTRY_SELECT, JOURNAL, entry_checksum
from headcount.sqlite.opening import damage_named, refuse_version, rows
from headcount.sqlite.rows import read_checked
from headcount.wording import number_of

__all__ = ["Damage", "JournalEntry", "JournalState", "journal_state", "last_of", "read_entries"]

_AFTER = f"{ENTRY_SELECT} WHERE id > ?1 AND id <= ?2 ORDER BY id"
_ONE = f"{ENTRY_SELECT} WHERE id = ?1"
_LAST = f"{ENTRY_SELECT} ORDER BY id DESC LIMIT 1"
_ID_MAX = (1 << 63) - 1
# Ids that a damaged number could pretend to be missing are not walked one by one.
_WALKED_MAX = 1 << 22
_KEPT_MAX = 1 << 12


class Damage(NamedTuple):
    """Entries that are not what was appended.

    Attributes:
        first_id, last_id: which, both included.
        messages: how many messages they held; None where nothing says so.
        kept: id and what could be read of it, as MessagePack; None where that was nothing.
    """

    first_id: int
    last_id: int
    messages: int | None
    kept: list[tuple[int, bytes | None]]

    @property
    def text(self) -> str:
        """Which entries, and what they held, for a sentence."""
        which = f"entry {self.first_id:,}"
        if self.last_id > self.first_id:
            which = f"entries {self.first_id:,} to {self.last_id:,}"
        if self.messages is None:
            return f"{which} (an unknown number of messages)"
        return f"{which} ({number_of(self.messages, 'message')})"


class JournalEntry(NamedTuple):
    """What one append left.

    Attributes:
        id: its place in the queue; ids ascend and are never used twice.
        appended_at_ms: when it was appended, milliseconds since 1970.
        facts: packed facts; `WideFacts` where they are wide.
        rejections: tallies that came with them.
        total_facts: how many facts had ever been appended, with these.
        damage: what stands here in the place of entries that cannot be read; then the others are
            empty, and the id is that of the last of them.
        libraries: tallies of who sent the messages.
        attributes: which attributes the numbers are that its facts name.
        sealed: (workspace, number of the month) closed with it; only in a partition's outbox, whose
            `facts` are tracked records.
        forgotten, forget: only there too; see `HandedOn`.
    """

    id: int
    appended_at_ms: int
    facts: bytes
    rejections: list[Rejection]
    total_facts: int = 0
    damage: Damage | None = None
    libraries: Sequence[LibraryUse] = ()
    attributes: Mapping[int, Attributes] = {}
    sealed: Sequence[tuple[int, int]] = ()
    forgotten: int = 0
    forget: Sequence[bytes] = ()


class JournalState(NamedTuple):
    """What a journal says of itself.

    Attributes:
        uuid: its name in the store's positions.
        installation: whose it is; empty where it was made outside of a data folder.
        pruned_id: up to which id everything was counted and deleted.
        pruned_facts: how many facts had been appended by then.
    """

    uuid: str
    installation: str
    pruned_id: int
    pruned_facts: int


def journal_state(path: Path, connection: apsw.Connection) -> JournalState:
    """What the journal says of itself now.

    Raises:
        DamagedDataError: it cannot be read.
    """
    found = list(read_checked(path, connection, JOURNAL))
    if len(found) != 1:
        raise DamagedDataError(
            f"{path} is damaged: it does not say which journal it is.",
            "Restore the data folder from a backup, or put the file aside:"
            " headcount doctor --repair",
        )
    return JournalState(*found[0][1:])


def last_of(path: Path, connection: apsw.Connection, state: JournalState) -> tuple[int, int]:
    """Id of the newest entry ever appended, and how many facts ever were.

    Raises:
        DamagedDataError: its end cannot be read.
    """
    with damage_named(path):
        return _last_of(path, connection, state)


def _last_of(path: Path, connection: apsw.Connection, state: JournalState) -> tuple[int, int]:
    found = rows(connection, _LAST)
    if found and not isinstance(found[0][0], int):
        # Whoever reads by ids would pass over such a row, and call it nothing.
        raise DamagedDataError(
            f"{path} is damaged: its last entry has no number.",
            "See `headcount doctor`; then headcount doctor --repair, or restore from a backup.",
        )
    if not found or found[0][0] <= state.pruned_id:
        return state.pruned_id, state.pruned_facts
    if _is_intact(found[0]):
        return found[0][0], found[0][4]
    # Its own number cannot be believed; what was confirmed can.
    confirmed = read_confirmed(path)
    if confirmed is not None and confirmed.uuid == state.uuid:
        return max(confirmed.sequence, state.pruned_id), max(confirmed.messages, state.pruned_facts)
    counted = rows(connection, "SELECT max(id), sum(facts_count) FROM entry")[0]
    return counted[0], state.pruned_facts + int(counted[1])


def _is_intact(row: tuple[Any, ...]) -> bool:
    entry_id, form, at_ms, count, total, tallies, checksum, facts = row
    try:
        written = entry_checksum(entry_id, form, at_ms, count, total, tallies, facts)
        return bool(checksum == written)
    except (TypeError, ValueError, OverflowError):  # a type that no entry has
        return False


def read_entries(
    path: Path,
    connection: apsw.Connection,
    after_id: int,
    upto_id: int = _ID_MAX,
    *,
    last_id: int = 0,
) -> Generator[JournalEntry, None, None]:
    """The entries that follow an id, up to another one.

    Args:
        path: the file.
        connection: to it.
        after_id, upto_id: which.
        last_id: the last that is known to have been there; where none is found up to it, that is
            said as well.

    Raises:
        DataFolderError: an entry was written by a newer version, or nothing can be said of them.
    """
    return _Walk(path, connection, after_id, upto_id).entries(last_id)


class _Walk:
    """One walk through a journal's entries."""

    def __init__(self, path: Path, connection: apsw.Connection, after_id: int, upto_id: int):
        self._path = path
        self._db = connection
        self._upto_id = upto_id
        state = journal_state(path, connection)
        self.next_id = max(after_id, state.pruned_id) + 1
        self._total: int | None = state.pruned_facts if after_id <= state.pruned_id else None
        self._at_ms = 0
        self._damaged: list[tuple[int, bytes | None]] = []

    def entries(self, known_id: int) -> Generator[JournalEntry, None, None]:
        cursor = self._db.cursor()
        try:
            # The first row is read with the statement's begin.
            for row in cursor.execute(_AFTER, (self.next_id - 1, self._upto_id)):
                if isinstance(row[0], int) and row[0] >= self.next_id:
                    yield from self._take(row)
        except apsw.CorruptError:
            cursor.close()
            yield from self._one_by_one()
        finally:
            cursor.close()
        # One whose number has become another's is passed over.
        yield from self._missing_before(min(known_id, self._upto_id) + 1)
        if self._damaged:
            yield self._damage(self._confirmed_total())

    def _take(self, row: tuple[Any, ...]) -> Generator[JournalEntry, None, None]:
        entry_id, form, appended_at_ms, count, total, tallies, _, facts = row
        yield from self._missing_before(entry_id)
        self.next_id = entry_id + 1
        if not _is_intact(row):
            self._damaged.append((entry_id, _kept(row)))
            return
        if form not in (FACT_FORMAT, WIDE_FACT_FORMAT):
            refuse_version(self._path, form, WIDE_FACT_FORMAT)
        if form == WIDE_FACT_FORMAT:
            facts = WideFacts(facts)
        self._at_ms = appended_at_ms
        if self._damaged:
            yield self._damage(total - count)
        self._total = total
        found = [Rejection(*tally) for tally in json.loads(tallies or b"[]")]
        rejections, uses, attributes = split_tallies(found)
        yield JournalEntry(
            entry_id,
            appended_at_ms,
            facts,
            rejections,
            total,
            libraries=uses,
            attributes=attributes,
        )

    def _missing_before(self, entry_id: int) -> Generator[JournalEntry, None, None]:
        if entry_id - self.next_id > _WALKED_MAX:
            raise DamagedDataError(
                f"{self._path} is damaged: after entry {self.next_id - 1:,} comes {entry_id:,}.",
                "Restore the data folder from a backup, or put the file aside:"
                " headcount doctor --repair",
            )
        while self.next_id < entry_id:
            if len(self._damaged) >= _KEPT_MAX:
                yield self._damage(None)
            self._damaged.append((self.next_id, None))
            self.next_id += 1

    def _damage(self, total_before: int | None) -> JournalEntry:
        """What stands in the place of the entries that were not intact."""
        kept, self._damaged = self._damaged, []
        messages = None
        if self._total is None:
            self._total = self._total_at(kept[0][0] - 1)
        if total_before is not None and self._total is not None:
            messages = max(0, total_before - self._total)
        damage = Damage(kept[0][0], kept[-1][0], messages, kept)
        return JournalEntry(damage.last_id, self._at_ms, b"", [], damage=damage)

    def _one_by_one(self) -> Generator[JournalEntry, None, None]:
        """Ask for every id by itself, where a page between them cannot be read."""
        try:
            last_id = int(rows(self._db, "SELECT max(id) FROM entry")[0][0] or 0)
        except apsw.CorruptError:
            last_id = 0
        last_id = min(max(last_id, self._confirmed_id()), self._upto_id)
        while self.next_id <= last_id:
            entry_id = self.next_id
            try:
                found = rows(self._db, _ONE, (entry_id,))
            except apsw.CorruptError:
                found = []
            if found and found[0][0] == entry_id:
                yield from self._take(found[0])
            else:
                yield from self._missing_before(entry_id + 1)

    def _total_at(self, entry_id: int) -> int | None:
        """How many facts had been appended with an entry; None where it does not say so."""
        with contextlib.suppress(apsw.CorruptError):
            found = rows(self._db, _ONE, (entry_id,))
            if found and _is_intact(found[0]):
                return int(found[0][4])
        return None

    def _confirmed_id(self) -> int:
        confirmed = read_confirmed(self._path)
        return 0 if confirmed is None else confirmed.sequence

    def _confirmed_total(self) -> int | None:
        """How many facts were appended with the last of the damaged entries, if that is the last
        that was confirmed."""
        confirmed = read_confirmed(self._path)
        if confirmed is None or confirmed.sequence != self._damaged[-1][0]:
            return None
        return confirmed.messages


def _kept(row: tuple[Any, ...]) -> bytes:
    return msgspec.msgpack.encode(row)
