"""Who is to be forgotten in a cluster, in its registry: one value for each order, and one for each
partition that has found anything. They hold hashes and never an id, and go when the log holds
nothing of before any more.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headcount.cluster.membership_records import NodeRecord, decoded
from headcount.cluster.placement import Placement
from headcount.engines import Registry

__all__ = [
    "FORGET_PREFIX",
    "ForgetDocument",
    "ForgetReport",
    "FoundId",
    "behind",
    "forget_key",
    "found_key",
    "read_forgets",
]

FORGET_PREFIX = "forget."
_FOUND_PREFIX = "forgot."


class FoundId(msgspec.Struct, frozen=True, rename="camel"):
    """What was found of one id in one month of one workspace; see `ForgottenId`."""

    workspace: int
    period: int
    is_anonymous: bool
    sources: list[int]
    waiting: int


class ForgetDocument(msgspec.Struct, frozen=True):
    """An order to forget somebody.

    Attributes:
        number: of the order; later ones have greater numbers.
        node: by which it was asked for.
        asked_at_ms: when.
        behind_ms: what any node acknowledged before is counted first.
        expires_at_ms: until when it is kept.
        order: what partitions of messages are given, as it stands in logs.
    """

    number: int
    node: str
    asked_at_ms: int
    behind_ms: int
    expires_at_ms: int
    order: bytes


class ForgetReport(msgspec.Struct, frozen=True):
    """What the partitions of one node found, as the process that counts them says.

    Attributes:
        found: number of an order to partition to what it has found; nothing for those that have
            found nothing.
    """

    found: dict[int, dict[str, list[FoundId]]] = {}


def forget_key(number: int) -> str:
    """Where an order stands."""
    return f"{FORGET_PREFIX}{number:010d}"


def found_key(number: int, partition: str = "") -> str:
    """Where it stands what a partition has found; without one, what the keys of all begin with."""
    return f"{_FOUND_PREFIX}{number:010d}.{partition}"


def read_forgets(registry: Registry) -> dict[int, ForgetDocument]:
    """The orders that are kept, by number.

    Raises:
        EngineAwayError: the registry cannot be asked.
        OperatorError: what stands there is not of this version.
    """
    values = registry.list(FORGET_PREFIX).values()
    documents = (decoded(each.value, ForgetDocument) for each in values)
    return {each.number: each for each in documents}


def behind(number: int, nodes: Mapping[str, NodeRecord], placement: Placement) -> dict[str, str]:
    """Which partitions have not carried an order out yet, and who counts them."""
    found = {}
    for name, owner in sorted(placement.owners.items()):
        record = nodes.get(owner.node)
        report = record.partitions.get(name) if record is not None else None
        if report is None or report.epoch != owner.epoch or report.forgotten < number:
            found[name] = owner.node
    return found
