"""The process that counts the partitions which this node owns.

Takes owners and leases from files of the node's own process, a log, and folders; counts whatever it
owns, and publishes of it only what it has a lease for. What it no longer owns it closes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.cluster.address import ANSWER_WITHIN_S, address_of
from headcount.cluster.losses import accepted_losses
from headcount.cluster.membership import MembershipFile
from headcount.cluster.membership_records import ClusterDocument, PartitionReport
from headcount.cluster.overview import ClusterStatus
from headcount.cluster.partition_lives import PartitionLives
from headcount.cluster.placement import Leases, Partition, names_of
from headcount.counting.calendar import MS_PER_DAY
from headcount.datafolder import DataFolder, open_data_folder
from headcount.engines import FactLog
from headcount.engines.opening import open_registry
from headcount.errors import DamagedDataError, DataFolderError, EngineAwayError
from headcount.meter.limits import MeterLimits
from headcount.runfiles import WholeFile, write_whole
from headcount.stages.counts_feed import CountsFeed
from headcount.stages.first_stage import FirstStage
from headcount.stages.hosts import HostedPartition, PartitionHost
from headcount.stages.outbox import Outbox
from headcount.stages.partition_meter import PartitionMeter
from headcount.stages.partitioning import RecordsSplit
from headcount.stages.relay import Relay
from headcount.stages.second_stage import SecondStage
from headcount.troubles import Troubles
from headcount.wiring.cluster_backups import PartitionBackups
from headcount.wiring.cluster_erasing import ErasedWorkspaces
from headcount.wiring.cluster_folders import OpenPartition, open_partition
from headcount.wiring.cluster_forgetting import ForgetGiver
from headcount.wiring.cluster_losing import LossWatch, Restored
from headcount.wiring.cluster_relay import missing_entries
from headcount.wiring.cluster_steps import IDLE_S, known_cluster, log_of, step_until_stopped
from headcount.wiring.keys_in_use import CatalogKeyPlan
from headcount.wiring.lifetime import Child
from headcount.wiring.task import Task

__all__ = ["run"]

_log = logging.getLogger(__name__)

_COUNTING, _MISSING, _MEMORY = "cluster_counting", "cluster_partition", "memory"
_BEHIND_MS = 10_000
# A transaction of each partition, for rows that nobody waits to be rid of.
_PRUNE_EVERY_S = 2.0


def run(task: Task, child: Child) -> None:
    """Count partitions until told to stop.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
    """
    settings = task.settings()
    folder = open_data_folder(settings.data, create=False)
    with (
        closing(Troubles(folder.troubles, "partitions", now_ms)) as troubles,
        Catalog(folder.catalog, read_only=True) as catalog,
        log_of(settings.cluster, settings.log_days) as log,
        closing(_Partitions(task, child, folder, catalog, log, troubles)) as partitions,
    ):
        with suppress(EngineAwayError):
            partitions.look()
        child.ready()
        failing = "Partitions of this node are not counted"
        step_until_stopped(
            child,
            log,
            troubles,
            partitions.step,
            partitions.look,
            kind=_COUNTING,
            failing=failing,
            idle_s=IDLE_S,
        )


class _Partitions:
    """What this node counts, as owners change."""

    def __init__(
        self,
        task: Task,
        child: Child,
        folder: DataFolder,
        catalog: Catalog,
        log: FactLog,
        troubles: Troubles,
    ) -> None:
        self._settings = settings = task.settings()
        self._folder = folder
        self._key_plan = CatalogKeyPlan(catalog)
        self._erased = ErasedWorkspaces(catalog)
        self._log = log
        self._troubles = troubles
        self._leases = Leases(folder.leases)
        self._status = WholeFile(folder.cluster_status, ClusterStatus)
        self._membership = MembershipFile(folder.cluster)
        membership = known_cluster(folder)
        self._cluster: ClusterDocument = membership.cluster
        assert settings.cluster is not None, "a node belongs to a cluster"
        address = address_of(settings.cluster)
        self._lives = PartitionLives(
            lambda: open_registry(address, timeout_s=ANSWER_WITHIN_S),
            membership.node,
            task.cluster_run,
        )
        self._open: dict[tuple[Partition, int], tuple[OpenPartition, HostedPartition]] = {}
        self._host = PartitionHost([], log, self._epoch, is_stopping=child.stopping.is_set)
        self._limits = MeterLimits.within(settings.memory)
        self._forgetting = ForgetGiver(folder, log)
        self._full = False
        self._losses = LossWatch(folder, troubles)
        every_s = 60.0 * settings.backup_minutes
        self._backups = PartitionBackups(
            folder, settings.backups, self._cluster.id, every_s, troubles
        )

    def step(self) -> bool:
        """Count what there is; whether there was anything."""
        return False if self._full else self._host.step()

    def _epoch(self, name: str) -> int | None:
        """The epoch in which a partition may be published now."""
        return self._leases.epoch(name)

    def _nodes(self) -> Sequence[str]:
        """All nodes that take messages, as this one last heard."""
        status = self._status.read()
        if status is None:
            return [known_cluster(self._folder).node, ""]  # nobody knows yet who else there is
        return [node.name for node in status.nodes if node.state != "retired"]

    def _retired(self) -> set[str]:
        """Nodes whose journals nobody waits for any more."""
        status = self._status.read()
        nodes = () if status is None else status.nodes
        return {node.name for node in nodes if node.state == "retired"}

    def _accepted(self, name: str) -> dict[str, int]:
        status = self._status.read()
        return accepted_losses(() if status is None else status.losses, name)

    def look(self) -> None:
        """Open what this node has come to own, close what it no longer does, and report.

        Raises:
            EngineAwayError: the registry does not know of this life yet, and cannot be told.
        """
        if not self._lives.has_begun:
            self._lives.begin()
        known = self._membership.read()
        owned = {} if known is None else known.placement.owned_by(known.node)
        for place in [each for each in self._open if owned.get(each[0]) != each[1]]:
            self._close(place)
        missing, renewed = [], []
        for partition, epoch in owned.items():
            if (partition, epoch) not in self._open:
                try:
                    opened = self._open[partition, epoch] = self._opened(
                        partition, epoch, len(owned)
                    )
                except DataFolderError as error:
                    missing.append(error)
                else:
                    renewed += [str(partition)] if opened[0].renewed else []
        if renewed:
            _log.warning(
                "not sure to be as this node left them, so what they hand on is another queue from"
                " here on, and nothing is lost or counted twice: %s",
                names_of(renewed),
            )
        if missing:
            problem = " ".join(dict.fromkeys(error.problem for error in missing))
            self._troubles.begin(_MISSING, problem, missing[0].remedy)
        else:
            self._troubles.end(_MISSING)
        self._host.partitions = [hosted for _, hosted in self._open.values()]
        log_lost = {
            each: hosted.meter.log_lost_at_ms for (each, _), (_, hosted) in self._open.items()
        }
        self._backups.look(dict(self._open.keys()), log_lost)
        self._losses.look(self._caught_up())
        self._watch_memory()
        meters = {str(each[0]): hosted.meter for each, (_, hosted) in self._open.items()}
        self._forgetting.look(meters, [str(each) for each in self._leases.owned()])
        self._erased.erase(meters.values())
        self._report()

    def _opened(
        self, partition: Partition, epoch: int, among: int
    ) -> tuple[OpenPartition, HostedPartition]:
        backups, cluster = self._settings.backups, self._cluster.id
        opened = open_partition(self._folder, cluster, partition, epoch, backups, self._lives)
        try:
            hosted = self._hosted(partition, opened, self._limits_among(among))
        except BaseException:
            opened.close()
            raise
        meter, taken_at_ms = hosted.meter, opened.taken_at_ms
        lost_at_ms, latest_ms = meter.log_lost_at_ms, meter.latest_ms
        self._losses.opened(Restored(str(partition), epoch, lost_at_ms, taken_at_ms, latest_ms))
        return opened, hosted

    def _limits_among(self, partitions: int) -> MeterLimits:
        """The limits of each of some meters that share what one may have."""
        keys = max(10_000, self._limits.message_keys_in_memory_max // partitions)
        return replace(
            self._limits,
            message_keys_in_memory_max=keys,
            past_bytes_max=self._limits.past_bytes_max // partitions,
        )

    def _hosted(
        self, partition: Partition, opened: OpenPartition, limits: MeterLimits
    ) -> HostedPartition:
        window_days, number = self._settings.dedup_window_days, partition.number
        rest = (opened.store, self._log, now_ms, window_days, limits)
        meter: PartitionMeter
        if partition.stage == "keys":
            origins = [f"facts-{each}" for each in range(self._cluster.facts)]
            meter = SecondStage(number, *rest, lambda: origins, self._key_plan)
            # The log drops whole days; one more, because clocks of its servers may differ.
            meter.gone_queues.kept_ms = (self._settings.log_days + 2) * MS_PER_DAY
            self._with_callbacks(partition, meter)
            return HostedPartition(meter, CountsFeed(meter, now_ms))
        meter = FirstStage(number, *rest, self._nodes, self._key_plan)
        meter.gone = self._retired
        self._with_callbacks(partition, meter)
        outbox = Outbox(opened.store.outbox)
        epoch: Callable[[], int | None] = lambda: self._epoch(str(partition))  # noqa: E731
        split = RecordsSplit(self._cluster.keys, self._cluster.whole_until)
        relay = Relay(
            str(partition), "keys", self._cluster.keys, self._log, lambda: [outbox], split,
            meter.until_ms, epoch, _PRUNE_EVERY_S,
        )  # fmt: skip
        return HostedPartition(meter, CountsFeed(meter, now_ms), relay)

    def _with_callbacks(self, partition: Partition, meter: PartitionMeter) -> None:
        """Tell a meter what somebody accepts as lost; and let queues keep what backups do not hold
        yet, where that was asked for."""
        meter.accepted = lambda: self._accepted(str(partition))
        if self._settings.prune_after == "backup":
            meter.confirmable = lambda: self._backups.positions(partition)

    def _caught_up(self) -> set[str]:
        """Partitions that have counted what was taken up to a moment ago."""
        found = set()
        for (partition, _), (_, hosted) in self._open.items():
            until_ms = hosted.meter.until_ms()
            if until_ms is not None and now_ms() - until_ms <= _BEHIND_MS:
                found.add(str(partition))
        return found

    def _watch_memory(self) -> None:
        """Let counting wait where the system would end this process for want of memory."""
        held = sum(
            nbytes
            for _, hosted in self._open.values()
            for _, nbytes in hosted.meter.committing.indexes.sizes().values()
        )
        most = self._limits.tables_bytes_max
        self._full = most is not None and held > most
        if self._full:
            self._troubles.begin(
                _MEMORY,
                f"The partitions of this node use {held / 2**20:,.0f} MiB for ids, and counting"
                " waits. What was acknowledged waits in journals and in the log.",
                "Give it more memory with --memory (HEADCOUNT_MEMORY), or move partitions to other"
                " nodes: headcount cluster move.",
            )
        else:
            self._troubles.end(_MEMORY)

    def _report(self) -> None:
        """Say how the partitions do, for the node's record and its page."""
        reports = {}
        for (partition, epoch), (_, hosted) in self._open.items():
            meter, relay, said = hosted.meter, hosted.relay, ""
            backup = self._backups.newest(partition)
            until_ms = meter.until_ms()
            if waits_for := [name for name in meter.waits_for() if name]:
                said = f"It waits for what {_handed(partition, waits_for)}."
            elif meter.chain.lacking():
                said = "It lacks entries, and has asked for them."
            elif relay is not None and relay.standing().lost:
                said = "A partition of ids lacks what this one has deleted."
            elif until_ms is not None and now_ms() - until_ms > _BEHIND_MS:
                said = "It is behind, and catches up."
            reports[str(partition)] = PartitionReport(
                *(epoch, until_ms, said, backup.taken_at_ms if backup else None),
                forgotten=meter.forgetting.number,
                log_lost_at_ms=meter.log_lost_at_ms,
                latest_ms=meter.latest_ms,
                deleted=[] if relay is None else missing_entries(relay.standing(), "keys"),
            )
        write_whole(self._folder.partition_reports, reports)

    def _close(self, place: tuple[Partition, int]) -> None:
        opened, hosted = self._open.pop(place)
        with suppress(DamagedDataError):
            hosted.meter.close()
        opened.close()

    def close(self) -> None:
        """Close everything; idempotent."""
        self._backups.end()
        self._host.close()
        stands = {str(place[0]): each[0].store.generation for place, each in self._open.items()}
        for place in list(self._open):
            self._close(place)
        self._lives.end(stands)


def _handed(partition: Partition, waits_for: Sequence[str]) -> str:
    """What a partition waits for of whom, as the end of a sentence."""
    if partition.stage == "facts":
        return f"{', '.join(sorted(waits_for))} {'has' if len(waits_for) == 1 else 'have'} taken"
    return f"{names_of(waits_for)} {'hands' if len(waits_for) == 1 else 'hand'} on"
