"""Who is counted and under which key: takes the catalog and the hash key's file, and what the
store refers to. Never shows a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from headcount.catalog.view import CatalogView
from headcount.counting.hashing import IdHasher
from headcount.datafolder import read_hash_key
from headcount.doctor.findings import REPAIR, Finding, ok, problem
from headcount.errors import DataFolderError
from headcount.sqlite.opening import rows
from headcount.sqlite.reading import damage
from headcount.wording import number_of

__all__ = ["check_catalog", "check_hash_key"]


def check_catalog(catalog: CatalogView, referred: Iterable[tuple[int, int]]) -> Iterator[Finding]:
    """Whether the catalog is intact and knows all that the store has counts for.

    Args:
        catalog: the catalog, from a moment after the store's.
        referred: (workspace, source) numbers in the store; source 0 is the workspace itself.
    """
    if found := damage(catalog.connection):
        yield problem("catalog", f"The catalog is damaged: {found}.", REPAIR)
        return
    if fault := next(catalog.faults(), None):
        yield problem("catalog", f"The catalog is damaged: {fault}.", REPAIR)
    loose = rows(catalog.connection, "PRAGMA foreign_key_check")
    workspaces, sources = catalog.workspaces(), catalog.sources()
    unknown = sorted(
        (workspace, source)
        for workspace, source in set(referred)
        if workspace not in workspaces or (source and sources.get(source) != workspace)
    )
    if loose or unknown:
        what = ", ".join(f"source {s} of workspace {w}" for w, s in unknown[:3])
        yield problem(
            "catalog",
            f"The catalog does not know all that was counted ({what or 'broken references'}): it"
            " may be older than the store.",
            "Put back the catalog that belongs to this store, or restore both from one backup.",
            unknown=[list(pair) for pair in unknown],
        )
        return
    yield ok(
        "catalog",
        f"The catalog is intact: {number_of(len(workspaces), 'workspace')},"
        f" {number_of(len(sources), 'source')}.",
        workspaces=len(workspaces),
        sources=len(sources),
    )


def check_hash_key(fingerprint: str | None, place: Path) -> Finding:
    """Whether the key is there and is the one that ids were hashed under."""
    if fingerprint is None and not place.exists():
        return ok("hash key", "There is no hash key yet; the first start makes one.")
    try:
        found = IdHasher(read_hash_key(place)).fingerprint
    except DataFolderError as error:
        return problem("hash key", error.problem, error.remedy, file=str(place))
    if fingerprint not in (None, found):
        return problem(
            "hash key",
            f"{place} holds another hash key (fingerprint {found}) than the one that was counted"
            f" under ({fingerprint}).",
            "Put the former key back from a backup, or name its place with --hash-key.",
            file=str(place),
            fingerprint=found,
        )
    return ok(
        "hash key",
        f"The hash key is the one that was counted under (fingerprint {found}).",
        file=str(place),
        fingerprint=found,
    )
