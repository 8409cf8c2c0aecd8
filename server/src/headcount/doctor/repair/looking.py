"""Whether a database needs a repair at all: takes its place, gives what is wrong with it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import apsw

from headcount.catalog import schema as catalog
from headcount.confirmed import Confirmed, read_confirmed
from headcount.datafolder import DataFolder
from headcount.errors import OperatorError
from headcount.identity import Identity, part_name
from headcount.journal.entries import journal_state
from headcount.journal.schema import JOURNAL_VERSION
from headcount.journal.view import journal_view
from headcount.sqlite.reading import damage, open_at_one_moment
from headcount.sqlite.rows import Ledger, Table
from headcount.store import sql
from headcount.store.checking import catalog_seen
from headcount.store.tables import TABLES

__all__ = [
    "Fault",
    "catalog_confirmed",
    "catalog_fault",
    "journal_fault",
    "parts_of",
    "store_fault",
]

_ERRORS = (OperatorError, apsw.Error, OSError, ValueError)


class Fault(NamedTuple):
    """What is wrong with a database.

    Attributes:
        text: as a sentence.
        foreign: whether it is another database than belongs there: then nothing is to be repaired.
    """

    text: str
    foreign: bool = False


def _of_part(
    path: Path, folder: Path, identity: Identity, uuid: str, installation: str
) -> Fault | None:
    known = identity.parts.get(part_name(folder, path))
    if installation not in ("", identity.installation) or known not in (None, uuid):
        return Fault(f"{path.name} is not the file that this data folder knows.", foreign=True)
    return None


def _ledger_fault(
    path: Path,
    folder: Path,
    identity: Identity,
    version: int,
    tables: tuple[Table, ...],
    confirmed: Confirmed | None,
) -> Fault | None:
    try:
        with open_at_one_moment(path, version=version) as connection:
            if found := damage(connection):
                return Fault(f"{path.name} is damaged: {found}.")
            ledger = Ledger(path, connection, tables)
            part = ledger.part
            if foreign := _of_part(path, folder, identity, part.uuid, part.installation):
                return foreign
            for fault in ledger.faults():
                return Fault(f"{path.name} is damaged: {fault}.")
            if confirmed is not None and confirmed.sequence > part.generation:
                return Fault(f"{path.name} holds less than was confirmed.")
    except _ERRORS as error:
        return Fault(str(error))
    return None


def store_fault(folder: DataFolder, identity: Identity) -> Fault | None:
    """What is wrong with the store."""
    confirmed = read_confirmed(folder.store)
    return _ledger_fault(folder.store, folder.path, identity, sql.VERSION, TABLES, confirmed)


def catalog_confirmed(folder: DataFolder, identity: Identity) -> Confirmed | None:
    """What was acknowledged of the catalog: what its own file says, or the store if that is more.

    Args:
        folder: the data folder.
        identity: what the folder says of its parts.
    """
    confirmed = read_confirmed(folder.catalog)
    uuid = identity.parts.get(part_name(folder.path, folder.catalog))
    seen = 0
    with contextlib.suppress(*_ERRORS), open_at_one_moment(folder.store, version=sql.VERSION) as db:
        seen = catalog_seen(Ledger(folder.store, db, TABLES))
    if uuid is None or seen <= (0 if confirmed is None else confirmed.sequence):
        return confirmed
    return Confirmed(uuid, seen, 0)


def catalog_fault(folder: DataFolder, identity: Identity) -> Fault | None:
    """What is wrong with the catalog."""
    return _ledger_fault(
        folder.catalog,
        folder.path,
        identity,
        catalog.SCHEMA_VERSION,
        catalog.TABLES,
        catalog_confirmed(folder, identity),
    )


def journal_fault(
    path: Path, identity: Identity, folder: Path, positions: Mapping[str, int]
) -> Fault | None:
    """What is wrong with a journal.

    Args:
        path: the journal.
        identity: what the folder says of its parts.
        folder: the data folder.
        positions: the store's.
    """
    try:
        with journal_view(path) as journal:
            if found := damage(journal.connection):
                return Fault(f"{path.name} is damaged: {found}.")
            foreign = _of_part(path, folder, identity, journal.uuid, journal.installation)
            if foreign is not None:
                return foreign
            for fault in journal.faults():
                return Fault(f"{path.name} is damaged: {fault}.")
            if journal.set_aside():
                return Fault(f"{path.name} keeps damaged entries.")
            confirmed = journal.confirmed
            if confirmed is not None and confirmed.sequence > journal.last_id:
                return Fault(f"{path.name} holds less than was confirmed.")
            if positions.get(journal.uuid, 0) > journal.last_id:
                return Fault(f"{path.name} is older than the store.")
    except _ERRORS as error:
        return Fault(str(error))
    return None


def parts_of(folder: DataFolder) -> tuple[set[str], dict[str, str]]:
    """What the databases of a folder say of themselves: installations, and name to UUID."""
    installations: set[str] = set()
    parts: dict[str, str] = {}
    for path, version, tables in (
        (folder.catalog, catalog.SCHEMA_VERSION, catalog.TABLES),
        (folder.store, sql.VERSION, TABLES),
    ):
        try:
            with open_at_one_moment(path, version=version) as connection:
                part = Ledger(path, connection, tables).part
        except _ERRORS:
            continue
        installations.add(part.installation)
        parts[part_name(folder.path, path)] = part.uuid
    for path in folder.journal_files():
        try:
            with open_at_one_moment(path, version=JOURNAL_VERSION) as connection:
                state = journal_state(path, connection)
        except _ERRORS:
            continue
        installations.add(state.installation)
        parts[part_name(folder.path, path)] = state.uuid
    return installations - {""}, parts
