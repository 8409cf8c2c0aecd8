"""What commands do about nodes and partitions: takes a registry, gives how the cluster does.

Whoever gives a partition to another node first watches whether its owner lives: for as long as
somebody may publish what they count, nobody else is let.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from headcount.clock import now_ms
from headcount.cluster import unfit
from headcount.cluster.control import change_placement, read_cluster, read_placement
from headcount.cluster.forget_records import read_forgets
from headcount.cluster.liveness import BEAT_S
from headcount.cluster.membership_records import (
    NODE_PREFIX,
    NodeRecord,
    decoded,
    encoded,
    node_key,
)
from headcount.cluster.overview import ClusterStatus, status_of
from headcount.cluster.placement import TAKEOVER_LEAST_S, Partition, Placement, partitions_of
from headcount.engines import Registry
from headcount.errors import UsageError

__all__ = ["Watched", "move", "place", "retire", "take_over", "watched"]

_LOOK_S = 2.5 * BEAT_S


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
    status = status_of(cluster, nodes, silent_s, placement, moment, forgets=forgets)
    return Watched(status, nodes, placement, living)


def _require_node(found: Watched, name: str, *, living: bool) -> None:
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
    _require_node(found, node, living=False)

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


def move(registry: Registry, partitions: Sequence[Partition], node: str) -> Placement:
    """Let partitions be counted by another node from now on.

    What they have counted must be there already, or in the backups that the node finds: it counts
    on from there by the log, and shows nothing of them before.

    Raises:
        UsageError: there is no such partition, or the node does not serve.
        EngineAwayError: the registry cannot be asked.
    """
    _require_partitions(registry, partitions)
    found = watched(registry)
    _require_node(found, node, living=True)
    return change_placement(registry, lambda there: there.given(partitions, node))


def take_over(registry: Registry, dead: str, node: str) -> list[Partition]:
    """Let a node count what another one has counted that no longer lives.

    Returns:
        Which partitions.

    Raises:
        UsageError: the one lives, or the other does not.
        EngineAwayError: the registry cannot be asked.
    """
    found = watched(registry, TAKEOVER_LEAST_S + BEAT_S)
    _require_node(found, node, living=True)
    if dead not in found.nodes and not found.placement.owned_by(dead):
        _require_node(found, dead, living=False)
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
    return [each for each in due if each in placement.owned_by(node)]


def retire(registry: Registry, name: str) -> None:
    """Let a node leave for good: nobody waits any more for what its journals hold.

    Raises:
        UsageError: there is no such node, it serves still, or counts something.
        EngineAwayError: the registry cannot be asked.
    """
    found = watched(registry, TAKEOVER_LEAST_S + BEAT_S)
    record = found.nodes.get(name)
    if record is None:
        _require_node(found, name, living=False)
    assert record is not None
    owned = sorted(found.placement.owned_by(name))
    if owned:
        raise UsageError(
            f'Node "{name}" counts {len(owned)} partitions, such as {owned[0]}.',
            f"Move them first, or let another node take them over: headcount cluster takeover"
            f" {name} --to NODE",
        )
    if name in found.living and record.state != "retired":
        raise UsageError(
            f'Node "{name}" serves.',
            "Take it out of the load balancer, wait until headcount cluster status shows that"
            " everything it took is handed on, stop it, and retire it then.",
        )
    entry = registry.get(node_key(name))
    assert entry is not None
    retired = msgspec.structs.replace(record, state="retired")
    registry.put(node_key(name), encoded(retired), entry.revision)
