"""Which store there is behind the protocol: the one place that knows.

Takes where the keys and counts of a data folder are, gives the store that keeps them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headcount.store.protocol import MeterStore
from headcount.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from headcount.store.partition_protocol import MirrorStore, PartitionStore

__all__ = ["open_mirror_store", "open_partition_store", "open_store", "open_whole_sums"]


def open_store(place: Path, *, vfs: str | None = None, read_only: bool = False) -> MeterStore:
    """The store of a data folder; the embedded one, which is all that there are today.

    Args:
        place: its database file; made when missing.
        vfs: name of the APSW VFS to go through; the system's when None.
        read_only: for a disk that takes no writes; the file must be there.

    Raises:
        DataFolderError: the file cannot be used as it is; DamagedDataError: it is damaged, lacks
            what was committed, or is of another installation.
    """
    return SqliteStore(place, vfs=vfs, read_only=read_only)


def open_whole_sums(place: Path, *, read_only: bool = False) -> MeterStore:
    """The store of a cluster's node, for readers; as `open_store`.

    It answers nothing until all partitions are in its sums.
    """
    from headcount.store.partition import WholeSums

    return WholeSums(place, read_only=read_only)


def open_partition_store(place: Path) -> PartitionStore:
    """The store of a cluster's partition; as `open_store`."""
    from headcount.store.partition import SqlitePartitionStore

    return SqlitePartitionStore(place)


def open_mirror_store(place: Path) -> MirrorStore:
    """The store of a cluster's node, for its mirror; as `open_store`."""
    from headcount.store.partition import SqliteMirrorStore

    return SqliteMirrorStore(place)
