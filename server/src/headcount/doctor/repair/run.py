"""One repair: the folder's own files first, then the store's rows, the journals by what the store
has counted, the store by what the journals still hold, the catalog, and the hash key."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from headcount.catalog import schema as catalog
from headcount.confirmed import read_confirmed, second_witness_of, witness_of
from headcount.datafolder import DataFolder, read_hash_keys
from headcount.doctor.repair.copies import repair_copies
from headcount.doctor.repair.journals import (
    FoundJournal,
    find_journal,
    new_journal,
    plan_journal,
    write_journal,
)
from headcount.doctor.repair.keyfile import repair_hash_key
from headcount.doctor.repair.ledgers import (
    behind_by,
    missing_rows,
    missing_text,
    new_catalog,
    new_store,
    repair_catalog,
    repair_store,
    write_ledger,
)
from headcount.doctor.repair.looking import (
    catalog_confirmed,
    catalog_fault,
    journal_fault,
    store_fault,
)
from headcount.doctor.repair.ownfiles import repair_format, repair_identity
from headcount.doctor.repair.salvage import open_damaged
from headcount.doctor.repair.side import Act, Side, put_in_place
from headcount.doctor.repair.tables import Found, find_rows, tallies_of
from headcount.errors import OperatorError
from headcount.identity import Identity, replace_identity
from headcount.journal.entries import JournalState
from headcount.journal.schema import JOURNAL_VERSION
from headcount.journal.view import journal_view
from headcount.sqlite.rows import Part, Table
from headcount.store import sql
from headcount.store.runs import Run
from headcount.store.tables import ASIDE, POSITION, REJECTION, TABLES, WATERMARK
from headcount.store.view import store_view
from headcount.wording import number_of

__all__ = ["Act", "repair"]

_RESTORE = "Restore the data folder from a backup; what is there is unchanged."

_STORE_LOSABLE = (WATERMARK, POSITION, REJECTION, ASIDE)
_CATALOG_LOSABLE = (
    catalog.TOKEN,
    catalog.PLAN_LIMIT,
    catalog.PLAN_PRICE,
    catalog.LINK,
    catalog.FORWARDING,
    catalog.META,
)

Make = Callable[[Path, str, str, int], apsw.Connection]


@dataclass
class _Store:
    """What the store says.

    Attributes:
        positions: journal UUID to its last counted entry.
        found: its rows, where they have to be repaired.
        pruned: journal UUID to the entry up to which it has nothing any more.
    """

    positions: dict[str, int]
    found: Found | None
    pruned: dict[str, int] = field(default_factory=dict)


def repair(folder: DataFolder, hash_key: Path | None, moment: str) -> Iterator[Act]:
    """Repair a data folder; the caller holds the locks of its server and its meter.

    Args:
        folder: the folder, whatever state it is in.
        hash_key: where the hash key lies; the folder's `hash.key` when None.
        moment: names the repair, such as `2026-11-25T210000Z`.

    Yields:
        What was done and what could not be, one after the other.
    """
    side = Side(folder.path, moment)
    acts: list[Act] = []
    try:
        for act in _Repair(folder, hash_key or folder.hash_key, side).acts():
            acts.append(act)
            yield act
    finally:
        side.report(acts)


class _Repair:
    def __init__(self, folder: DataFolder, hash_key: Path, side: Side) -> None:
        self._folder = folder
        self._hash_key = hash_key
        self._side = side
        self._identity = Identity("")

    def acts(self) -> Iterator[Act]:
        if not (yield from repair_format(self._folder, self._side)):
            return
        self._identity = yield from repair_identity(self._folder, self._side)
        self._folder.journals.mkdir(mode=0o700, exist_ok=True)
        yield from repair_copies(self._folder, self._identity, self._side)
        store = yield from self._read_store()
        if store is not None:
            for path in self._folder.journal_files():
                yield from self._journal(path, store)
            yield from self._missing_journals(store)
            yield from self._write_store(store)
            yield from self._unreadable_keys()
        yield from self._repair_catalog()
        yield from repair_hash_key(self._folder, self._hash_key, self._side)

    def _uuid(self, path: Path) -> str:
        name = path.relative_to(self._folder.path).as_posix()
        return self._identity.parts.get(name, "")

    # The store.

    def _read_store(self) -> Generator[Act, None, _Store | None]:
        """What the store says of the journals, and its rows where they have to be repaired."""
        path = self._folder.store
        if not path.exists() or not path.stat().st_size:
            if not self._uuid(path):
                return _Store({}, None)
            yield Act("The store is missing or empty: no count can be had.", remedy=_RESTORE)
            return None
        fault = store_fault(self._folder, self._identity)
        if fault is None:
            with store_view(path, Path) as moment:
                return _Store(moment.positions(), None)
        if fault.foreign:
            yield Act(fault.text, remedy="Put the file back that belongs here.")
            return None
        found = self._damaged(path, sql.VERSION, new_store, TABLES)
        if found is None or found.part is None:
            yield Act("Nothing can be read of the store.", remedy=_RESTORE)
            return None
        return _Store(dict(found.of(POSITION)), found)

    def _write_store(self, store: _Store) -> Iterator[Act]:
        found, path = store.found, self._folder.store
        if found is None:
            return
        assert found.part is not None
        yield from repair_store(found, self._folder.path, self._side)
        yield from missing_rows(found, TABLES, _STORE_LOSABLE)
        missing = missing_text(found, TABLES, _STORE_LOSABLE)
        if missing:
            yield Act(f"The store cannot be repaired: {missing}.", remedy=_RESTORE)
            return
        confirmed = read_confirmed(path)
        lost = behind_by(found, confirmed)
        yield from _of_repaired("The store", found)
        gone = self._keep_up(store, found)
        if lost and gone:
            yield Act(
                f"The last {number_of(lost, 'change')} of the store are gone.",
                f"What they counted is gone from the journals as well: {number_of(gone, 'entry')},"
                " whose messages are lost.",
            )
        elif lost:
            yield Act(
                f"The last {number_of(lost, 'change')} of the store are gone; what they counted is"
                " in the journals still, and is counted again."
            )
        sequence = 0 if confirmed is None else confirmed.sequence
        part = found.part._replace(generation=max(found.part.generation, sequence))
        with self._side.scratch(path) as (_, new):
            connection = new_store(new, part.uuid, part.installation, part.generation)
            write_ledger(connection, new, TABLES, found)
            put_in_place(new, path)
        yield Act("The store was rewritten.")

    def _unreadable_keys(self) -> Iterator[Act]:
        """Name the files of keys that are damaged: what they held is written down nowhere else."""
        with contextlib.suppress(OperatorError), store_view(self._folder.store, _whole) as store:
            for run in store.runs:
                if run.opened is None:
                    yield Act(run.refusal, remedy=_RESTORE)

    @staticmethod
    def _keep_up(store: _Store, found: Found) -> int:
        """Let the positions be no lower than what the journals have nothing of any more.

        Returns:
            How many entries lie between: counted and forgotten, or lost.
        """
        gone = {
            uuid: pruned
            for uuid, pruned in store.pruned.items()
            if pruned > store.positions.get(uuid, 0)
        }
        kept = [row for row in found.of(POSITION) if row[0] not in gone]
        found.rows[POSITION.name] = [*kept, *gone.items()]
        return sum(pruned - store.positions.get(uuid, 0) for uuid, pruned in gone.items())

    # The journals.

    def _journal(self, path: Path, store: _Store) -> Iterator[Act]:
        fault = journal_fault(path, self._identity, self._folder.path, store.positions)
        if fault is None:
            with journal_view(path) as journal:
                store.pruned[journal.uuid] = journal.pruned_id
            return
        if fault.foreign:
            yield Act(fault.text, remedy="Move it out of the folder, or put back the right one.")
            return
        self._side.keep(path)
        confirmed = read_confirmed(path)
        with self._side.scratch(path) as (copy, new):

            def make_new(place: Path) -> None:
                new_journal(place, JournalState("", "", 0, 0)).close()

            connection = None
            if path.stat().st_size:
                connection = open_damaged(copy, JOURNAL_VERSION, make_new)
            found = find_journal(connection)
            if connection is not None:
                connection.close()
            uuid = self._uuid(path) or (confirmed.uuid if confirmed is not None else "")
            state = found.state
            if state is None:
                if not uuid:
                    yield Act(f"{path.name} does not say which journal it is.", remedy=_RESTORE)
                    return
                state = _state_by_others(found, uuid, self._identity, store.positions.get(uuid, 0))
            store.pruned[state.uuid] = state.pruned_id
            position = store.positions.get(state.uuid, 0)
            plan = plan_journal(path.name, found, state, position, confirmed, self._side)
            write_journal(new, plan, found.checkpoints)
            put_in_place(new, path)
        yield from plan.acts
        yield Act(
            f"{path.name} was rewritten:"
            f" {number_of(len(plan.entries), 'entry', 'is', 'are')} to be counted."
        )

    def _missing_journals(self, store: _Store) -> Iterator[Act]:
        for name, uuid in list(self._identity.parts.items()):
            path = self._folder.path / name
            if path.parent != self._folder.journals or path.exists():
                continue
            confirmed = read_confirmed(path)
            waiting = "An unknown number of messages"
            lost = f"{waiting} that it held, acknowledged and not counted yet, may be lost."
            if confirmed is not None and confirmed.uuid == uuid:
                entries = confirmed.sequence - store.positions.get(uuid, 0)
                lost = (
                    f"{number_of(entries, 'entry')} of it had not been counted: the messages, of"
                    f" {confirmed.messages:,} that it ever took, are lost."
                    if entries > 0
                    else ""
                )
                self._side.keep(path)
            witness_of(path).unlink(missing_ok=True)
            second_witness_of(self._folder.path, uuid).unlink(missing_ok=True)
            del self._identity.parts[name]
            replace_identity(self._folder.path, self._identity)
            yield Act(f"{path.name} is missing, and is no longer expected.", lost)

    # The catalog.

    def _repair_catalog(self) -> Iterator[Act]:
        path = self._folder.catalog
        if not path.exists() or not path.stat().st_size:
            if self._uuid(path):
                yield Act(
                    "The catalog is missing or empty: nobody can say whose the counts are.",
                    remedy=_RESTORE,
                )
            return
        confirmed = catalog_confirmed(self._folder, self._identity)
        fault = catalog_fault(self._folder, self._identity)
        if fault is None:
            return
        if fault.foreign:
            yield Act(fault.text, remedy="Put the file back that belongs here.")
            return
        found = self._damaged(path, catalog.SCHEMA_VERSION, new_catalog, catalog.TABLES)
        if found is None or found.part is None:
            yield Act("Nothing can be read of the catalog.", remedy=_RESTORE)
            return
        yield from repair_catalog(found, self._fingerprint(), self._side)
        losable = self._losable_of_catalog()
        yield from missing_rows(found, catalog.TABLES, losable)
        missing = missing_text(found, catalog.TABLES, losable)
        if missing:
            yield Act(f"The catalog cannot be repaired: {missing}.", remedy=_RESTORE)
            return
        yield from _of_repaired("The catalog", found)
        if lost := behind_by(found, confirmed):
            yield Act(
                f"The last {number_of(lost, 'change')} of the catalog are gone.",
                "Sources, tokens or limits that were made or changed last are as they were before;"
                " see `headcount source list` and `headcount token list`.",
            )
        sequence = 0 if confirmed is None else confirmed.sequence
        part = found.part._replace(generation=max(found.part.generation, sequence))
        with self._side.scratch(path) as (_, new):
            connection = new_catalog(new, part.uuid, part.installation, part.generation)
            write_ledger(connection, new, catalog.TABLES, found)
            put_in_place(new, path)
        yield Act("The catalog was rewritten.")

    def _fingerprint(self) -> str | None:
        found = self._fingerprints()
        return found[0] if len(found) == 1 else None

    def _fingerprints(self) -> list[str]:
        try:
            return list(read_hash_keys(self._hash_key))
        except OperatorError:
            return []

    def _losable_of_catalog(self) -> Sequence[Table]:
        # Which of two hash keys serves from which month on stands nowhere else.
        if len(self._fingerprints()) > 1:
            return [table for table in _CATALOG_LOSABLE if table is not catalog.META]
        return _CATALOG_LOSABLE

    def _damaged(
        self, path: Path, version: int, make: Make, tables: Sequence[Table]
    ) -> Found | None:
        """What a damaged database holds; None where nothing of it can be read."""
        self._side.keep(path)
        with self._side.scratch(path) as (copy, _):

            def make_new(place: Path) -> None:
                make(place, "", "", 0).close()

            connection = open_damaged(copy, version, make_new)
            if connection is None:
                return None
            with closing(connection):
                found = find_rows(connection, tables)
        if found.part is None:
            found.part = self._part_by_others(path, found, tables)
        return found

    def _part_by_others(self, path: Path, found: Found, tables: Sequence[Table]) -> Part | None:
        """What a database would say of itself, where nothing else of it is damaged."""
        confirmed = read_confirmed(path)
        uuid = self._uuid(path)
        if confirmed is None or confirmed.uuid != uuid or found.damaged:
            return None
        return Part(
            uuid, self._identity.installation, confirmed.sequence, tallies_of(tables, found)
        )


def _whole(path: Path) -> Run:
    """A file of keys, every byte of which is as it was written.

    Raises:
        DataFolderError: it is not, or cannot be read.
    """
    run = Run(path)
    deque(run.verify(), maxlen=0)
    return run


def _of_repaired(what: str, found: Found) -> Iterator[Act]:
    for table, rows in sorted(found.repaired.items()):
        yield Act(
            f"{what}: {number_of(rows, 'row')} of the table {table} had a flipped bit, and is right"
            " again: the checksum says which."
        )


def _state_by_others(
    found: FoundJournal, uuid: str, identity: Identity, position: int
) -> JournalState:
    """What a journal would say of itself, by its entries and by what others say of it."""
    first = min(found.entries.values(), default=None)
    if first is None:
        return JournalState(uuid, identity.installation, position, 0)
    return JournalState(uuid, identity.installation, first[0] - 1, first[4] - first[3])
