"""The relay's process: hands this node's journals on to the partitions of its cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.cluster.membership_records import MissingEntries, RelayReport
from headcount.cluster.placement import names_of
from headcount.datafolder import DataFolder, open_data_folder
from headcount.errors import EngineAwayError, OperatorError, StorageUnavailableError
from headcount.journal import EntrySource, JournalDirectory, JournalFile
from headcount.meter.sources import KnownSources
from headcount.runfiles import write_whole
from headcount.stages.hosts import RelayHost
from headcount.stages.partitioning import FactsSplit
from headcount.stages.relay import Relay
from headcount.stages.relay_standing import RelayStanding
from headcount.troubles import Troubles
from headcount.wiring.cluster_steps import known_cluster, log_of, step_until_stopped
from headcount.wiring.lifetime import Child
from headcount.wiring.log_acknowledged import tell_handed_on
from headcount.wiring.task import Task

__all__ = ["missing_entries", "run"]

_PAUSE_IN_ACK_S = 0.02
_LAST_STEPS_S = 1.0
# What it hands on has its price at servers and partitions too; but all others wait for it.
_PAUSE_MOST_S = 0.15
_RELAY, _LOST = "cluster_relay", "cluster_lost"


def run(task: Task, child: Child) -> None:
    """Hand journals on until told to stop.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
    """
    settings = task.settings()
    folder = open_data_folder(settings.data, create=False)
    membership = known_cluster(folder)
    facts = membership.cluster.facts
    with (
        closing(Troubles(folder.troubles, "relay", now_ms)) as troubles,
        Catalog(folder.catalog, read_only=True) as catalog,
        closing(_Journals(folder)) as journals,
        log_of(settings.cluster, settings.log_days) as log,
    ):
        known = KnownSources(lambda: {each.number: each.workspace for each in catalog.sources()})
        relay = Relay(
            membership.node, "facts", facts, log, journals.all, FactsSplit(facts, known), now_ms
        )
        host = RelayHost(relay, log)

        def tend() -> None:
            standing = relay.standing()
            said = ""
            if standing.lost:
                lacking = {f"facts-{each.partition}" for each in standing.lost}
                lacks = "lacks" if len(lacking) == 1 else "lack"
                said = (
                    f"{names_of(lacking)} {lacks} messages that this node has handed on and"
                    " deleted: they are in the log, or in a newer backup of that partition."
                )
                remedy = "See headcount cluster status, which says what to do."
                troubles.begin(_LOST, said, remedy)
            else:
                troubles.end(_LOST)
            report = RelayReport(
                *(standing.until_ms, journals.uuids(), said, standing.unsent),
                ended=child.stopping.is_set(),
                deleted=missing_entries(standing, "facts"),
            )
            write_whole(folder.relay_report, report)

        handed_on: dict[str, int] = {}

        def step() -> bool:
            nonlocal handed_on
            more = host.step()
            if settings.ack == "log" and (now := relay.handed_on()) != handed_on:
                handed_on = now
                tell_handed_on(folder.handed_on, now)
            return more

        child.ready()
        failing = "Messages of this node are not handed on, and stay in its journals"
        step_until_stopped(
            *(child, log, troubles, step, tend),
            kind=_RELAY,
            failing=failing,
            # Somebody waits for an answer.
            pause_most_s=_PAUSE_IN_ACK_S if settings.ack == "log" else _PAUSE_MOST_S,
        )
        _end(step, tend)
        host.close()


def missing_entries(standing: RelayStanding, stage: str) -> list[MissingEntries]:
    """What partitions of a stage ask for and is deleted, for a node's record."""
    return [
        MissingEntries(f"{stage}-{each.partition}", each.queue, each.after, each.upto)
        for each in standing.lost
    ]


def _end(step: Callable[[], bool], tend: Callable[[], None]) -> None:
    """Hand on what came last, as far as that takes no time, and say what is left."""
    until_s = time.monotonic() + _LAST_STEPS_S
    with suppress(EngineAwayError, OperatorError, StorageUnavailableError):
        while step() and time.monotonic() < until_s:
            pass
    with suppress(OperatorError, StorageUnavailableError):
        tend()


class _Journals:
    """The journals of a folder, as there come more; each stays open."""

    def __init__(self, folder: DataFolder) -> None:
        self._directory = JournalDirectory(folder.journals)
        self._open: dict[Path, JournalFile] = {}

    def all(self) -> list[EntrySource]:
        """Every journal that there is now."""
        for path in self._directory.paths():
            if path not in self._open:
                self._open[path] = self._directory.open(path)
        return list(self._open.values())

    def uuids(self) -> list[str]:
        """Those that are open, by UUID."""
        return [journal.uuid for journal in self._open.values()]

    def close(self) -> None:
        """Release the files; idempotent."""
        while self._open:
            self._open.popitem()[1].close()
