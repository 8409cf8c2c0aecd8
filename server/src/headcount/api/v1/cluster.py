"""How a cluster does: its nodes, its partitions, and what is missing, as this node last saw."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import Meta

from headcount.api.wire.context import caller_of
from headcount.api.wire.contract import Contract, answer, endpoint
from headcount.cluster.overview import ClusterStatus
from headcount.counting.calendar import moment_text

__all__ = ["CLUSTER_HANDLERS", "ClusterBody"]

# The process that looks writes what it sees about once a second.
_SEEN_WITHIN_MS = 10_000


class ClusterNode(msgspec.Struct, rename="camel"):
    """A node of the cluster."""

    name: str
    state: Annotated[str, Meta(description='"serving", "silent", "stopped" or "retired".')]
    version: str
    partitions: Annotated[int, Meta(description="How many partitions it counts.")]
    handed_on_until: Annotated[
        str | None,
        Meta(description="Until when what it took is handed on, RFC 3339; null while unknown."),
    ]
    troubles: Annotated[list[str], Meta(description="What hinders it.")]
    message: Annotated[str, Meta(description="The same for people.")]


class ClusterPartition(msgspec.Struct, rename="camel"):
    """A partition of the counting."""

    name: str
    node: Annotated[str | None, Meta(description="Who counts it; null where nobody does.")]
    epoch: Annotated[int, Meta(description="Grows by one with each new owner.")]
    counted_until: Annotated[
        str | None,
        Meta(description="Until when what was received is counted in it; null while unknown."),
    ]
    behind_seconds: Annotated[
        float | None, Meta(description="The same, before now; null while unknown.")
    ]
    backed_up_at: Annotated[
        str | None, Meta(description="When its newest backup was taken; null for none.")
    ]
    message: Annotated[str, Meta(description="The same for people.")]


class ClusterRecord(msgspec.Struct, rename="camel"):
    """The cluster, as this node last saw it."""

    id: str
    seen_by: Annotated[str, Meta(description="This node's name.")]
    at: Annotated[str, Meta(description="When it looked, RFC 3339 in UTC.")]
    counted_until: Annotated[
        str | None,
        Meta(description="Until when all that was received is counted; null while unknown."),
    ]
    message: Annotated[str, Meta(description="How it is on the whole, for people.")]
    missing: Annotated[list[str], Meta(description="What counting waits for; often nothing.")]
    nodes: list[ClusterNode]
    partitions: list[ClusterPartition]


class ClusterBody(msgspec.Struct):
    """The cluster that this server is a node of."""

    cluster: Annotated[ClusterRecord | None, Meta(description="null for a single machine.")]


class ClusterAnswer(msgspec.Struct):
    """The cluster."""

    data: ClusterBody


def _moment(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else moment_text(moment_ms)


def _record(found: ClusterStatus, now_ms: int) -> ClusterRecord:
    nodes = [
        ClusterNode(
            each.name,
            each.state,
            each.version,
            each.partitions,
            _moment(each.handed_on_until),
            each.troubles,
            each.sentence,
        )
        for each in found.nodes
    ]
    partitions = [
        ClusterPartition(
            each.name,
            each.node,
            each.epoch,
            _moment(each.counted_until),
            each.behind_seconds,
            _moment(each.backed_up_at),
            each.sentence,
        )
        for each in found.partitions
    ]
    missing = list(found.missing)
    if now_ms - found.at > _SEEN_WITHIN_MS:
        missing.insert(0, f"This node has not seen its cluster since {moment_text(found.at)}.")
    return ClusterRecord(
        found.id,
        found.seen_by,
        moment_text(found.at),
        _moment(found.fresh_until),
        found.sentence,
        missing,
        nodes,
        partitions,
    )


@endpoint(
    "GET",
    "/headcount/v1/cluster",
    Contract(
        name="getCluster",
        summary="The cluster",
        description="Nodes and partitions of the cluster that this server is a node of, until when"
        " everything is counted, and what is missing, as this node last saw. It is the same for all"
        " workspaces, and null where the server is a single machine.",
        tag="Health",
        answer=ClusterAnswer,
    ),
)
def read_cluster_status(request: Request[Any, Any, Any]) -> Response[bytes]:
    services = caller_of(request).services
    found = services.cluster()
    record = None if found is None else _record(found, services.clock())
    return answer(ClusterAnswer(ClusterBody(record)))


CLUSTER_HANDLERS = [read_cluster_status]
