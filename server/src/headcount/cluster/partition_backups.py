"""Backups of partitions, by which another node counts on: takes a partition's folder, one that is
counted meanwhile or not, gives a verified copy of one moment; and back.

A backup says up to which entries it has each queue: so it is known what the journals have to keep
until then (`--prune-after backup`). The newest is the one of the highest epoch, and of those the
one that was taken last. A copy that was not finished has another name, and is no backup.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import msgspec

from headcount.cluster.placement import Partition
from headcount.durable import open_file, opened_new, put_whole, read_small, sync
from headcount.errors import DamagedDataError, DataFolderError
from headcount.layout import DataFolder
from headcount.remedies import remedy_for
from headcount.sqlite.reading import copy_database, damage
from headcount.store.runs import Run
from headcount.store.view import store_view

__all__ = [
    "PartitionBackup",
    "altered_file",
    "back_up_partition",
    "newest_backup",
    "place_of_backups",
    "restore_partition",
]

_MANIFEST = DataFolder(Path()).manifest.name
_DRAFT = ".draft-"
_KEPT = 2
_CHUNK_BYTES = 1 << 20


class PartitionBackup(msgspec.Struct, frozen=True):
    """What a backup of a partition says of itself.

    Attributes:
        cluster: the cluster's id.
        partition: the partition's name.
        epoch: of the owner that took it.
        taken_at_ms: when, milliseconds since 1970.
        positions: UUID of a queue to the last entry of it that is counted in the backup.
        files: path in the backup to its checksum.
        path: where it lies; empty in the file itself.
    """

    cluster: str
    partition: str
    epoch: int
    taken_at_ms: int
    positions: dict[str, int]
    files: dict[str, str]
    path: str = ""


def place_of_backups(backups: Path, cluster: str, partition: Partition) -> Path:
    """The folder of a partition's backups."""
    return backups / cluster[:8] / str(partition)


def back_up_partition(
    folder: Path, backups: Path, cluster: str, partition: Partition, epoch: int, now_ms: int
) -> PartitionBackup:
    """Copy a partition as it is now, verify the copy, and let older ones but one go.

    Args:
        folder: the partition's.
        backups: the setting.
        cluster: the cluster's id.
        partition: which.
        epoch: of its owner, which this node is.
        now_ms: milliseconds since 1970.

    Raises:
        DataFolderError: the disk refused, or what is there is damaged; nothing of the copy is left.
    """
    place = place_of_backups(backups, cluster, partition)
    name = f"{epoch:08d}-{now_ms:014d}"
    draft = place / f"{_DRAFT}{name}"
    with _refusals_named(place):
        try:
            draft.mkdir(mode=0o700, parents=True)
            positions = _copy(folder, draft)
            files = {
                str(each.relative_to(draft)): _checksum(each)
                for each in sorted(draft.rglob("*"))
                if each.is_file()
            }
            made = PartitionBackup(cluster, str(partition), epoch, now_ms, positions, files)
            put_whole(draft / _MANIFEST, msgspec.json.encode(made))
            for each in (DataFolder(draft).keys, draft):
                sync(each)
            draft.rename(place / name)
            sync(place)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        _remove_older(place)
    return msgspec.structs.replace(made, path=str(place / name))


def _copy(folder: Path, draft: Path) -> dict[str, int]:
    """Copy a store and the runs that it names; up to which entries it has counted each queue."""
    source, copy = DataFolder(folder), DataFolder(draft)
    with ExitStack() as stack:

        def opened(path: Path) -> BinaryIO:
            return stack.enter_context(os.fdopen(open_file(path), "rb"))

        with store_view(source.store, opened) as store:
            runs = list(store.runs)
            if refused := next((run for run in runs if run.opened is None), None):
                raise DamagedDataError(refused.refusal, "See `headcount doctor`.")
            copy_database(store.connection, copy.store, lambda _: None)
            positions = store.positions()
        copy.keys.mkdir(mode=0o700)
        for run in runs:
            assert run.opened is not None, "those that are not were refused"
            with opened_new(copy.keys / run.name) as target:
                shutil.copyfileobj(run.opened, target, _CHUNK_BYTES)
    with store_view(copy.store, Run) as copied:
        fault = damage(copied.connection) or next(copied.faults(), None)
        broken = [run.name for run in copied.runs if run.opened is None or not run.opened.intact()]
    if fault or broken:
        raise DamagedDataError(
            f"{folder} is damaged: {fault or broken[0]}.",
            "A damaged partition is not backed up; see `headcount doctor`.",
        )
    return positions


def newest_backup(backups: Path, cluster: str, partition: Partition) -> PartitionBackup | None:
    """The newest backup of a partition; None where there is none.

    Raises:
        DataFolderError: the folder of backups cannot be read.
    """
    place = place_of_backups(backups, cluster, partition)
    with _refusals_named(place):
        if not place.is_dir():
            return None
        for each in sorted(place.iterdir(), reverse=True):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
                if not each.name.startswith("."):
                    found = msgspec.json.decode(read_small(each / _MANIFEST), type=PartitionBackup)
                    return msgspec.structs.replace(found, path=str(each))
    return None


def altered_file(backup: PartitionBackup) -> Path | None:
    """A file of a backup that is not what was written, or is gone; None for none.

    Raises:
        DataFolderError: one cannot be read.
    """
    for name, checksum in backup.files.items():
        path = Path(backup.path) / name
        with _refusals_named(path):
            if not path.is_file() or _checksum(path) != checksum:
                return path
    return None


def restore_partition(backup: PartitionBackup, folder: Path) -> None:
    """Make a partition's folder out of a backup, each file checked; the folder must not be there.

    Raises:
        DataFolderError: a file is not what was written, or the disk refused; no folder is left.
    """
    source = Path(backup.path)
    draft = folder.with_name(f"{_DRAFT}{folder.name}")
    with _refusals_named(folder):
        shutil.rmtree(draft, ignore_errors=True)
        try:
            DataFolder(draft).keys.mkdir(mode=0o700, parents=True)
            for name, checksum in backup.files.items():
                with (source / name).open("rb") as file, opened_new(draft / name) as target:
                    shutil.copyfileobj(file, target, _CHUNK_BYTES)
                if _checksum(draft / name) != checksum:
                    raise DamagedDataError(
                        f"{source / name} is not what was backed up.",
                        f"Take {source} away: the backup before it is used then.",
                    )
            for each in (DataFolder(draft).keys, draft):
                sync(each)
            draft.rename(folder)
            sync(folder.parent)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def _remove_older(place: Path) -> None:
    names = sorted(each.name for each in place.iterdir() if not each.name.startswith("."))
    for name in names[:-_KEPT]:
        shutil.rmtree(place / name, ignore_errors=True)


def _checksum(path: Path) -> str:
    checksum = hashlib.blake2b(digest_size=32)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum.update(chunk)
    return checksum.hexdigest()


@contextlib.contextmanager
def _refusals_named(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataFolderError(
            f"{error.filename or place} cannot be used: {error.strerror or error}.",
            remedy_for(error),
        ) from error
