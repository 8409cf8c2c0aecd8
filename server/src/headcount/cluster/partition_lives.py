"""Whether a partition's folder is as this node left it: takes what stands in the folder and in the
registry, gives yes only where it is sure.

A folder that was put back to an older moment looks like any other, and what it hands on would bear
numbers that were given already. So the registry says, outside of it, in which life of the node
partitions are counted, before they are; and when that life ends well, at which state each stands.
A folder of that life and state is the one that was left. All else may be older: one that did not
end well, a copy, a snapshot of a disk. Within one life the file itself tells: a copy was made
later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import msgspec

from headcount.engines import Registry
from headcount.errors import EngineAwayError, RegistryConflictError

__all__ = ["Counted", "PartitionLives"]

_PREFIX = "counted."
_ATTEMPTS_MAX = 5


class Counted(msgspec.Struct, frozen=True):
    """What a partition's folder says of who counted it.

    Attributes:
        cluster: of which cluster.
        epoch: in which epoch.
        run: in which life of its owner; empty where an earlier version counted it.
        file: when the store's file was made, as `birth_of` tells it; 0 for unknown.
    """

    cluster: str
    epoch: int
    run: str = ""
    file: int = 0


class _Life(msgspec.Struct, frozen=True):
    """What the registry says of a node's partitions.

    Attributes:
        run: the life in which they are counted, or were last.
        ended: partition to how many transactions its store had seen when that life ended well.
    """

    run: str
    ended: dict[str, int] = msgspec.field(default_factory=dict)


class PartitionLives:
    """The lives of one node, as far as its partitions are concerned.

    Args:
        opened: opens the cluster's registry; closed after use.
        node: the node's name.
        run: its present life.

    Attributes:
        run: the same.
        has_begun: whether the registry knows of this life.
    """

    def __init__(self, opened: Callable[[], Registry], node: str, run: str) -> None:
        self._opened = opened
        self._key = _PREFIX + node
        self.run = run
        self.has_begun = False
        self._former: _Life | None = None

    def begin(self) -> None:
        """Let the registry know that this life counts; before anything is counted.

        Raises:
            EngineAwayError: the registry cannot be asked.
            OperatorError: it cannot be opened as it is.
        """
        with contextlib.closing(self._opened()) as registry:
            for _ in range(_ATTEMPTS_MAX):
                there = registry.get(self._key)
                former = None if there is None else _read(there.value)
                if former is None or former.run != self.run:
                    value = msgspec.json.encode(_Life(self.run))
                    try:
                        registry.put(self._key, value, 0 if there is None else there.revision)
                    except RegistryConflictError:
                        continue
                    self._former = former
                self.has_begun = True
                return
        raise EngineAwayError("Somebody else changes what the registry says of this node.")

    def is_current(self, held: Counted, file: int, name: str, generation: int) -> bool:
        """Whether a folder is as this node left it.

        Args:
            held: what it says.
            file: when its store's file was made.
            name: of the partition.
            generation: how many transactions its store has seen.
        """
        assert self.has_begun, "nobody has asked the registry"
        if held.run == self.run:
            return held.file == file
        former = self._former
        return (
            former is not None and held.run == former.run and former.ended.get(name) == generation
        )

    def end(self, generations: Mapping[str, int]) -> None:
        """Say that this life ends well; where nobody hears it, the next one takes no chances.

        Args:
            generations: partition to how many transactions its store has seen.
        """
        if not self.has_begun:
            return
        with (
            contextlib.suppress(EngineAwayError, RegistryConflictError),
            contextlib.closing(self._opened()) as registry,
        ):
            there = registry.get(self._key)
            known = None if there is None else _read(there.value)
            if there is not None and known is not None and known.run == self.run:
                ended = msgspec.json.encode(_Life(self.run, dict(generations)))
                registry.put(self._key, ended, there.revision)


def _read(value: bytes) -> _Life | None:
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(value, type=_Life)
    return None
