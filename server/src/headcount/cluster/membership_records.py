"""The documents in a cluster's registry, and what a node remembers of them: takes bytes, gives
checked records. Refuses what a newer version wrote, and what is no document at all.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from headcount.cluster.placement import Placement
from headcount.errors import OperatorError

__all__ = [
    "CLUSTER_FORMAT",
    "CLUSTER_KEY",
    "NODE_PREFIX",
    "PLACEMENT_KEY",
    "ClusterDocument",
    "MissingEntries",
    "NodeRecord",
    "PartitionReport",
    "RelayReport",
    "decoded",
    "encoded",
    "node_key",
]

CLUSTER_FORMAT = 2
"""What nodes hand one another, and what stands in the registry, has this format."""

CLUSTER_KEY = "cluster"
PLACEMENT_KEY = "placement"
NODE_PREFIX = "node."

D = TypeVar("D")


class ClusterDocument(msgspec.Struct, frozen=True):
    """What holds for the whole cluster and for ever.

    Attributes:
        format: of what nodes hand one another.
        id: by which nodes know their cluster.
        facts: how many partitions of messages there are.
        keys: how many partitions of ids.
        hash_key: the fingerprint of the key under which the first node hashed ids; which serve now
            stands in the catalog.
        created_at_ms: milliseconds since 1970.
        whole_until: number of the last month whose ids all lie in the partition `keys-0`, because a
            single machine's folder was joined in it, whose keys do not tell their ids; 0 for none.
    """

    format: int
    id: str
    facts: int
    keys: int
    hash_key: str
    created_at_ms: int
    whole_until: int = 0


class MissingEntries(msgspec.Struct, frozen=True):
    """Entries of a queue that a partition asks for and that are deleted, since it once had them.

    Attributes:
        partition: which lacks them.
        queue: the queue's UUID.
        after: the last entry that the partition has.
        upto: the last one that is deleted.
    """

    partition: str
    queue: str
    after: int
    upto: int


class PartitionReport(msgspec.Struct, frozen=True):
    """How a partition does, as its owner says.

    Attributes:
        epoch: in which its owner counts it.
        until_ms: until when what was received is counted in it, milliseconds since 1970; None while
            nobody can say.
        said: what hinders it, as a sentence; empty where nothing does.
        backed_up_at_ms: when its newest backup was taken; None where there is none.
        forgotten: number of the latest order to forget somebody that it has carried out.
        log_lost_at_ms: when it last noticed that the log has lost what it had counted; 0 for never.
        latest_ms: when the latest of what it has counted was taken; 0 while nobody says.
        deleted: what partitions of ids ask for and its outbox has deleted.
    """

    epoch: int
    until_ms: int | None = None
    said: str = ""
    backed_up_at_ms: int | None = None
    forgotten: int = 0
    log_lost_at_ms: int = 0
    latest_ms: int = 0
    deleted: list[MissingEntries] = msgspec.field(default_factory=list)


class RelayReport(msgspec.Struct, frozen=True):
    """How far a node's journals are handed on, as its relay says.

    Attributes:
        until_ms: until when what was acknowledged is handed on, milliseconds since 1970.
        queues: UUIDs of the journals.
        said: what hinders it, as a sentence; empty where nothing does.
        unsent: how many entries of them are not handed on; None while nobody can say.
        ended: whether it has stopped, so that this is the last that it says.
        deleted: what partitions ask for and its journals have deleted.
    """

    until_ms: int | None = None
    queues: list[str] = msgspec.field(default_factory=list)
    said: str = ""
    unsent: int | None = None
    ended: bool = False
    deleted: list[MissingEntries] = msgspec.field(default_factory=list)


class NodeRecord(msgspec.Struct, frozen=True):
    """One node, as it says itself, about once a second.

    Attributes:
        name: what it is called.
        uuid: of its data folder.
        run: of this life of it.
        version: of Headcount.
        format: of what it hands others.
        tracking, api: where it listens.
        clock_ms: its clock, when it wrote this.
        beat: how often it has written in this life.
        state: `"serving"`, `"stopped"` when it was told to stop, or `"retired"`.
        hash_keys: fingerprints of the keys in its file.
        catalog_version: of its copy of the catalog.
        partitions: how its partitions do, by name.
        until_ms: until when what it received is handed on; None while nobody can say.
        queues: UUIDs of the journals that it hands on, for which freshness waits.
        troubles: what hinders it, as sentences.
        takes_over: whether it takes over partitions of others by itself.
        unsent: how many entries of its journals are not handed on; None while nobody can say.
        acknowledges_in_log: whether it answers only when the log has what it took.
        backups: whether it is told where backups of partitions lie; None of an earlier version.
        log_days: for how many days the log keeps what was handed on; 0 while nobody says.
        deleted: what partitions ask for and its journals have deleted.
    """

    name: str
    uuid: str
    run: str
    version: str
    format: int
    tracking: str
    api: str
    clock_ms: int
    beat: int = 0
    state: str = "serving"
    hash_keys: list[str] = msgspec.field(default_factory=list)
    catalog_version: int = 0
    partitions: dict[str, PartitionReport] = msgspec.field(default_factory=dict)
    until_ms: int | None = None
    queues: list[str] = msgspec.field(default_factory=list)
    troubles: list[str] = msgspec.field(default_factory=list)
    takes_over: bool = False
    unsent: int | None = None
    acknowledges_in_log: bool = False
    backups: bool | None = None
    log_days: int = 0
    deleted: list[MissingEntries] = msgspec.field(default_factory=list)


def node_key(name: str) -> str:
    """Where a node's record stands."""
    return NODE_PREFIX + name


def encoded(document: ClusterDocument | NodeRecord | Placement) -> bytes:
    """A document as it stands in the registry."""
    return msgspec.json.encode(document)


def decoded(value: bytes, kind: type[D]) -> D:
    """The document that a value is.

    Raises:
        OperatorError: it is none of this version's.
    """
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.DecodeError as error:
        raise OperatorError(
            f"The cluster's registry holds something that this version cannot read: {error}.",
            "Run the version on this node that the other nodes run; `headcount cluster status`"
            " there names it.",
        ) from error
