"""What a node of a cluster counts: whether its partitions are whole, what the cluster waits for.

Counts of one partition do not follow from its keys alone, so they are not counted again here: each
row and run is held against its checksum, which is what a single machine's are held against first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headcount.cluster.overview import ClusterStatus
from headcount.datafolder import DataFolder
from headcount.doctor.findings import Finding, ok, problem, warning
from headcount.errors import DataFolderError
from headcount.runfiles import read_whole
from headcount.sqlite.reading import damage
from headcount.store.runs import Run
from headcount.store.view import store_view
from headcount.wording import number_of

__all__ = ["check_cluster", "check_partitions"]

_REMEDY = (
    "Stop this node, move the partition's folder out of the data folder and start again: it is made"
    " anew from its newest backup in --backups, and counts on by the log."
)
_SEEN_WITHIN_MS = 10_000


def check_partitions(folder: DataFolder) -> Iterator[Finding]:
    """Read all rows and runs of each partition that lies here."""
    places = folder.partition_folders()
    whole = 0
    for place in places:
        fault = _fault(place)
        if fault is None:
            whole += 1
        else:
            yield problem("partitions", f"Partition {place.name}: {fault}.", _REMEDY)
    if whole or not places:
        said = f"{number_of(whole, 'partition', 'is', 'are')} whole."
        yield ok("partitions", said if places else "No partition is counted here.")


def _fault(place: Path) -> str | None:
    try:
        with store_view(DataFolder(place).store, Run) as store:
            if fault := damage(store.connection) or next(store.faults(), None):
                return fault
            for run in store.runs:
                if run.opened is None:
                    return run.refusal.rstrip(".")
                if not run.opened.intact():
                    return f"the checksum of {run.name} is wrong"
    except DataFolderError as error:
        return error.problem.rstrip(".")
    return None


def check_cluster(folder: DataFolder, now_ms: int) -> Finding:
    """What this node last saw of its cluster."""
    status = read_whole(folder.cluster_status, ClusterStatus)
    if status is None or now_ms - status.at > _SEEN_WITHIN_MS:
        return warning(
            "cluster",
            "This node does not see its cluster now.",
            "Start it, or see that the cluster's engine can be reached.",
        )
    if status.missing:
        return warning("cluster", " ".join(status.missing), "See headcount cluster status.")
    return ok("cluster", status.sentence)
