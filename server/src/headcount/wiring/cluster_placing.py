"""What commands do about nodes and partitions: takes a registry, gives how the cluster does.

Whoever gives a partition to another node first watches whether its owner lives: for as long as
somebody may publish what they count, nobody else is let.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from headcount.clock import now_ms
from headcount.cluster import unfit
from headcount.cluster.control import change_placement, read_cluster, read_placement
from headcount.cluster.forget_records import read_forgets
from headcount.cluster.liveness import BEAT_S
from headcount.cluster.losses import read_losses
from headcount.cluster.membership_records import (
    NODE_PREFIX,
    NodeRecord,
    decoded,
)
from headcount.cluster.overview import ClusterStatus, status_of
from headcount.cluster.placement import TAKEOVER_LEAST_S, Partition, Placement, partitions_of
from headcount.engines import Registry
from headcount.errors import UsageError
from headcount.terminal import moment_text

__all__ = ["TakenOver", "Watched", "move", "place", "require_node", "take_over", "watched"]

_LOOK_S = 2.5 * BEAT_S
_BACKED_UP_WITHIN_S = 60.0
_OR_BY_HAND = (
    " Or stop both nodes, put the folder under partitions/ to the new one by hand, and say"
    " --by-hand."
)


class Watched(NamedTuple):
    """What somebody saw who has watched for a while.

    Attributes:
        status: how the cluster does.
        nodes: by name, as each said last.
        placement: who counts what.
        living: names of nodes that said something meanwhile.
    """

    status: ClusterStatus
    nodes: dict[str, NodeRecord]
    placement: Placement
    living: set[str]


def watched(
    registry: Registry, seconds: float = _LOOK_S, pause: Callable[[float], object] = time.sleep
) -> Watched:
    """Watch for a moment which nodes live.

    Raises:
        ClusterError: there is no cluster.
        EngineAwayError: the registry cannot be asked.
    """
    cluster = read_cluster(registry)
    if cluster is None:
        raise unfit.no_cluster()
    before = registry.list(NODE_PREFIX)
    if before:
        pause(seconds)
    after = registry.list(NODE_PREFIX)
    nodes = {}
    living = set()
    for key, entry in after.items():
        record = decoded(entry.value, NodeRecord)
        nodes[record.name] = record
        if key not in before or before[key].revision != entry.revision:
            living.add(record.name)
    moment = now_ms()
    # The records say when they were written, by the clocks of nodes that agree.
    silent_s = {
        name: 0.0 if name in living else max(seconds, (moment - each.clock_ms) / 1000)
        for name, each in nodes.items()
    }
    placement, _ = read_placement(registry)
    forgets = read_forgets(registry)
    status = status_of(
        *(cluster, nodes, silent_s, placement, moment),
        forgets=forgets,
        losses=read_losses(registry),
    )
    return Watched(status, nodes, placement, living)


def require_node(found: Watched, name: str, *, living: bool) -> None:
    """See that there is a node that may be named.

    Args:
        found: the cluster.
        name: the node's.
        living: whether it must serve now.

    Raises:
        UsageError: there is none, or it was retired, or does not serve.
    """
    record = found.nodes.get(name)
    if record is None:
        known = ", ".join(sorted(found.nodes)) or "none yet"
        raise UsageError(f'There is no node "{name}".', f"Known are: {known}.")
    if record.state == "retired":
        raise UsageError(f'Node "{name}" was retired.', "Name another one.")
    if living and name not in found.living:
        raise UsageError(f'Node "{name}" does not serve now.', "Start it, or name one that does.")


def _require_partitions(registry: Registry, partitions: Sequence[Partition]) -> None:
    cluster = read_cluster(registry)
    if cluster is None:
        raise unfit.no_cluster()
    for each in partitions:
        if each not in partitions_of(cluster.facts, cluster.keys):
            raise UsageError(
                f"The cluster has no partition {each}.",
                f"It has facts-0 to facts-{cluster.facts - 1}, and keys-0 to"
                f" keys-{cluster.keys - 1}.",
            )


def place(registry: Registry, partitions: Sequence[Partition], node: str) -> Placement:
    """Give partitions that nobody counts yet to a node.

    Raises:
        UsageError: there is no such partition or node, or somebody counts one already.
        EngineAwayError: the registry cannot be asked.
    """
    _require_partitions(registry, partitions)
    found = watched(registry)
    require_node(found, node, living=False)

    def placed(there: Placement) -> Placement:
        for each in partitions:
            owner = there.owner(each)
            if owner is not None and owner.node != node:
                raise UsageError(
                    f'Node "{owner.node}" counts {each}.',
                    f"Move it: headcount cluster move {each} --to {node}",
                )
        return there.given(partitions, node)

    return change_placement(registry, placed)


def move(
    registry: Registry,
    partitions: Sequence[Partition],
    node: str,
    *,
    by_hand: bool = False,
    pause: Callable[[float], object] = time.sleep,
) -> Placement:
    """Let partitions be counted by another node from now on.

    It counts on from their newest backups by the log, and shows nothing of them before. Where one
    has none yet and its owner is about to make it, that is waited for.

    Args:
        registry: the cluster's.
        partitions: which.
        node: the new owner.
        by_hand: their folders are put to the node by hand, so no backup is needed.
        pause: waits for some seconds.

    Raises:
        UsageError: there is no such partition, the node does not serve, it would have nothing to
            count on from, or the log has lost what only the disk of the owner has.
        EngineAwayError: the registry cannot be asked.
    """
    _require_partitions(registry, partitions)
    found = watched(registry, pause=pause)
    require_node(found, node, living=True)
    if not by_hand:
        _require_backups(registry, found, partitions, node, pause)
    return change_placement(registry, lambda there: there.given(partitions, node))


def _require_backups(
    registry: Registry,
    found: Watched,
    partitions: Sequence[Partition],
    node: str,
    pause: Callable[[float], object],
) -> None:
    """See that a node finds what it is to count on from, rather than let it wait for ever."""
    owners = {each: owner for each in partitions if (owner := found.placement.owner(each))}
    moving = {each: owner.node for each, owner in owners.items() if owner.node != node}
    for partition, owner_name in moving.items():
        if owner_name not in found.nodes:
            raise UsageError(
                f'Node "{owner_name}" has never served, so there is nothing of {partition} that'
                f' "{node}" could count on from.',
                f"Start it first: headcount serve --node {owner_name}; and move {partition} once"
                " headcount cluster status shows a backup of it.",
            )
    if moving and found.nodes[node].backups is False:
        raise UsageError(
            f'Node "{node}" is not told where backups lie, so it could not count on from there.',
            "Start it with --backups, the same folder as for the other nodes." + _OR_BY_HAND,
        )
    nodes, waited_s = found.nodes, 0.0
    # What the log has lost since a backup would stay behind, on the disk of the owner alone.
    log_lost = {each.name: each.log_lost_at for each in found.status.partitions}
    while lacking := [
        each for each in moving if not _is_backed_up(nodes, each, log_lost[str(each)])
    ]:
        owner_name = moving[lacking[0]]
        makes_one = owner_name in found.living and nodes[owner_name].backups is not False
        if not makes_one or waited_s >= _BACKED_UP_WITHIN_S:
            lost_at_ms = log_lost[str(lacking[0])]
            since = ", since the log lost what it had acknowledged (noticed at"
            said = f"{since} {moment_text(lost_at_ms)})," if lost_at_ms else ""
            raise UsageError(
                f'There is no backup of {lacking[0]}{said} from which "{node}" could count on.',
                f'Let node "{owner_name}" serve with --backups until headcount cluster status shows'
                " one." + _OR_BY_HAND,
            )
        pause(BEAT_S)
        waited_s += BEAT_S
        values = registry.list(NODE_PREFIX).values()
        records = [decoded(entry.value, NodeRecord) for entry in values]
        nodes = {record.name: record for record in records}


def _is_backed_up(nodes: Mapping[str, NodeRecord], partition: Partition, since_ms: int = 0) -> bool:
    """Whether any node has said that there is a backup from after a moment, be it a former
    owner's."""
    reports = (each.partitions.get(str(partition)) for each in nodes.values())
    return any(
        report is not None and (report.backed_up_at_ms or 0) > since_ms for report in reports
    )


class TakenOver(NamedTuple):
    """What was given to another node.

    Attributes:
        partitions: which.
        without_backup: those of them of which no backup is known.
    """

    partitions: list[Partition]
    without_backup: list[Partition]


def take_over(registry: Registry, dead: str, node: str) -> TakenOver:
    """Let a node count what another one has counted that no longer lives.

    Raises:
        UsageError: the one lives, or the other does not.
        EngineAwayError: the registry cannot be asked.
    """
    found = watched(registry, TAKEOVER_LEAST_S + BEAT_S)
    require_node(found, node, living=True)
    if dead not in found.nodes and not found.placement.owned_by(dead):
        require_node(found, dead, living=False)
    if dead in found.living:
        raise UsageError(
            f'Node "{dead}" lives.',
            "Stop it first; or move its partitions, one by one: headcount cluster move",
        )
    due = sorted(found.placement.owned_by(dead))

    def taken(there: Placement) -> Placement:
        owned = there.owned_by(dead)
        return there.given([each for each in due if each in owned], node)

    placement = change_placement(registry, taken)
    given = [each for each in due if each in placement.owned_by(node)]
    return TakenOver(given, [each for each in given if not _is_backed_up(found.nodes, each)])
