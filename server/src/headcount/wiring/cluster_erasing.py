"""Erasing deleted workspaces in a cluster: takes the catalog, has partitions and mirrors forget.

One node says in the cluster's catalog that a workspace is erased, once that is due: from then on
nobody can take its deletion back. Every partition erases it when all that was taken before is
counted, as a single machine does when its journals are drained, and every mirror what it shows of
it. All look about once a minute and for ever: a partition may be put back to an older copy.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from headcount.catalog import Catalog
from headcount.stages.mirror import Mirror
from headcount.stages.partition_meter import PartitionMeter

__all__ = ["ErasedWorkspaces", "say_erased"]

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 60.0


def say_erased(catalog: Catalog, now_ms: int) -> None:
    """Erase the names of workspaces that are due, in the cluster's catalog.

    Raises:
        CatalogUnchangedError: the registry is away, or somebody else changes it.
        DataFolderError: this node's catalog cannot be used.
    """
    for each in catalog.deletions():
        if each.erased_at_ms is None and now_ms >= each.erase_from_ms:
            catalog.erase_workspace(each.number, now_ms)
            _log.info("workspace %d was deleted, and is erased", each.number)


class ErasedWorkspaces:
    """The workspaces that are erased, as a process of a node sees them.

    Args:
        catalog: this node's copy.
        monotonic_s: a clock that nobody sets.
    """

    def __init__(self, catalog: Catalog, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._monotonic_s = monotonic_s
        self._version = -1
        self._erased: dict[int, int] = {}
        self._due_at_s = float("-inf")
        self._erased_by: dict[str, frozenset[int]] = {}

    def _look(self) -> None:
        version = self._catalog.version()
        if version == self._version:
            return
        deletions = self._catalog.deletions()
        erased = {each.number: each.erased_at_ms for each in deletions if each.erased_at_ms}
        if erased != self._erased:
            self._due_at_s = float("-inf")
        self._version, self._erased = version, erased

    def numbers(self) -> set[int]:
        """Their numbers.

        Raises:
            DataFolderError: the catalog cannot be used.
        """
        self._look()
        return set(self._erased)

    def erase(self, meters: Iterable[PartitionMeter]) -> None:
        """Have partitions erase them, about once a minute, and each once all is counted that was
        taken before; to be called about once a second.

        Raises:
            DataFolderError: the catalog cannot be used.
            StorageUnavailableError: the disk refused; it is tried again.
        """
        self._look()
        is_due = self._is_due()
        for meter in meters if self._erased else ():
            until_ms = meter.until_ms() or 0
            due = frozenset(each for each, at_ms in self._erased.items() if at_ms <= until_ms)
            # What waits for a silent node must not have all else looked at each time.
            if due and (is_due or due - self._erased_by.get(meter.name, frozenset())):
                meter.erase(due)
                self._erased_by[meter.name] = due
        if is_due:
            self._done()

    def erase_shown(self, mirror: Mirror) -> None:
        """Have a mirror erase them, about once a minute; raises as `erase`."""
        self._look()
        if self._is_due():
            mirror.erase()
            self._done()

    def _is_due(self) -> bool:
        return bool(self._erased) and self._monotonic_s() >= self._due_at_s

    def _done(self) -> None:
        self._due_at_s = self._monotonic_s() + _LOOK_EVERY_S
