"""What a node of a cluster has as copies: the sums that it shows, and the catalog.

Takes one that is missing, or not what it should be, has the folder expect it no more: the next
start makes it anew, as a new node does. Nothing is counted in either.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headcount.confirmed import second_witness_of, witness_of
from headcount.datafolder import DataFolder
from headcount.doctor.repair.looking import store_fault
from headcount.doctor.repair.side import Act, Side
from headcount.doctor.sums import check_sums
from headcount.errors import OperatorError
from headcount.identity import Identity, replace_identity
from headcount.store.runs import Run
from headcount.store.view import store_view

__all__ = ["repair_copies"]


def repair_copies(folder: DataFolder, identity: Identity, side: Side) -> Iterator[Act]:
    """Have a node's sums and catalog made anew where they have to be.

    Args:
        folder: any; only a node's has copies.
        identity: what the folder says of its parts; changed.
        side: where the former ones are kept.
    """
    if not folder.cluster.exists():
        return  # a single machine has no copies
    if said := _wrong_sums(folder, identity):
        _expect_no_more(folder, folder.store, identity, side)
        yield Act(
            f"{said} The next start makes it anew of what partitions have counted.",
            "Alerts that only this node had found and nobody was told yet may be lost.",
        )
    catalog = folder.catalog
    if catalog.name in identity.parts and not _is_there(catalog):
        _expect_no_more(folder, catalog, identity, side)
        yield Act(
            f"{catalog.name} is missing or empty. The next start copies the cluster's catalog anew."
        )


def _wrong_sums(folder: DataFolder, identity: Identity) -> str:
    """What is wrong with a node's sums, as a sentence; empty where nothing is."""
    store = folder.store
    if not _is_there(store):
        return f"{store.name} is missing or empty." if store.name in identity.parts else ""
    fault = store_fault(folder, identity)
    if fault is not None:
        return "" if fault.foreign else fault.text
    try:
        with store_view(store, Run) as view:
            wrong = next((each for each in check_sums(view) if each.remedy), None)
    except OperatorError as error:
        return error.problem
    return "" if wrong is None else wrong.message


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _expect_no_more(folder: DataFolder, path: Path, identity: Identity, side: Side) -> None:
    if path.exists():
        side.keep(path)
    # First: a folder that expects what is not there is refused, and repaired again.
    for end in ("-wal", "-shm", ""):
        path.with_name(path.name + end).unlink(missing_ok=True)
    witness_of(path).unlink(missing_ok=True)
    uuid = identity.parts.pop(path.name, None)
    if uuid is not None:
        second_witness_of(folder.path, uuid).unlink(missing_ok=True)
        replace_identity(folder.path, identity)
