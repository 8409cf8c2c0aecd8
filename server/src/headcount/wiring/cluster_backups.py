"""Backing up the partitions that this node counts, one after the other, beside the counting.

Takes which partitions are owned, gives what the newest backup of each holds: by that, where it is
told to, a partition says up to which entries journals may let go.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from headcount.clock import now_ms
from headcount.cluster.partition_backups import (
    PartitionBackup,
    back_up_partition,
    newest_backup,
)
from headcount.cluster.placement import Partition
from headcount.datafolder import DataFolder
from headcount.errors import DataFolderError
from headcount.troubles import Troubles
from headcount.wiring.errors_explained import explained

__all__ = ["PartitionBackups"]

_log = logging.getLogger(__name__)

_FAILS = "cluster_backup"
_RETRY_S = 60.0


class PartitionBackups:
    """The backups of this node's partitions.

    Args:
        folder: the node's data folder.
        backups: where they go; None for nowhere.
        cluster: the cluster's id.
        every_s: how old the newest backup of a partition may become.
        troubles: where it is said that one fails.
    """

    def __init__(
        self,
        folder: DataFolder,
        backups: Path | None,
        cluster: str,
        every_s: float,
        troubles: Troubles,
    ) -> None:
        self._folder = folder
        self._backups = backups
        self._cluster = cluster
        self._every_s = every_s
        self._troubles = troubles
        self._newest: dict[Partition, PartitionBackup] = {}
        self._due_at_s: dict[Partition, float] = {}
        self._looked_at_s = float("-inf")
        self._under_way: threading.Thread | None = None
        self._failed: dict[Partition, Exception] = {}

    def newest(self, partition: Partition) -> PartitionBackup | None:
        """The newest backup of a partition that this process knows of."""
        return self._newest.get(partition)

    def positions(self, partition: Partition) -> Mapping[str, int]:
        """Up to which entries the newest backup has each queue; nothing without one."""
        found = self._newest.get(partition)
        return {} if found is None else found.positions

    def look(self, owned: Mapping[Partition, int], log_lost: Mapping[Partition, int] = {}) -> None:
        """Begin the next backup that is due; to be called about once a second.

        Args:
            owned: partitions that are counted here, with their epochs.
            log_lost: when the log has lost what they had counted, milliseconds since 1970: one
                whose newest backup is older is backed up at once, before all others.
        """
        if self._backups is None or (self._under_way and self._under_way.is_alive()):
            return
        self._say()
        now_s = time.monotonic()
        self._forget_those_gone(now_s)
        for partition in owned:
            if partition not in self._due_at_s:
                self._due_at_s[partition] = now_s + self._due_in_s(partition)
        alone = [each for each in owned if self._stands_alone(each, log_lost.get(each, 0))]
        for partition in alone:
            if partition not in self._failed:
                self._due_at_s[partition] = now_s
        for partition in (*alone, *owned):
            epoch = owned[partition]
            if now_s >= self._due_at_s[partition]:
                self._due_at_s[partition] = now_s + self._every_s
                self._under_way = threading.Thread(
                    target=self._back_up, args=(partition, epoch, self._backups), daemon=True
                )
                self._under_way.start()
                return

    def _forget_those_gone(self, now_s: float) -> None:
        """See, now and then, that backups are still there: whoever emptied the folder, or left its
        share out, took away what journals and the log were let go for."""
        if now_s - self._looked_at_s < _RETRY_S:
            return
        self._looked_at_s = now_s
        for partition, backup in list(self._newest.items()):
            if not Path(backup.path).exists():
                _log.error("the backup of %s is gone: %s", partition, backup.path)
                del self._newest[partition]
                self._due_at_s[partition] = now_s

    def _stands_alone(self, partition: Partition, log_lost_at_ms: int) -> bool:
        """Whether neither the log nor a backup has what a partition had counted by a moment."""
        newest = self._newest.get(partition)
        return log_lost_at_ms > 0 and (newest is None or newest.taken_at_ms <= log_lost_at_ms)

    def _due_in_s(self, partition: Partition) -> float:
        """How long the newest one of before is good enough."""
        assert self._backups is not None
        try:
            found = newest_backup(self._backups, self._cluster, partition)
        except DataFolderError as error:
            self._failed[partition] = error
            return _RETRY_S
        if found is None:
            return 0.0
        self._newest[partition] = found
        return max(0.0, self._every_s - (now_ms() - found.taken_at_ms) / 1000)

    def _back_up(self, partition: Partition, epoch: int, backups: Path) -> None:
        place = self._folder.partition(str(partition)).path
        try:
            self._newest[partition] = back_up_partition(
                place, backups, self._cluster, partition, epoch, now_ms()
            )
            self._failed.pop(partition, None)
        except Exception as error:  # said by the next look
            self._failed[partition] = error
            self._due_at_s[partition] = time.monotonic() + min(_RETRY_S, self._every_s)

    def _say(self) -> None:
        for partition, error in self._failed.items():
            said, remedy = explained(error)
            self._troubles.begin(
                _FAILS, f"{partition} is not backed up: {said}", remedy, hinders=False
            )
            return
        self._troubles.end(_FAILS)

    def end(self) -> None:
        """Wait for a backup that is under way, a few seconds at most."""
        if self._under_way is not None:
            self._under_way.join(2.0)
