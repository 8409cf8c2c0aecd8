"""What would be lost with a disk now, and what may be lost already: takes partitions as their
owners say, gives sentences and notes.

A partition stands on its owner's disk, and can be made anew of its newest backup and the log. Where
the log has lost something since, or has let it go because it is old, that disk is the only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from headcount.cluster.losses import NotedLoss
from headcount.cluster.membership_records import MissingEntries, NodeRecord
from headcount.cluster.placement import Placement, names_of
from headcount.counting.calendar import MS_PER_DAY
from headcount.terminal import moment_text

__all__ = ["PartitionStatus", "may_be_lost_of", "names_and_owners", "risks_of"]


class PartitionStatus(msgspec.Struct, frozen=True, rename="camel"):
    """One partition.

    Attributes:
        name: such as `facts-3`.
        node: who counts it; None where nobody does.
        epoch: its owner's.
        counted_until: until when what was received is counted, milliseconds since 1970.
        behind_seconds: the same, held against the moment of the look; None while nobody can say.
        backed_up_at: when its newest backup was taken.
        sentence: the same in words.
        log_lost_at: when the log was last seen to have lost what it had counted; 0 for never.
        former_said_at: when its former owner last said anything; None for none.
    """

    name: str
    node: str | None
    epoch: int
    counted_until: int | None
    behind_seconds: float | None
    backed_up_at: int | None
    sentence: str
    log_lost_at: int = 0
    former_said_at: int | None = None


def names_and_owners(partitions: Mapping[str, str]) -> str:
    """Partitions and who counts them, for a sentence."""
    by_node: dict[str, list[str]] = {}
    for name, node in partitions.items():
        by_node.setdefault(node, []).append(name)
    said = [f'{names_of(names)} (node "{node}")' for node, names in sorted(by_node.items())]
    return " and ".join(said)


def risks_of(
    partitions: Sequence[PartitionStatus], nodes: Mapping[str, NodeRecord], now_ms: int
) -> Iterator[str]:
    """What would be lost with a disk now, as sentences.

    Args:
        partitions: all of them, as their owners say.
        nodes: by name, as each last said of itself.
        now_ms: milliseconds since 1970.
    """
    yield from _alone(partitions)
    yield from _too_old(partitions, nodes, now_ms)


def _alone(partitions: Sequence[PartitionStatus]) -> Iterator[str]:
    """What stands on one disk alone since the log has lost it."""
    found = [
        each
        for each in partitions
        if each.node is not None
        and each.log_lost_at
        and (each.backed_up_at or 0) <= each.log_lost_at
    ]
    if not found:
        return
    owners = names_and_owners({each.name: each.node or "" for each in found})
    backed_up = [each.backed_up_at for each in found if each.backed_up_at is not None]
    since = f"since {moment_text(min(backed_up))}" if len(backed_up) == len(found) else "so far"
    noticed = moment_text(max(each.log_lost_at for each in found))
    yield (
        f"The log lost what it had acknowledged, as was noticed at {noticed}: until they are backed"
        f" up anew, what has been counted {since} in {owners} may stand on those disks alone. Part"
        " with none of them before."
        + ("" if backed_up else " Name a folder of backups with --backups.")
    )


def _too_old(
    partitions: Sequence[PartitionStatus], nodes: Mapping[str, NodeRecord], now_ms: int
) -> Iterator[str]:
    """What could not be counted on from its newest backup, since the log has let go of what
    followed."""
    found = {}
    for each in partitions:
        record = nodes.get(each.node or "")
        if each.node is None or each.backed_up_at is None or record is None or not record.log_days:
            continue
        if each.backed_up_at < now_ms - record.log_days * MS_PER_DAY:
            found[each.name] = each.node
    if found:
        yield (
            f"The newest backups of {names_and_owners(found)} are older than what the log keeps"
            " (--log-days): what those have counted since would be lost with their disks. Their"
            " nodes say why they are not backed up."
        )


def may_be_lost_of(
    nodes: Mapping[str, NodeRecord],
    placement: Placement,
    noted: Sequence[NotedLoss],
    now_ms: int,
) -> Iterator[NotedLoss]:
    """What partitions wait for and have had once, and what handed it on has deleted since.

    It may be in the log yet, or in a newer copy of the partition; if it is in neither, it never
    comes, and the partition waits until somebody accepts that.

    Args:
        nodes: by name, as each last said of itself.
        placement: who counts what.
        noted: what was noted already; of what is accepted nothing is said.
        now_ms: milliseconds since 1970.
    """
    accepted = {each.key for each in noted if each.accepted_at}
    for name, missing in _deleted(nodes, placement):
        key = f"entries-{missing.partition}-{missing.queue[:8]}-{missing.upto}"
        if key in accepted:
            continue
        owner = placement.owners.get(missing.partition)
        record = None if owner is None else nodes.get(owner.node)
        report = None if record is None else record.partitions.get(missing.partition)
        since_ms = 0 if report is None else min(report.latest_ms, now_ms)
        after = f", taken after {moment_text(since_ms)}" if since_ms else ""
        yield NotedLoss(
            key,
            now_ms,
            since_ms,
            now_ms,
            f"{missing.partition} lacks what it once had of entries {missing.after + 1} to"
            f" {missing.upto} of {name}{after}, where they are deleted.",
            entries=missing,
        )


def _deleted(
    nodes: Mapping[str, NodeRecord], placement: Placement
) -> Iterator[tuple[str, MissingEntries]]:
    """What is deleted and asked for, with the words for whose it was."""
    for node in nodes.values():
        if node.state == "retired":
            continue
        for missing in node.deleted:
            yield f'the journals of node "{node.name}"', missing
        for name, report in node.partitions.items():
            owner = placement.owners.get(name)
            if owner is not None and owner.node == node.name and owner.epoch == report.epoch:
                yield from ((name, missing) for missing in report.deleted)
