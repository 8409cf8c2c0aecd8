"""Which node counts which partition, and until when it may say so: takes documents and moments,
gives owners, epochs and leases.

**Theory of operation.** The placement is one document in the cluster's registry, changed by
compare-and-set alone. Each partition has an owner and an *epoch*, which grows by one with every new
owner and never falls; so two placements of one cluster can always be merged, by the higher epoch,
and a registry that was put back to an older moment is put right by any node that has seen more.

A node is alive while it changes its own record in the registry. Nobody compares clocks: who wants
to take over has itself watched the record stand still for `TAKEOVER_LEAST_S`, and the owner, who
counts from *before* it wrote, stops publishing `LEASE_S` after it last could write. The one is
longer than the other by more than clocks of two machines drift apart meanwhile. Should the owner
have been stopped between looking and publishing, its packs carry an epoch that readers have seen
surpassed, and they leave them out: what it counts is seen by nobody.

Processes of one node share a clock, so the lease lies in a file of `run/`: one process talks to the
registry and writes it (`write_leases`), and those that count look before they publish (`Leases`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from headcount.errors import HeadcountError, UsageError
from headcount.runfiles import WholeFile, write_whole

__all__ = [
    "DECIDES",
    "LEASE_S",
    "TAKEOVER_LEAST_S",
    "LeaseLostError",
    "Leases",
    "Ownership",
    "Partition",
    "Placement",
    "Stage",
    "names_of",
    "partitions_of",
    "write_leases",
]

Stage = Literal["facts", "keys"]
"""`"facts"` for partitions of messages, which is stage 1; `"keys"` for those of ids, stage 2."""

LEASE_S = 3.0
"""For how long after it last reached the registry a node may publish what it counts."""

TAKEOVER_LEAST_S = 4.0
"""For how long a node's record must have stood still before others may take its partitions."""


class LeaseLostError(HeadcountError):
    """This node does not own the partition now; what was counted must not be published."""


class Partition(NamedTuple):
    """One part of the counting.

    Attributes:
        stage: which stage.
        number: from 0 on.
    """

    stage: Stage
    number: int

    def __str__(self) -> str:
        return f"{self.stage}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Partition:
        """The partition that is called so, such as `facts-3`.

        Raises:
            UsageError: none can be.
        """
        stage, _, number = text.strip().rpartition("-")
        if stage not in ("facts", "keys") or not (number.isascii() and number.isdecimal()):
            raise UsageError(
                f'"{text}" is not the name of a partition.', "Give one such as facts-3 or keys-0."
            )
        return cls("facts" if stage == "facts" else "keys", int(number[:9]))


DECIDES = Partition("facts", 0)
"""Whoever owns this one decides what one node has to: which months are closed, who tells people."""


def partitions_of(facts: int, keys: int) -> list[Partition]:
    """All partitions of a cluster with so many of each stage."""
    return [
        *(Partition("facts", number) for number in range(facts)),
        *(Partition("keys", number) for number in range(keys)),
    ]


def names_of(partitions: Iterable[object]) -> str:
    """Partitions for a sentence: `facts-0 to facts-15, keys-3`; other names as they are."""
    numbers: dict[str, list[int]] = {}
    others = []
    for name in map(str, partitions):
        stage, _, number = name.rpartition("-")
        if stage in ("facts", "keys") and number.isdecimal():
            numbers.setdefault(stage, []).append(int(number))
        else:
            others.append(name)
    found = []
    for stage, of_stage in sorted(numbers.items()):
        ordered = sorted(set(of_stage))
        while ordered:
            first = last = ordered.pop(0)
            while ordered and ordered[0] == last + 1:
                last = ordered.pop(0)
            if last - first > 1:
                found.append(f"{stage}-{first} to {stage}-{last}")
            else:
                found += [f"{stage}-{number}" for number in range(first, last + 1)]
    return ", ".join([*found, *sorted(others)])


