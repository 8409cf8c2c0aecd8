"""What would be lost with a disk now: takes partitions as their owners say, gives sentences.

A partition stands on its owner's disk, and can be made anew of its newest backup and the log. Where
the log has lost something since, or has let it go because it is old, that disk is the only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from headcount.cluster.membership_records import NodeRecord
from headcount.cluster.placement import names_of
from headcount.counting.calendar import MS_PER_DAY
from headcount.terminal import moment_text

__all__ = ["PartitionStatus", "names_and_owners", "risks_of"]


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
