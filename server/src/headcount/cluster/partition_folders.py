"""The folders of the partitions that a node counts: takes which partition in which epoch, gives a
folder from which it can be counted on.

A folder knows in which epoch it was last counted. In the same one it is simply opened again, if it
is as this node left it (`partition_lives`). Else it may be older than what was handed on, and in
a later epoch others may have counted on meanwhile: then the newest backup is taken, if it is newer
than the folder, which is put aside; and what stands in either is handed on as another queue, so
that nobody takes its entries for those that were handed on since. The first owner makes the folder.
Later ones need what was counted before: without it they refuse, rather than count from the middle.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from pathlib import Path
from typing import NamedTuple

import msgspec

from headcount.cluster.file_births import birth_of
from headcount.cluster.partition_backups import PartitionBackup, newest_backup, restore_partition
from headcount.cluster.partition_lives import Counted, PartitionLives
from headcount.cluster.placement import Partition
from headcount.durable import put_whole, read_small
from headcount.errors import DamagedDataError, DataFolderError
from headcount.layout import DataFolder
from headcount.remedies import remedy_for
from headcount.sqlite.opening import damage_named
from headcount.store.view import store_view

__all__ = ["PartitionFolder", "counted_in", "prepared_folder"]

_log = logging.getLogger(__name__)

_EPOCH_FILE = "counted.json"


class PartitionFolder(msgspec.Struct, frozen=True):
    """A folder from which a partition can be counted on.

    Attributes:
        path: the folder.
        renewed: whether its outbox has to become another queue before anything is counted.
        from_backup: the backup that it was made of; None for none.
    """

    path: Path
    renewed: bool
    from_backup: PartitionBackup | None = None


def prepared_folder(
    folder: DataFolder,
    cluster: str,
    partition: Partition,
    epoch: int,
    backups: Path | None,
    lives: PartitionLives,
) -> PartitionFolder:
    """The folder of a partition that this node owns.

    Call `counted_in` once its outbox has been renewed, where that is wanted: until then, another
    try does the same again.

    Args:
        folder: the node's data folder.
        cluster: the cluster's id.
        partition: which.
        epoch: in which this node owns it.
        backups: the setting.
        lives: knows whether a folder is as this node left it.

    Raises:
        DataFolderError: the folder, or the backup that is needed, cannot be used.
    """
    path = folder.partition(str(partition)).path
    try:
        folder.partitions.mkdir(mode=0o700, exist_ok=True)
        held = _counted(path)
        if held is not None and held.cluster != cluster:
            raise DamagedDataError(
                f"{path} was counted in another cluster ({held.cluster[:8]}).",
                "Move it out of this data folder.",
            )
        state = None if held is None else _state(path)
        if (
            held is not None
            and held.epoch == epoch
            and state is not None
            and lives.is_current(held, state.file, str(partition), state.generation)
        ):
            return PartitionFolder(path, renewed=False)
        backup = None if backups is None else newest_backup(backups, cluster, partition)
        by_hand = held is None and DataFolder(path).store.exists()
        if backup is not None and not by_hand and _is_newer(backup, held, state):
            _put_aside(path)
            restore_partition(backup, path)
            _log.warning("%s is counted on from its backup of epoch %d", partition, backup.epoch)
            return PartitionFolder(path, renewed=True, from_backup=backup)
        if held is not None or by_hand:
            return PartitionFolder(path, renewed=True)
        if epoch > 1:
            raise DataFolderError(
                f"{partition} was counted by another node before, and neither that nor a backup of"
                " it is here.",
                f"Put its folder or its newest backup to {path}, or name the folder of backups with"
                " --backups; it counts on from there.",
            )
        path.mkdir(mode=0o700, exist_ok=True)
        return PartitionFolder(path, renewed=False)
    except OSError as error:
        raise DataFolderError(
            f"{error.filename or path} cannot be used: {error.strerror or error}.",
            remedy_for(error),
        ) from error


class _State(NamedTuple):
    """How far a folder has counted; when the file was made that says so."""

    file: int
    generation: int
    positions: dict[str, int]


def _state(path: Path) -> _State | None:
    store = DataFolder(path).store
    if not store.exists():
        return None
    with damage_named(store), store_view(store, lambda _: None) as view:
        return _State(birth_of(store), view.part.generation, view.positions())


def _is_newer(backup: PartitionBackup, held: Counted | None, state: _State | None) -> bool:
    """Whether a backup has more than a folder, which may be an older copy of it."""
    if held is None or state is None or backup.epoch > held.epoch:
        return True
    # Of one epoch, the owner's own folder is newer than its backups, if it was not put back.
    had = state.positions
    return backup.epoch == held.epoch and (
        any(last > had.get(queue, 0) for queue, last in backup.positions.items())
        and all(last <= backup.positions.get(queue, 0) for queue, last in had.items())
    )


def counted_in(path: Path, cluster: str, epoch: int, run: str = "") -> None:
    """Write down in which epoch, and life of its owner, a folder is counted now; durable.

    Raises:
        OSError: the disk refused.
    """
    counted = Counted(cluster, epoch, run, birth_of(DataFolder(path).store))
    put_whole(path / _EPOCH_FILE, msgspec.json.encode(counted))


def _counted(path: Path) -> Counted | None:
    with contextlib.suppress(FileNotFoundError):
        try:
            return msgspec.json.decode(read_small(path / _EPOCH_FILE), type=Counted)
        except msgspec.DecodeError as error:
            raise DamagedDataError(
                f"{path / _EPOCH_FILE} does not say in which epoch the partition was counted.",
                f"Move {path} out of the data folder: it is made anew from its backup.",
            ) from error
    return None


def _put_aside(path: Path) -> None:
    """Keep what a newer backup replaces, once: a partition may hold much."""
    if not path.exists():
        return
    aside = path.with_name(f"{path.name}.former")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
