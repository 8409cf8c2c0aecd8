"""What is noted of a loss, in words: takes what a node sees of one, gives the note that is kept.

Also says, for as long as that is so, that something stands on one disk alone.
"""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import NamedTuple

from headcount.clock import now_ms
from headcount.cluster.losses import LossFolder, NotedLoss, made_of_before, within_words
from headcount.cluster.overview import ClusterStatus
from headcount.datafolder import DataFolder
from headcount.errors import StorageUnavailableError
from headcount.runfiles import read_whole
from headcount.stages.counts_less import CountsLess
from headcount.terminal import moment_text
from headcount.troubles import Troubles
from headcount.wording import number_of

__all__ = ["LossWatch", "Restored", "loss_of_less", "loss_of_restoring", "note_loss"]

_log = logging.getLogger(__name__)

_AT_RISK = "cluster_at_risk"


class Restored(NamedTuple):
    """A partition that is counted on from a backup, or a folder that may be older than it was.

    Attributes:
        name: the partition's.
        epoch: its owner's.
        lost_at_ms: when the log had last lost something, as it knows itself.
        taken_at_ms: when the backup was taken; None for a folder of its own.
        latest_ms: when the latest of what it has was appended.
    """

    name: str
    epoch: int
    lost_at_ms: int
    taken_at_ms: int | None
    latest_ms: int


class LossWatch:
    """Notes which partitions of this node are counted on from before the log lost something, and
    says that a disk must not be parted with.

    Args:
        folder: the node's data folder.
        troubles: where it is said.
    """

    def __init__(self, folder: DataFolder, troubles: Troubles) -> None:
        self._folder = folder
        self._troubles = troubles
        self._opened: list[Restored] = []
        self._noted: set[str] = set()

    def opened(self, restored: Restored) -> None:
        """Learn from where a partition is counted on."""
        self._opened.append(restored)

    def look(self, caught_up: Container[str]) -> None:
        """Hold that against what the cluster knows: once, of one that is made of a backup until it
        has caught up, since the log may lose meanwhile what it has not read.

        Args:
            caught_up: names of partitions that lack nothing now.

        Raises:
            StorageUnavailableError: the disk refused; the next look tries it again.
        """
        status = read_whole(self._folder.cluster_status, ClusterStatus)
        if status is None:
            return
        for restored in self._opened:
            loss = loss_of_restoring(restored, status, now_ms())
            if loss is not None and loss.key not in self._noted:
                note_loss(self._folder, loss)
                self._noted.add(loss.key)
        self._opened = [
            each
            for each in self._opened
            if each.taken_at_ms is not None and each.name not in caught_up
        ]
        if status.at_risk:
            remedy = "Owners back them up at once, where --backups names a folder."
            self._troubles.begin(_AT_RISK, " ".join(status.at_risk), remedy, hinders=False)
        else:
            self._troubles.end(_AT_RISK)


def note_loss(folder: DataFolder, loss: NotedLoss) -> None:
    """Note a loss for good, and log it.

    Raises:
        StorageUnavailableError: the disk refused.
    """
    try:
        LossFolder(folder.losses).note(loss)
    except OSError as error:
        raise StorageUnavailableError("a loss cannot be noted") from error
    _log.error("%s", loss.sentence)


def loss_of_restoring(restored: Restored, status: ClusterStatus, now_ms: int) -> NotedLoss | None:
    """The loss that it means that a partition is counted on from there; None for none.

    Args:
        restored: the partition.
        status: the cluster, as this node saw it.
        now_ms: milliseconds since 1970.
    """
    of_partition = {each.name: each for each in status.partitions}.get(restored.name)
    lost_at_ms = made_of_before(
        restored.lost_at_ms,
        0 if of_partition is None else of_partition.log_lost_at,
        status.log_lost_at(),
        restored.taken_at_ms,
        None if of_partition is None else of_partition.former_said_at,
    )
    if lost_at_ms is None:
        return None
    since_ms = min(restored.taken_at_ms or restored.latest_ms, lost_at_ms)
    of = "its backup" if restored.taken_at_ms is not None else "an older copy of its folder"
    return NotedLoss(
        f"before-{restored.name}-{restored.epoch}-{lost_at_ms}",
        now_ms,
        since_ms,
        lost_at_ms,
        f"{restored.name} is counted on from {of} of {moment_text(since_ms)}, and the log has lost"
        f" what came until {moment_text(lost_at_ms)}: what was taken in between comes again out of"
        " journals that still have it, in another order than before. So a message that was"
        " delivered in two months may count in the other one than was shown, with its ids in both.",
    )


def loss_of_less(less: CountsLess, now_ms: int) -> NotedLoss:
    """The loss that it means that a partition's counts are smaller than they were.

    Args:
        less: by how much.
        now_ms: milliseconds since 1970.
    """
    lacks = [
        number_of(count, *words)
        for count, words in (
            (less.api_calls, ("API call", "that was shown", "that were shown")),
            (less.ids, ("tracked id", "that was shown", "that were shown")),
            (less.entries, ("journal entry", "that it had counted", "that it had counted")),
        )
        if count
    ]
    return NotedLoss(
        f"less-{less.partition}-{less.lineage[:8]}",
        now_ms,
        less.since_ms,
        less.until_ms,
        f"{less.partition} goes on from an older state since {moment_text(now_ms)} and lacks"
        f" {' and '.join(lacks)}, of what was taken"
        f" {within_words(less.since_ms, less.until_ms)} or shortly before: nobody has them any"
        " more, or they count in another month.",
    )
