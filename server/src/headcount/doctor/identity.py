"""Who is counted and under which key: takes the catalog and the hash key's file, and what the
store refers to. Never shows a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from headcount.catalog import HashKeys
from headcount.catalog.view import CatalogView
from headcount.counting.calendar import day_text
from headcount.counting.sealing import due_day
from headcount.datafolder import read_hash_keys
from headcount.doctor.findings import REPAIR, Finding, ok, problem
from headcount.errors import DataFolderError
from headcount.sqlite.opening import rows
from headcount.sqlite.reading import damage
from headcount.store.protocol import Month
from headcount.wording import number_of

__all__ = ["check_catalog", "check_hash_key", "former_key_needed_until"]


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


def check_hash_key(keys: HashKeys, place: Path, needed_until: int | None = None) -> Finding:
    """Whether the keys are there and are those that ids were hashed under.

    Args:
        keys: what the catalog knows of them.
        place: their file.
        needed_until: the day from which on the former of two keys is not needed any more, days
            since 1970; None where there is one.
    """
    if keys.fingerprint is None and not place.exists():
        return ok("hash key", "There is no hash key yet; the first start makes one.")
    try:
        found = list(read_hash_keys(place))
    except DataFolderError as error:
        return problem("hash key", error.problem, error.remedy, file=str(place))
    missing = [each for each in keys.fingerprints if each not in found]
    if missing:
        return problem(
            "hash key",
            f"{place} holds another hash key (fingerprint {' and '.join(found)}) than the one that"
            f" was counted under ({' and '.join(missing)}).",
            "Put the former key back from a backup, or name its place with --hash-key.",
            file=str(place),
            fingerprint=found[0],
        )
    counted_under = keys.fingerprint or found[-1]
    said = f"The hash key is the one that was counted under (fingerprint {counted_under})."
    details: dict[str, object] = {"file": str(place), "fingerprint": counted_under}
    if keys.next_fingerprint is not None and needed_until is not None:
        until = day_text(needed_until)
        said += (
            f" From {keys.plan.next_from} on the next one serves ({keys.next_fingerprint}); the"
            f" former is needed until {until}, or longer if history is imported into months before."
        )
        details |= {
            "nextFingerprint": keys.next_fingerprint,
            "nextFrom": str(keys.plan.next_from),
            "formerNeededUntil": until,
        }
    left = len(found) - len(keys.fingerprints)
    if keys.fingerprint is not None and left:
        said += (
            f" The file holds {number_of(left, 'key')} more, under which nothing is counted: take"
            " the line out, and out of backups, if this installation alone uses the file."
        )
    return ok("hash key", said, **details)


def former_key_needed_until(keys: HashKeys, months: Iterable[Month]) -> int | None:
    """The day from which on the former of two hash keys is not needed; None where there is one.

    Args:
        keys: what the catalog knows of them.
        months: every month of every workspace that holds anything.
    """
    next_from = keys.plan.next_from
    if next_from is None:
        return None
    before = [each for each in months if each.period < next_from and not each.sealed]
    days = [due_day(each.period, each.last_import_day) for each in before]
    return max([due_day(next_from.shifted(-1), None), *days])
