"""The folders of a node's partitions: takes owners and epochs, gives stores to be counted into.

A partition's first owner makes its folder. Later ones need what was counted before: without it they
refuse, rather than count from the middle. A folder whose epoch is not the one in which it is owned
now was put back, or moved: what it hands on is then another queue, and its counts are another copy.
"""

from __future__ import annotations

from pathlib import Path

from headcount.cluster.placement import Partition
from headcount.datafolder import DataFolder, FolderLock
from headcount.durable import put_whole, read_small
from headcount.errors import DataFolderError
from headcount.store.partition import PartitionStore

__all__ = ["OpenPartition", "open_partition", "partition_folder"]


class OpenPartition:
    """A partition's store, locked for this process.

    Args:
        lock: held until it is closed.
        store: the store.
    """

    def __init__(self, lock: FolderLock, store: PartitionStore) -> None:
        self._lock = lock
        self.store = store

    def close(self) -> None:
        """Close the store and give up the lock; idempotent."""
        self.store.close()
        self._lock.release()


def partition_folder(folder: DataFolder, partition: Partition) -> DataFolder:
    """Where a partition lies in a node's data folder."""
    return DataFolder(folder.partitions / str(partition))


def open_partition(folder: DataFolder, partition: Partition, epoch: int) -> OpenPartition:
    """A partition's store, to be counted into by its owner.

    Args:
        folder: the node's data folder.
        partition: which.
        epoch: the how-manieth owner this node is.

    Raises:
        DataFolderError: it is not here, is used by another process, or cannot be used as it is.
    """
    place = partition_folder(folder, partition)
    if not place.store.exists() and epoch > 1:
        raise DataFolderError(
            f"{partition} was counted by another node before, and what it counted is not here.",
            f"Put its folder or its newest backup to {place.path}; it counts on from there.",
        )
    place.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock(place.meter_lock, "serve")
    try:
        store = PartitionStore(place.store)
        try:
            _take_epoch(place.path / "epoch", store, epoch)
        except BaseException:
            store.close()
            raise
    except BaseException:
        lock.release()
        raise
    return OpenPartition(lock, store)


def _take_epoch(file: Path, store: PartitionStore, epoch: int) -> None:
    """Write down whose it is now; its outbox is another queue where it was another's before."""
    try:
        former = read_small(file).decode().strip()
    except FileNotFoundError:
        former = ""
    if former == str(epoch):
        return
    if former or epoch > 1:
        store.outbox.renew()
    put_whole(file, str(epoch).encode())
