"""The process that is a node's part in its cluster: says that it lives, copies the catalog, holds
the lease under which the node's other processes publish, and takes over from silent nodes.

Takes what the other processes say in files of `run/`, gives them the lease, and what the cluster
looks like, in the same way. Whether the registry is away is a trouble; that this node must not take
part any more ends the server.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

import msgspec

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.cluster.address import ANSWER_WITHIN_S, address_of
from headcount.cluster.control import ControlPlane, Seen
from headcount.cluster.liveness import BEAT_S
from headcount.cluster.losses import LossFolder, share_losses
from headcount.cluster.membership import MembershipFile
from headcount.cluster.membership_records import NodeRecord, PartitionReport, RelayReport
from headcount.cluster.one_catalog import OneCatalog, latest_version, newer, restore
from headcount.cluster.overview import status_of
from headcount.cluster.placement import DECIDES, names_of, write_leases
from headcount.datafolder import DataFolder, open_data_folder, read_hash_keys
from headcount.engines import Registry
from headcount.engines.opening import open_registry
from headcount.errors import CatalogUnchangedError, DataFolderError, EngineAwayError
from headcount.runfiles import read_whole, write_whole
from headcount.troubles import Troubles, read_troubles
from headcount.wiring.cluster_entry import node_record
from headcount.wiring.cluster_erasing import say_erased
from headcount.wiring.cluster_forgetting import ForgetDesk
from headcount.wiring.lifetime import Child
from headcount.wiring.task import Task

__all__ = ["run"]

_log = logging.getLogger(__name__)

_RETRY_S = 0.5
_LAST_WORD_S = 2.0
_AWAY = "cluster_away"
_CATALOG = "cluster_catalog"


def run(task: Task, child: Child) -> None:
    """Take part until told to stop.

    Raises:
        ClusterError: this node must not take part as it is.
        DataFolderError: the data folder cannot be used as it is.
    """
    settings = task.settings()
    assert settings.cluster is not None, "a node belongs to a cluster"
    folder = open_data_folder(settings.data, create=False)
    file = MembershipFile(folder.cluster)
    known = file.read()
    assert known is not None, "the supervisor has entered the cluster"
    place = settings.hash_key or folder.hash_key
    address = address_of(settings.cluster)
    with (
        contextlib.closing(Troubles(folder.troubles, "node", now_ms)) as troubles,
        contextlib.closing(open_registry(address, timeout_s=ANSWER_WITHIN_S)) as registry,
    ):
        me = node_record(known.node, known.uuid, task.cluster_run, task.tracking_url, task.api_url)
        me = msgspec.structs.replace(
            me,
            hash_keys=list(read_hash_keys(place)),
            takes_over=settings.take_over_after is not None,
            acknowledges_in_log=settings.ack == "log",
            backups=settings.backups is not None,
            log_days=settings.log_days,
        )
        after_s = settings.take_over_after
        desk = ForgetDesk(registry, folder, known.node, settings.log_days, troubles)
        node = _ClusterNode(folder, address, registry, file, me, troubles, after_s, desk)
        child.ready()
        node.enter(child.stopping.wait)
        while not child.stopping.is_set():
            began_s = time.monotonic()
            rest_s = node.beat()
            child.stopping.wait(max(0.0, rest_s - (time.monotonic() - began_s)))
        node.leave()


class _ClusterNode:
    """One node, beat by beat."""

    def __init__(
        self,
        folder: DataFolder,
        address: str,
        registry: Registry,
        file: MembershipFile,
        me: NodeRecord,
        troubles: Troubles,
        take_over_after_s: int | None,
        forgetting: ForgetDesk,
    ) -> None:
        self._forgetting = forgetting
        self._folder = folder
        self._registry = registry
        self._me = me
        self._troubles = troubles
        self._take_over_after_s = take_over_after_s
        self._control = ControlPlane(registry, file, me, now_ms)
        self._beats = 0
        self._losses = LossFolder(folder.losses)
        shared = OneCatalog(lambda: open_registry(address, timeout_s=ANSWER_WITHIN_S))
        self._catalog = Catalog(folder.catalog, shared=shared)
        self._catalog_version = self._catalog.shared_version()

    def enter(self, wait: Callable[[float], object]) -> None:
        """Go on as the life that the supervisor has begun, or enter now that the registry is back.

        Raises:
            ClusterError: this node must not take part.
        """
        while True:
            try:
                self._control.resume(wait)
            except EngineAwayError as error:
                self._say_away(error)
                if wait(_RETRY_S):
                    return
            else:
                return

    def beat(self) -> float:
        """Once around; how many seconds after its begin the next is due.

        Raises:
            ClusterError: this node must stop.
        """
        self._beats += 1
        try:
            report = self._report()
            self._forgetting.say_found()
            seen = self._control.beat(report)
            write_leases(self._folder.leases, seen.owned, seen.lease_until_s)
            self._copy_catalog(decides=DECIDES in seen.owned)
            took_over = self._take_over(seen)
            self._forgetting.look(seen, self._beats, now_ms())
            losses = share_losses(self._registry, self._losses, _log_lost(report))
        except EngineAwayError as error:
            self._say_away(error)
            return _RETRY_S
        self._troubles.end(_AWAY)
        status = status_of(
            *(seen.cluster, seen.nodes, seen.silent_s, seen.placement, now_ms(), self._me.name),
            forgets=self._forgetting.documents,
            losses=losses,
        )
        write_whole(self._folder.cluster_status, status)
        # What was taken over waits for this process to say that it is this node's.
        return 0.0 if took_over else BEAT_S

    def _say_away(self, error: EngineAwayError) -> None:
        self._troubles.begin(
            _AWAY,
            f"The cluster's registry cannot be asked: {error.problem} Messages are taken and kept;"
            " what is shown grows older, and the catalog cannot be changed.",
            "It goes on by itself once the engine is back.",
            hinders=False,
        )

    def _report(self) -> NodeRecord:
        """How this node does, as its processes say."""
        relay = read_whole(self._folder.relay_report, RelayReport) or RelayReport()
        partitions = read_whole(self._folder.partition_reports, dict[str, PartitionReport])
        troubles = read_troubles(self._folder.troubles)
        return msgspec.structs.replace(
            self._me,
            beat=self._beats,
            clock_ms=now_ms(),
            catalog_version=self._catalog_version.number,
            partitions=partitions or {},
            until_ms=relay.until_ms,
            queues=relay.queues,
            unsent=relay.unsent,
            deleted=relay.deleted,
            troubles=[each.message for each in troubles],
        )

    def _copy_catalog(self, *, decides: bool) -> None:
        """Be a copy of the cluster's catalog, or give it back what its registry has forgotten."""
        try:
            latest = latest_version(self._registry)
            if latest == self._catalog_version:
                pass
            elif latest.number < self._catalog_version.number:
                if restore(self._registry, self._catalog.shared_contents()):
                    _log.warning("the registry had forgotten changes of the catalog: put back")
            else:
                contents = newer(self._registry, self._catalog_version)
                if contents is not None and not contents.came_from(self._catalog_version):
                    self._say_lost()
                self._catalog.catch_up()
            if decides:
                say_erased(self._catalog, now_ms())
            # Commands on this machine change it too.
            self._catalog_version = self._catalog.shared_version()
        except CatalogUnchangedError as error:
            if isinstance(error.__cause__, EngineAwayError):
                raise error.__cause__ from None
            self._troubles.begin(_CATALOG, error.problem, error.remedy, hinders=False)
        except DataFolderError as error:
            message = f"This node's copy of the catalog grows older: {error.problem}"
            self._troubles.begin(_CATALOG, message, error.remedy, hinders=False)
        else:
            self._troubles.end(_CATALOG)

    def _say_lost(self) -> None:
        _log.error(
            "the registry was put back to an older moment, and its catalog changed since: changes"
            " that this node had seen are lost, such as tokens that were revoked; look through"
            " them with headcount token list and headcount source list"
        )

    def _take_over(self, seen: Seen) -> bool:
        if self._take_over_after_s is None:
            return False
        taken = self._control.take_over_due(seen, self._take_over_after_s)
        if taken:
            _log.warning("took over from silent nodes: %s", names_of(taken))
        return bool(taken)

    def leave(self) -> None:
        """Say that this node stops as it was told to, if the registry hears it."""
        until_s = time.monotonic() + _LAST_WORD_S
        is_told = False
        while not is_told and time.monotonic() < until_s:  # for what its relay says last
            relay = read_whole(self._folder.relay_report, RelayReport)
            is_told = relay is None or relay.ended
            time.sleep(0 if is_told else _LAST_WORD_S / 20)
        report = self._report()
        if not is_told:  # what it said before may be of a moment at which there was less
            report = msgspec.structs.replace(report, unsent=None)
        with contextlib.suppress(EngineAwayError):
            self._control.leave(report)
        self._catalog.close()


def _log_lost(report: NodeRecord) -> dict[str, int]:
    return {
        name: each.log_lost_at_ms for name, each in report.partitions.items() if each.log_lost_at_ms
    }