class Ownership(msgspec.Struct, frozen=True):
    """Who counts a partition.

    Attributes:
        node: the node's name.
        epoch: grows by one with every new owner, from 1 on.
    """

    node: str
    epoch: int


class Placement(msgspec.Struct, frozen=True):
    """Who counts what; never changed in place.

    Attributes:
        owners: by the partition's name; all of the cluster's partitions from when on the first node
            has joined, none before.
    """

    owners: dict[str, Ownership] = msgspec.field(default_factory=dict)

    def owner(self, partition: Partition) -> Ownership | None:
        """Who counts it; None where nobody does yet."""
        return self.owners.get(str(partition))

    def owned_by(self, node: str) -> dict[Partition, int]:
        """The partitions of a node, with their epochs."""
        return {
            Partition.parse(name): owner.epoch
            for name, owner in self.owners.items()
            if owner.node == node
        }

    def epochs(self) -> dict[Partition, int]:
        """In which epoch each partition is."""
        return {Partition.parse(name): owner.epoch for name, owner in self.owners.items()}

    def given(self, partitions: Iterable[Partition], node: str) -> Placement:
        """With these partitions at a node, each in its next epoch; those it has already stay."""
        owners = dict(self.owners)
        for partition in partitions:
            former = owners.get(str(partition))
            if former is None or former.node != node:
                owners[str(partition)] = Ownership(node, 1 if former is None else former.epoch + 1)
        return Placement(owners)

    def merged(self, other: Placement) -> Placement:
        """What is right where two moments of one cluster's placement are known.

        The higher epoch is the later one. At one epoch, which only a registry that forgot can have
        given twice, this one stays: whoever merges gives the registry's first.
        """
        owners = dict(self.owners)
        for name, owner in other.owners.items():
            if name not in owners or owners[name].epoch < owner.epoch:
                owners[name] = owner
        return Placement(owners)

    def is_behind(self, other: Placement) -> bool:
        """Whether the other one has seen an owner that this one has not."""
        return self.merged(other) != self


class _LeaseFile(msgspec.Struct, frozen=True):
    """What the file says.

    Attributes:
        until_s: by this machine's monotonic clock, when the lease runs out.
        epochs: of this node's partitions, by name.
    """

    until_s: float
    epochs: dict[str, int]


def write_leases(path: Path, owned: Mapping[Partition, int], until_s: float) -> bool:
    """Tell this node's processes what they may publish, and until when.

    Args:
        path: the file.
        owned: partitions with their epochs.
        until_s: by `time.monotonic`.

    Returns:
        Whether it was written; if not, the lease runs out.
    """
    return write_whole(path, _LeaseFile(until_s, {str(each): n for each, n in owned.items()}))


class Leases:
    """What this node may publish, as the process says that talks to the registry.

    Args:
        path: the file that it writes.
        monotonic_s: the machine's clock that never goes back.
    """

    def __init__(self, path: Path, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._file = WholeFile(path, _LeaseFile)
        self._monotonic_s = monotonic_s

    def owned(self) -> dict[Partition, int]:
        """The partitions that this node may publish now, with their epochs; else none."""
        return {Partition.parse(name): epoch for name, epoch in self._epochs().items()}

    def epoch(self, name: str) -> int | None:
        """The epoch in which a partition, by its name, may be published now; None for none."""
        return self._epochs().get(name)

    def _epochs(self) -> Mapping[str, int]:
        found = self._file.read()
        # Of a boot before, the clock tells nothing: such a lease would lie far ahead.
        if found is None or not 0 < found.until_s - self._monotonic_s() <= LEASE_S:
            return {}
        return found.epochs

    def require(self, partition: Partition, epoch: int) -> None:
        """See, just before something is published, that this node may.

        Raises:
            LeaseLostError: it may not: another node counts the partition, or might.
        """
        if self.owned().get(partition) != epoch:
            raise LeaseLostError(
                f"This node does not own {partition} in epoch {epoch}, or could not tell the"
                " cluster for a while that it lives."
            )
