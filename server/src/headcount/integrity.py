"""Whether the parts of a data folder belong together, and hold what was acknowledged.

Takes a folder, gives what is wrong: a part that is missing, empty, of another installation, older
than what was confirmed of it or than another part, or damaged. Changes nothing. `serve` and the
commands that write refuse a folder with a fault; doctor says them all.

Entries of journals are not read: one that is damaged keeps nobody from counting the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import apsw

from headcount.catalog.view import CatalogView, catalog_view
from headcount.confirmed import read_confirmed, refuse_if_behind
from headcount.errors import DamagedDataError, DataFolderError
from headcount.identity import Identity, admit_part, part_name, read_identity, require_part
from headcount.journal.view import JournalView, journal_view, last_id_of
from headcount.layout import DataFolder
from headcount.sqlite.opening import rows
from headcount.sqlite.reading import damage, open_at_one_moment
from headcount.sqlite.rows import Ledger
from headcount.sqlite.unwritable import open_for_reading
from headcount.store import sql
from headcount.store.checking import catalog_seen, check_store
from headcount.store.tables import TABLES
from headcount.wording import number_of

__all__ = ["PartFault", "part_faults", "refuse_faults", "refuse_unknown_workspaces"]

_RESTORE = (
    "Put the part back that belongs here, or restore the data folder from a backup. To go on"
    " without what is gone: headcount doctor --repair"
)
_SCOPES = "SELECT DISTINCT workspace, source FROM usage ORDER BY workspace, source"


@dataclass(frozen=True, slots=True)
class PartFault:
    """One thing that is wrong with a part.

    Attributes:
        part: its path in the folder, such as `store.sqlite`.
        problem: what is wrong, as a sentence.
        remedy: what to do about it, as a sentence.
    """

    part: str
    problem: str
    remedy: str


@dataclass(slots=True)
class _Found:
    """What could be read of the parts."""

    faults: list[PartFault] = field(default_factory=list)
    catalog: CatalogView | None = None
    journals: list[JournalView] = field(default_factory=list)
    positions: dict[str, int] | None = None
    scopes: list[tuple[int, int]] = field(default_factory=list)
    catalog_seen: int = 0

    def tried(self, part: str, look: Callable[[], None]) -> None:
        """Look at a part; what is wrong with it becomes a fault."""
        try:
            look()
        except DataFolderError as error:
            self.faults.append(PartFault(part, error.problem, error.remedy))
        except (apsw.Error, OSError) as error:
            self.faults.append(PartFault(part, f"{part} cannot be read: {error}.", _RESTORE))


def part_faults(folder: Path) -> list[PartFault]:
    """What is wrong with the parts of a folder, those first that explain others.

    Args:
        folder: a data folder of this version's format.
    """
    found = _Found()
    places = DataFolder(folder)
    identity: Identity | None = None

    def look() -> None:
        nonlocal identity
        identity = read_identity(folder)

    found.tried("identity", look)
    for name in identity.parts if identity is not None else ():
        found.tried(name, partial(require_part, folder / name))
    missing = {fault.part for fault in found.faults}
    with ExitStack() as stack:
        # The journals come first: what a meter deletes of them later is in the store by then.
        for path in places.journal_files():
            name = part_name(folder, path)
            if name not in missing and _is_begun(identity, name, path):
                found.tried(name, partial(_look_at_journal, found, stack, path))
        for path, look_at in ((places.store, _look_at_store), (places.catalog, _look_at_catalog)):
            if path.name not in missing and _is_begun(identity, path.name, path):
                found.tried(path.name, partial(look_at, found, stack, path))
        # In a cluster, partitions count what the journals hold, and the store has what all nodes'
        # have counted: also of workspaces that this node's copy of the catalog will know later.
        alone = not places.cluster.exists()
        if alone and places.store.name not in {fault.part for fault in found.faults}:
            found.faults += _between_journals_and_store(found, places)
        if found.catalog is not None:
            catalog = found.catalog
            if alone:
                found.tried(places.catalog.name, lambda: _require_known(catalog, found.scopes))
            found.tried(places.catalog.name, lambda: _require_newest(catalog, found.catalog_seen))
    return found.faults


def _is_begun(identity: Identity | None, name: str, path: Path) -> bool:
    """Whether a database holds anything; a start that was interrupted leaves one without tables."""
    if identity is not None and name in identity.parts:
        return True
    if not path.exists() or not path.stat().st_size:
        return False
    try:
        with closing(open_for_reading(path)) as database:
            return bool(database.pragma("schema_version"))
    except apsw.Error:
        return True  # what is wrong with it is said by whoever looks at it


def _look_at_journal(found: _Found, stack: ExitStack, path: Path) -> None:
    journal = stack.enter_context(journal_view(path))
    admit_part(path, journal.uuid, journal.installation, register=False)
    refuse_if_behind(path, journal.confirmed, journal.uuid, journal.last_id, journal.total_facts)
    found.journals.append(journal)


def _look_at_store(found: _Found, stack: ExitStack, path: Path) -> None:
    confirmed = read_confirmed(path)
    store = stack.enter_context(open_at_one_moment(path, version=sql.VERSION))
    ledger = Ledger(path, store, TABLES)
    admit_part(path, ledger.part.uuid, ledger.part.installation, register=False)
    refuse_if_behind(path, confirmed, ledger.part.uuid, ledger.part.generation)
    check_store(path, store, ledger)
    found.positions = dict(rows(store, "SELECT journal, entry FROM position"))
    found.scopes = [(workspace, source) for workspace, source in rows(store, _SCOPES)]
    found.catalog_seen = catalog_seen(ledger)


def _look_at_catalog(found: _Found, stack: ExitStack, path: Path) -> None:
    catalog = stack.enter_context(catalog_view(path))
    admit_part(path, catalog.part.uuid, catalog.part.installation, register=False)
    refuse_if_behind(path, catalog.confirmed, catalog.part.uuid, catalog.part.generation)
    fault = damage(catalog.connection) or next(catalog.faults(), None)
    if fault is not None:
        raise DamagedDataError(
            f"{path} is damaged: {fault}.",
            "Repair it with `headcount doctor --repair`, or restore the data folder from a backup.",
        )
    found.catalog = catalog


def _between_journals_and_store(found: _Found, places: DataFolder) -> Iterator[PartFault]:
    positions = found.positions or {}
    for journal in found.journals:
        name = part_name(places.path, journal.path)
        position = positions.get(journal.uuid, 0)
        # It may have gone on meanwhile, and what came is counted already.
        if position > journal.last_id and position > last_id_of(journal.path):
            yield PartFault(
                name,
                f"{journal.path} is older than the store: it ends with entry"
                f" {journal.last_id:,}, and the store has counted it up to {position:,}. What came"
                " next would be taken for counted.",
                _RESTORE,
            )
        if position < journal.pruned_id:
            yield PartFault(
                places.store.name,
                f"The store is older than {journal.path}: it has counted the entries up to"
                f" {position:,}, and those up to {journal.pruned_id:,} were counted and deleted, so"
                " that what came in between is in neither.",
                _RESTORE,
            )


def _require_known(catalog: CatalogView, scopes: list[tuple[int, int]]) -> None:
    workspaces, sources = catalog.workspaces(), catalog.sources()
    unknown = [
        f"source {source} of workspace {workspace}" if source else f"workspace {workspace}"
        for workspace, source in scopes
        if workspace not in workspaces or (source and sources.get(source) != workspace)
    ]
    if unknown:
        raise DamagedDataError(
            f"The catalog is older than the store, or another one: it does not know"
            f" {', '.join(unknown[:3])}{' and others' if len(unknown) > 3 else ''}, whose usage"
            " whoever is added next would be shown.",
            "Put the catalog back that belongs to this store, or restore both from one backup.",
        )


def _require_newest(catalog: CatalogView, seen: int) -> None:
    missing = seen - catalog.part.generation
    if missing > 0:
        raise DamagedDataError(
            "The catalog is older than the store, which knows of"
            f" {number_of(missing, 'change')} more. A token that was revoked, or a write key that"
            " was rotated, would be valid again.",
            "Put the catalog back that belongs to this store, or restore both from one backup. To"
            " go on with this one: headcount doctor --repair",
        )


def refuse_faults(folder: Path) -> None:
    """Refuse a folder whose parts are not whole or do not belong together.

    Args:
        folder: a data folder of this version's format.

    Raises:
        DamagedDataError: says the first fault, and how many more there are.
    """
    faults = part_faults(folder)
    if faults:
        more = len({fault.part for fault in faults} - {faults[0].part})
        others = f" {more} more parts have faults; `headcount doctor` names them." if more else ""
        raise DamagedDataError(f"{faults[0].problem}{others}", faults[0].remedy)


def refuse_unknown_workspaces(folder: Path) -> None:
    """Refuse a catalog that does not know whose usage the store holds, before it is written to.

    Args:
        folder: a data folder of this version's format.

    Raises:
        DamagedDataError: it does not; DataFolderError: one of the two cannot be read.
    """
    identity = read_identity(folder)
    places = DataFolder(folder)
    for path in (places.store, places.catalog):
        require_part(path)
        if not _is_begun(identity, path.name, path):
            return
    with open_at_one_moment(places.store, version=sql.VERSION) as store:
        scopes = [(workspace, source) for workspace, source in rows(store, _SCOPES)]
        seen = catalog_seen(Ledger(places.store, store, TABLES))
    # After the store: whatever it refers to is then in the catalog.
    with catalog_view(places.catalog) as catalog:
        _require_known(catalog, scopes)
        _require_newest(catalog, seen)
