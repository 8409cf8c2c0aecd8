"""Nodes of a cluster in one process, over one registry in memory and a clock that a test moves."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headcount.cluster.control import ControlPlane, Seen
from headcount.cluster.membership import MembershipFile
from headcount.cluster.membership_records import (
    CLUSTER_FORMAT,
    CLUSTER_KEY,
    ClusterDocument,
    NodeRecord,
    encoded,
)
from headcount.cluster.placement import Leases, write_leases
from support.memory_registry import MemoryRegistryServer

CLUSTER = ClusterDocument(CLUSTER_FORMAT, "c" * 32, 2, 2, "key", 0)


class ClusterRig:
    """What the nodes share.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = MemoryRegistryServer()
        self.server.open().put(CLUSTER_KEY, encoded(CLUSTER), 0)
        self.now_s = 1_000_000.0

    def node(self, name: str, *, uuid: str | None = None, run: str = "1", **said: object) -> Node:
        """A node that has not entered."""
        return Node(self, name, uuid or f"uuid of {name}", run, **said)

    def passes(self, seconds: float) -> None:
        """Time passes."""
        self.now_s += seconds


class Node:
    """One node: its part of the control plane and the lease file that it writes."""

    def __init__(self, rig: ClusterRig, name: str, uuid: str, run: str, **said: object) -> None:
        self.rig = rig
        self.name = name
        self.clock_off_s = 0.0
        self.folder = rig.folder / f"{name} {uuid}"
        self.folder.mkdir(exist_ok=True)
        self.beats = 0
        self.me = NodeRecord(
            name, uuid, run, "1.0", CLUSTER_FORMAT, "http://t", "http://a", self.clock_ms(), **said
        )  # type: ignore[arg-type]
        self.file = MembershipFile(self.folder / "cluster.json")
        self.control = ControlPlane(
            rig.server.open(), self.file, self.me, self.clock_ms, self.monotonic_s
        )
        self.leases = Leases(self.folder / "leases.json", self.monotonic_s)

    def clock_ms(self) -> int:
        return int((1_700_000_000 + self.rig.now_s + self.clock_off_s) * 1000)

    def monotonic_s(self) -> float:
        return self.rig.now_s

    def enter(self) -> None:
        self.control.enter(self.rig.passes)

    def beat(self) -> Seen:
        self.beats += 1
        report = msgspec.structs.replace(self.me, beat=self.beats, clock_ms=self.clock_ms())
        seen = self.control.beat(report)
        write_leases(self.folder / "leases.json", seen.owned, seen.lease_until_s)
        return seen
