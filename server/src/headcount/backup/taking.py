"""Taking a backup: takes a data folder, a server running on it or not, gives a folder that holds
everything which was acknowledged before it began.

The order makes that true. Journals come first: what they no longer hold by then is in the store,
which comes after them. The catalog comes last, so that it knows every source that the store counts.
Runs are opened in the store's own moment, since the meter may replace them.
"""

from __future__ import annotations

import contextlib
import os
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, TypeVar

from headcount import __version__
from headcount.backup.files import (
    Progress,
    check_room,
    checksum_of,
    copy_stream,
    fresh_folder,
    is_within,
)
from headcount.backup.manifest import (
    BACKUP_FORMAT,
    CopiedFile,
    HashKey,
    Manifest,
    write_manifest,
)
from headcount.catalog import HashKeys
from headcount.catalog.view import catalog_view
from headcount.datafolder import FORMAT_VERSION, DataFolder, hash_key_lines, read_hash_keys
from headcount.durable import open_file, sync, write_new
from headcount.errors import DataFolderError, UsageError
from headcount.integrity import refuse_faults
from headcount.journal.view import journal_view
from headcount.sqlite.reading import copy_database, damage
from headcount.store.runs import Run
from headcount.store.view import StoredRun, store_view

__all__ = ["back_up"]

T = TypeVar("T")

_SEE_DOCTOR = "See `headcount doctor`; a damaged data folder is not backed up."


def back_up(
    folder: DataFolder,
    hash_key: Path | None,
    destination: Path,
    taken_at: str,
    progress: Progress,
    *,
    with_key: bool,
) -> Manifest:
    """Copy a data folder, and verify the copy.

    Args:
        folder: the folder; a server may run on it.
        hash_key: where the hash key lies; the folder's `hash.key` when None.
        destination: a new or empty folder.
        taken_at: the moment, for the manifest.
        progress: hears how far it is.
        with_key: put the hash key into the backup.

    Raises:
        UsageError: the destination is the data folder or lies in it, or the folder is a node's.
        DataFolderError: the destination is not empty, the disk is full, or the data folder is
            damaged; nothing of the copy is left then.
    """
    if is_within(destination, folder.path):
        raise UsageError(
            f"{destination} lies in the data folder {folder.path} itself.",
            "Name a folder outside of it, best on another disk.",
        )
    if folder.cluster.exists():
        # Its journals are behind the log, and its sums have no keys: no server could go on there.
        raise UsageError(
            f"{folder.path} is a node of a cluster: what it counts lies in partitions, and a copy"
            " of the folder could not be counted on.",
            "Give `headcount serve` --backups DIR, which keeps copies of its partitions; keep the"
            " hash key, and copy the engine's database by the engine's own means. See"
            " docs/cluster.md.",
        )
    # What is gone here would be gone from the backup, and nobody could see it there.
    refuse_faults(folder.path)
    copy = DataFolder(destination)
    with fresh_folder(destination, "backup"):
        _begin(folder, destination, progress)
        for path in folder.journal_files():
            with journal_view(path) as journal:
                copy_database(journal.connection, copy.journals / path.name, progress.advanced)
        _copy_store(folder, copy, progress)
        with catalog_view(folder.catalog) as catalog:
            copy_database(catalog.connection, copy.catalog, progress.advanced)
            keys = catalog.hash_keys()
        key = _copy_key(hash_key or folder.hash_key, keys, copy, with_key=with_key)
        _verify(copy)
        files = _files(destination, progress)
        for each in (*(p for p in destination.iterdir() if p.is_dir()), destination):
            sync(each)
        manifest = Manifest(BACKUP_FORMAT, FORMAT_VERSION, __version__, taken_at, key, files)
        write_manifest(destination, manifest)
        sync(destination.absolute().parent)
    return manifest


def _begin(folder: DataFolder, destination: Path, progress: Progress) -> None:
    places = [
        folder.catalog,
        folder.store,
        *folder.journal_files(),
        *folder.key_files(),
    ]
    total = 0
    for path in places:
        # The meter may replace a run at any moment.
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    check_room(destination, total)
    progress.begins("Copying", total)


def _copy_store(folder: DataFolder, copy: DataFolder, progress: Progress) -> None:
    if not folder.store.exists():
        return
    with ExitStack() as stack:

        def opened(path: Path) -> BinaryIO:
            return stack.enter_context(os.fdopen(open_file(path), "rb"))

        with store_view(folder.store, opened) as store:
            for run in store.runs:
                _insist(run)
            copy_database(store.connection, copy.store, progress.advanced)
        keys = copy.keys
        keys.mkdir(mode=0o700)
        for run in store.runs:
            if run.opened is not None:
                copy_stream(run.opened, keys / run.name, progress.advanced)


def _insist(run: StoredRun[T]) -> T:
    if run.opened is None:
        raise DataFolderError(run.refusal, _SEE_DOCTOR)
    return run.opened


def _copy_key(place: Path, keys: HashKeys, copy: DataFolder, *, with_key: bool) -> HashKey | None:
    if keys.fingerprint is None:
        return None
    if with_key:
        found = read_hash_keys(place)
        if not set(keys.fingerprints) <= set(found):
            raise DataFolderError(
                f"{place} holds another hash key than the one that was counted under.",
                "Name the right one with --hash-key, or leave it out with --without-key.",
            )
        write_new(copy.hash_key, hash_key_lines(found[each] for each in keys.fingerprints))
    return HashKey(keys.fingerprint, with_key, keys.next_fingerprint)


def _verify(copy: DataFolder) -> None:
    """Read the copy as a server would, and whole."""
    for path in copy.journal_files():
        with journal_view(path) as journal:
            _refuse(path, damage(journal.connection) or next(journal.faults(), None))
    with catalog_view(copy.catalog) as catalog:
        _refuse(copy.catalog, damage(catalog.connection) or next(catalog.faults(), None))
    if not copy.store.exists():
        return
    with store_view(copy.store, Run) as store:
        _refuse(copy.store, damage(store.connection) or next(store.faults(), None))
        for run in store.runs:
            if not _insist(run).intact():
                _refuse(copy.keys / run.name, "its checksum is wrong")


def _refuse(path: Path, fault: str | None) -> None:
    if fault:
        raise DataFolderError(f"{path} is damaged: {fault}.", _SEE_DOCTOR)


def _files(folder: Path, progress: Progress) -> list[CopiedFile]:
    unfinished = DataFolder(folder).unfinished
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != unfinished)
    sizes = [path.stat().st_size for path in paths]
    progress.begins("Verifying", sum(sizes))
    return [
        CopiedFile(str(path.relative_to(folder)), size, checksum_of(path, progress.advanced))
        for path, size in zip(paths, sizes, strict=True)
    ]
