"""How a cluster does: its nodes, its partitions, and what is missing, as this node last saw."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.wire.context import caller_of
from headcount.api.wire.contract import Contract, answer, endpoint
from headcount.cluster.losses import NotedLoss
from headcount.cluster.overview import ClusterStatus
from headcount.counting.calendar import MS_PER_DAY, Period, moment_text

__all__ = ["CLUSTER_HANDLERS", "ClusterBody", "ClusterLoss", "losses_shown"]

# The process that looks writes what it sees about once a second.
_SEEN_WITHIN_MS = 10_000
# Copies of a message are known for so long, whatever their months.
_NEAR_MS = 35 * MS_PER_DAY


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


class ClusterLoss(msgspec.Struct, rename="camel"):
    """Something that may be missing in counts, or stand in another month, for good."""

    noted_at: Annotated[str, Meta(description="When it was noted, RFC 3339 in UTC.")]
    since: Annotated[str, Meta(description="Of what was taken from then on.")]
    until: Annotated[str, Meta(description="Of what was taken until then.")]
    message: Annotated[str, Meta(description="What happened, for people.")]
    accepted_at: Annotated[
        str | None,
        Meta(description="When somebody said that they have seen it; null for nobody yet."),
    ]


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
    at_risk: Annotated[
        list[str], Meta(description="What would be lost with a disk now; often nothing.")
    ]
    losses: Annotated[list[ClusterLoss], Meta(description="What is lost for good; it stays here.")]


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
        list(found.at_risk),
        losses_of(found.losses),
    )


def losses_of(losses: Iterable[NotedLoss]) -> list[ClusterLoss]:
    """Losses as they are shown."""
    return [
        ClusterLoss(
            moment_text(each.noted_at),
            moment_text(each.since),
            moment_text(each.until),
            each.sentence,
            _moment(each.accepted_at or None),
        )
        for each in losses
    ]


def losses_shown(losses: Iterable[NotedLoss], period: Period) -> list[ClusterLoss] | UnsetType:
    """The losses that may concern a month; absent where there are none.

    One concerns the months of what was taken, and those in which a copy of it may count.
    """
    first_ms = period.first_day * MS_PER_DAY
    after_ms = period.shifted(1).first_day * MS_PER_DAY
    near = [
        each
        for each in losses
        if each.since - _NEAR_MS < after_ms and each.noted_at + _NEAR_MS >= first_ms
    ]
    return losses_of(near) or UNSET


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
