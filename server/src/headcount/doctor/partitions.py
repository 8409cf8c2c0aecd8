"""What a node of a cluster counts: whether its partitions are whole, what the cluster waits for.

Each partition that lies here is held against its checksums, row by row and file by file, and then
recounted from its keys as a single machine is. What leaves no keys is not recounted, and that is
said. So are the newest backups of what this node counts, where it is told where they lie.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headcount.cluster.membership import Membership
from headcount.cluster.overview import ClusterStatus
from headcount.cluster.partition_backups import altered_file, newest_backup
from headcount.cluster.placement import Partition
from headcount.datafolder import DataFolder, FolderLock
from headcount.doctor.counts import Recount, check_counts
from headcount.doctor.findings import ERRORS, Finding, ok, problem, warning
from headcount.errors import OperatorError, UsageError
from headcount.runfiles import read_whole
from headcount.sqlite.reading import damage
from headcount.store.joined import JoinedKeys
from headcount.store.runs import Run
from headcount.store.view import StoreView, store_view
from headcount.wording import number_of

__all__ = ["check_backups", "check_cluster", "check_partitions"]

_REMEDY = (
    "Stop this node, move the partition's folder out of the data folder and start again: it is made"
    " anew from its newest backup in --backups, and counts on by the log."
)
_SEEN_WITHIN_MS = 10_000
_NAMED_MAX = 3
_CHECK_DISK = "Check the disk and its mount, then run this again."


@dataclass(slots=True)
class _Recounted:
    """What looking at some partitions, or their backups, gave."""

    whole: int = 0
    read_only: int = 0
    keys: int = 0
    open_months: int = 0
    closed_months: int = 0
    not_recounted: list[str] = field(default_factory=list)
    new_bytes: dict[int, float] = field(default_factory=lambda: defaultdict(float))

    def look_at(
        self, place: Path, name: str, membership: Membership | None
    ) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Read and recount one; gives what is wrong with it, each with details for programs."""
        try:
            with store_view(DataFolder(place).store, Run) as store:
                if fault := _fault(store):
                    yield f"{fault}.", {}
                    return
                joined = _joined(store, name, membership)
                if isinstance(joined, str):
                    self.not_recounted.append(joined)
                    self.read_only += 1
                    return
                recount = check_counts(store, joined)
        except ERRORS as error:
            yield _said(error), {}
            return
        wrong = [each for each in recount.findings if each.remedy]
        yield from ((each.message, each.details) for each in wrong)
        if not wrong:
            self._take(recount)

    def _take(self, recount: Recount) -> None:
        self.whole += 1
        self.keys += recount.keys
        self.open_months += recount.open_months
        self.closed_months += recount.months - recount.open_months
        for day, size in recount.new_bytes.items():
            self.new_bytes[day] += size

    def finding(self, check: str, what: str) -> Finding:
        """That these are whole, and what of them was not recounted."""
        said = (
            f"{number_of(self.whole, what, 'is', 'are')} whole: every row and file is as it was"
            f" written, and the counts of open months are what their"
            f" {number_of(self.keys, 'key')} give."
        )
        if self.read_only:
            was = number_of(self.read_only, what, "was", "were")
            said += f" {was} read, each row and file as it was written, but not recounted."
        not_recounted = ["messages and duplicates, which leave no keys"]
        if self.closed_months:
            closed = number_of(self.closed_months, "closed month")
            not_recounted.append(f"{closed}, whose keys are gone")
        not_recounted += self.not_recounted
        said += (
            " Not recounted, but held against checksums, and workspaces against sources:"
            f" {'; '.join(not_recounted)}."
        )
        return ok(
            check,
            said,
            partitions=self.whole,
            partitionsNotRecounted=self.read_only,
            keys=self.keys,
            openMonths=self.open_months,
            closedMonths=self.closed_months,
            notRecounted=not_recounted,
        )


