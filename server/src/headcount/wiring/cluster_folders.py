"""The folders of a node's partitions: takes owners and epochs, gives stores to be counted into.

Which folder that is, `headcount.cluster.partition_folders` says. What one hands on that was put
back, or moved, is another queue, and its counts are another copy.
"""

from __future__ import annotations

from pathlib import Path

from headcount.cluster.partition_folders import counted_in, prepared_folder
from headcount.cluster.partition_lives import PartitionLives
from headcount.cluster.placement import Partition
from headcount.datafolder import DataFolder, FolderLock
from headcount.store.opening import open_partition_store
from headcount.store.partition_protocol import PartitionStore

__all__ = ["OpenPartition", "open_partition"]


class OpenPartition:
    """A partition's store, locked for this process.

    Args:
        lock: held until it is closed.
        store: the store.
        renewed: whether it was not sure to be as this node had left it.
        taken_at_ms: when the backup was taken that it is made of; None for a folder of its own.

    Attributes:
        store, renewed, taken_at_ms: the same.
    """

    def __init__(
        self, lock: FolderLock, store: PartitionStore, *, renewed: bool, taken_at_ms: int | None
    ) -> None:
        self._lock = lock
        self.store = store
        self.renewed = renewed
        self.taken_at_ms = taken_at_ms

    def close(self) -> None:
        """Close the store and give up the lock; idempotent."""
        self.store.close()
        self._lock.release()


def open_partition(
    folder: DataFolder,
    cluster: str,
    partition: Partition,
    epoch: int,
    backups: Path | None,
    lives: PartitionLives,
) -> OpenPartition:
    """A partition's store, to be counted into by its owner.

    Args:
        folder: the node's data folder.
        cluster: the cluster's id.
        partition: which.
        epoch: the how-manieth owner this node is.
        backups: the setting: where the newest backup may be.
        lives: of this node.

    Raises:
        DataFolderError: it is not here, is used by another process, or cannot be used as it is.
    """
    place = folder.partition(str(partition))
    prepared = prepared_folder(folder, cluster, partition, epoch, backups, lives)
    lock = FolderLock(place.meter_lock, "serve")
    try:
        store = open_partition_store(place.store)
        try:
            if prepared.renewed:
                store.outbox.renew()
            counted_in(place.path, cluster, epoch, lives.run)
        except BaseException:
            store.close()
            raise
    except BaseException:
        lock.release()
        raise
    backup = prepared.from_backup
    taken_at_ms = None if backup is None else backup.taken_at_ms
    return OpenPartition(lock, store, renewed=prepared.renewed, taken_at_ms=taken_at_ms)
