"""Restoring: takes a backup, gives a data folder on which a server can start.

A journal in the backup may be older than the store in it, which has metered further since: its next
id is raised above the store's position, or what is written there would be taken for counted. The
folder says that it is a data folder only once all this is done, so a half restored one is refused.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from headcount.backup.files import (
    Progress,
    check_room,
    copy_stream,
    fresh_folder,
    is_within,
)
from headcount.backup.manifest import HashKey, Manifest, read_manifest
from headcount.catalog import Catalog
from headcount.catalog.view import catalog_view
from headcount.datafolder import (
    FORMAT_VERSION,
    DataFolder,
    hash_key_lines,
    mark_data_folder,
    read_hash_keys,
)
from headcount.durable import sync, write_new
from headcount.errors import DataFolderError, UsageError
from headcount.identity import Identity, begin_identity, fresh_uuid
from headcount.integrity import refuse_faults
from headcount.journal import JournalFile
from headcount.store.opening import open_store
from headcount.store.runs import Run
from headcount.store.view import store_view
from headcount.upgrade import remove_former, upgrade_databases

__all__ = ["restore"]

_HASH_KEY = DataFolder(Path()).hash_key.name
_ANOTHER = "Copy the backup again from where it came, or use another one."


def restore(backup: Path, data: Path, hash_key: Path | None, progress: Progress) -> Manifest:
    """Make a data folder out of a backup.

    Args:
        backup: the folder that `back_up` made.
        data: a new or empty folder.
        hash_key: where the hash key lies, or is to lie; the data folder's `hash.key` when None.
        progress: hears how far it is.

    Raises:
        UsageError: one of the two folders lies in the other, or the hash key is to be named.
        DataFolderError: the backup is not whole or is damaged, the data folder is not empty, or the
            disk is full; nothing of the restored folder is left then.
    """
    if is_within(data, backup) or is_within(backup, data):
        raise UsageError(
            f"{data} and the backup {backup} lie in one another.", "Name another data folder."
        )
    manifest = read_manifest(backup)
    folder = DataFolder(data)
    place = hash_key or folder.hash_key
    key = _key(backup, manifest.hash_key, place)
    with fresh_folder(data, "restore"):
        check_room(data, manifest.total_bytes)
        progress.begins("Restoring", manifest.total_bytes)
        for file in manifest.files:
            if file.path == _HASH_KEY:
                continue
            target = data / file.path
            target.parent.mkdir(mode=0o700, exist_ok=True)
            with (backup / file.path).open("rb") as source:
                if copy_stream(source, target, progress.advanced) != file.blake2b:
                    raise DataFolderError(
                        f"{backup / file.path} is damaged: its checksum is another than when the"
                        " backup was taken.",
                        _ANOTHER,
                    )
        if manifest.data_format < FORMAT_VERSION:
            upgrade_databases(data)
            remove_former(data)
        else:
            with catalog_view(folder.catalog) as catalog:
                installation = catalog.part.installation
            begin_identity(data, Identity(installation or fresh_uuid()))
        _raise_next_ids(folder)
        for each in (*(p for p in data.iterdir() if p.is_dir()), data):
            sync(each)
        if key is not None:
            write_new(place, key)
        try:
            mark_data_folder(data)
        except OSError:
            if key is not None:
                place.unlink()
            raise
    return manifest


def _key(backup: Path, expected: HashKey | None, place: Path) -> bytes | None:
    """What is to be written to the key's place: None where it is there already, or not needed."""
    if expected is None:
        return None
    content = None
    wanted = " and ".join(expected.fingerprints)
    if place.exists():
        found = read_hash_keys(place)
    elif expected.included:
        found = read_hash_keys(backup / _HASH_KEY)
        content = hash_key_lines(found.values())
    else:
        raise UsageError(
            f"This backup was taken without its hash key, whose fingerprint is {wanted}.",
            "Name the key's file with --hash-key, here and for `headcount serve`.",
        )
    if not set(expected.fingerprints) <= set(found):
        raise DataFolderError(
            f"The hash key in {place if content is None else backup / _HASH_KEY} has the"
            f" fingerprint {' and '.join(found)}, and the backup was counted under {wanted}.",
            "Name the right one with --hash-key.",
        )
    return content


def _raise_next_ids(folder: DataFolder) -> None:
    """Open everything as a server would, and see that no id comes twice."""
    with Catalog(folder.catalog) as catalog:
        catalog.check()
    positions: dict[str, int] = {}
    if folder.store.exists():
        with closing(open_store(folder.store)) as opened:
            if opened.files is not None:
                opened.files.check()
        with store_view(folder.store, Run) as store:
            positions = store.positions()
            for run in store.runs:
                if run.opened is None:
                    raise DataFolderError(run.refusal, _ANOTHER)
    for path in folder.journal_files():
        with closing(JournalFile(path)) as journal:
            journal.skip_to(positions.get(journal.uuid, 0))
    refuse_faults(folder.path)
