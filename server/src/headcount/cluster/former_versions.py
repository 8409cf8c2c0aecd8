"""Whether nodes of a former version live, which are closed out when the format is raised.

Takes a registry and what was seen there; refuses for whom one lives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headcount.cluster import unfit
from headcount.cluster.liveness import BEAT_S
from headcount.cluster.membership_records import CLUSTER_FORMAT, NODE_PREFIX, NodeRecord, decoded
from headcount.engines import Registry, RegistryEntry

__all__ = ["watch_older"]

# Longer than an engine takes to fail over.
_SILENT_S = 30.0


def watch_older(
    registry: Registry,
    me: str,
    seen: Mapping[str, RegistryEntry],
    pause: Callable[[float], object],
) -> None:
    """See for longer that nobody of a former version lives, before the format is raised.

    One pause may be the moment in which the engine fails over, and nobody can write.

    Args:
        registry: the cluster's.
        me: the name of the node that is about to raise it.
        seen: the records of nodes, as they stood before.
        pause: waits for some seconds.

    Raises:
        ClusterError: one lives.
        EngineAwayError: the registry cannot be asked.
    """
    waited_s = 0.0
    while waited_s < _SILENT_S:
        entries = registry.list(NODE_PREFIX)
        records = {key: decoded(each.value, NodeRecord) for key, each in entries.items()}
        older = {
            key: each
            for key, each in records.items()
            if each.state == "serving" and each.format < CLUSTER_FORMAT
        }
        for key, each in older.items():
            if key not in seen or entries[key].revision != seen[key].revision:
                raise unfit.older_lives(each)
        if all(each.name == me for each in older.values()):
            return
        pause(BEAT_S)
        waited_s += BEAT_S
