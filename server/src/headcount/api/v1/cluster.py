"""How a cluster does: its nodes, its partitions, and what is missing, as this node last saw."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import Meta

from headcount.api.usage.month import moment_text
from headcount.api.wire.context import caller_of
from headcount.api.wire.contract import Contract, answer, endpoint
from headcount.api.wire.problems import Problem
from headcount.cluster.overview import ClusterStatus

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


class ClusterBody(msgspec.Struct, rename="camel"):
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


class ClusterAnswer(msgspec.Struct):
    """The cluster."""

    data: ClusterBody


def _moment(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else moment_text(moment_ms)


def _body(found: ClusterStatus) -> ClusterBody:
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
    return ClusterBody(
        found.id,
        found.seen_by,
        moment_text(found.at),
        _moment(found.fresh_until),
        found.sentence,
        found.missing,
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
        " everything is counted, and what is missing. It is the same for all workspaces. 404 where"
        " the server is a single machine; 503 while this node has not seen its cluster for ten"
        " seconds.",
        tag="Health",
        answer=ClusterAnswer,
        errors=(404, 503),
        access="admin",
    ),
)
def read_cluster_status(request: Request[Any, Any, Any]) -> Response[bytes]:
    services = caller_of(request).services
    found = services.cluster()
    if found is None:
        raise Problem(404, "This server is no node of a cluster.")
    if services.clock() - found.at > _SEEN_WITHIN_MS:
        raise Problem(503, "This node has not seen its cluster since " + moment_text(found.at))
    return answer(ClusterAnswer(_body(found)))


CLUSTER_HANDLERS = [read_cluster_status]