def check_partitions(
    folder: DataFolder,
    membership: Membership | None = None,
    new_bytes: dict[int, float] | None = None,
) -> Iterator[Finding]:
    """Read and recount each partition that lies here.

    Args:
        folder: the node's data folder.
        membership: which node it is, and what it is to count.
        new_bytes: filled with day (since 1970) to the bytes of the keys that were new on it.
    """
    looked = _Recounted()
    places = [each for each in folder.partition_folders() if _is_partition(each.name)]
    for place in places:
        for said, details in looked.look_at(place, place.name, membership):
            message = f"Partition {place.name}: {said}"
            yield problem("partitions", message, _REMEDY, partition=place.name, **details)
    yield from _missing(folder, membership, {each.name for each in places})
    if new_bytes is not None:
        new_bytes.update(looked.new_bytes)
    if not places:
        yield ok("partitions", "No partition is counted here.")
    elif looked.whole or looked.read_only:
        yield looked.finding("partitions", "partition")


def check_backups(backups: Path, membership: Membership) -> Iterator[Finding]:
    """Read and recount the newest backup of each partition that this node counts.

    Args:
        backups: the folder of backups.
        membership: which node this is, and what it counts.
    """
    looked = _Recounted()
    lacking = []
    for partition in sorted(membership.placement.owned_by(membership.node)):
        name = str(partition)
        try:
            found = newest_backup(backups, membership.cluster.id, partition)
            altered = None if found is None else altered_file(found)
        except ERRORS as error:
            message = f"The newest backup of {name}: {_said(error)}"
            remedy = error.remedy if isinstance(error, OperatorError) else _CHECK_DISK
            yield problem("backups", message, remedy, partition=name)
            continue
        if found is None:
            lacking.append(name)
            continue
        remedy = f"Take {found.path} away: the backup before it is used then, and made anew."
        place = Path(found.path)
        if altered:
            message = f"The newest backup of {name} is damaged: {altered} is not what was written."
            yield problem("backups", message, remedy, partition=name)
            continue
        for said, details in looked.look_at(place, name, membership):
            message = f"The newest backup of {name}: {said}"
            yield problem("backups", message, remedy, partition=name, **details)
    if lacking:
        yield warning(
            "backups",
            f"{_some(lacking)} {'has' if len(lacking) == 1 else 'have'} no backup yet.",
            "One is made while the node runs with --backups; until then nobody can take over.",
            missing=lacking,
        )
    if looked.whole or looked.read_only:
        yield looked.finding("backups", "newest backup")


def _said(error: Exception) -> str:
    if isinstance(error, OperatorError):
        return error.problem
    return f"It could not be checked: {error}."


def _is_partition(name: str) -> bool:
    """Whether a folder is counted: beside those lie what a backup has replaced, and drafts."""
    try:
        return str(Partition.parse(name)) == name
    except UsageError:
        return False


def _fault(store: StoreView[Run]) -> str | None:
    """What is not as it was written, as a clause."""
    if fault := damage(store.connection) or next(store.faults(), None):
        return fault
    for run in store.runs:
        if run.opened is None:
            return run.refusal.rstrip(".")
        if not run.opened.intact():
            return f"the checksum of {run.name} is wrong"
    return None


def _joined(
    store: StoreView[Run], name: str, membership: Membership | None
) -> JoinedKeys | str | None:
    """By how many a partition's keys differ since a history was joined; why nobody can say."""
    known = JoinedKeys.of(store.watermarks())
    if known is not None or membership is None or not name.startswith("facts-"):
        return known
    still_open = (month.period.number for month in store.months() if not month.sealed)
    if min(still_open, default=membership.cluster.whole_until + 1) > membership.cluster.whole_until:
        return None
    return (
        f"{name}, of which an earlier version did not note how the keys were shared out when the"
        " history of a single machine was joined"
    )


def _missing(
    folder: DataFolder, membership: Membership | None, here: set[str]
) -> Iterator[Finding]:
    """What this node is to count and does not have, though it has begun to count."""
    if membership is None or not membership.runs:
        return
    owned = {str(each) for each in membership.placement.owned_by(membership.node)}
    if absent := sorted(owned - here):
        serves = FolderLock.held(folder.serve_lock)
        yield warning(
            "partitions",
            f"This node is to count {_some(absent)}, and what was counted there is not here.",
            "See headcount cluster status: it is being made of the newest backup in --backups."
            if serves
            else "The next start makes it of the newest backup in --backups; without one, put the"
            f" folder back to {folder.partitions}.",
            missing=absent,
        )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


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
