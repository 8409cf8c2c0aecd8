"""How a relay stands: until when everything is handed on, what waits, and what it cannot send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Lost", "RelayStanding"]


class Lost(NamedTuple):
    """What a partition asks for and a queue has deleted, since the partition once had it.

    Attributes:
        queue: the queue's UUID.
        partition: the partition's number.
        after: the last entry that the partition has.
        upto: the last one that is deleted.
    """

    queue: str
    partition: int
    after: int
    upto: int


@dataclass(frozen=True, slots=True)
class RelayStanding:
    """How a relay stands.

    Attributes:
        until_ms: until when everything is published; None before the first mark.
        lost: what partitions ask for and is deleted.
        waiting: how many entries at most are not confirmed by everybody.
        unsent: how many at most are not published; None until its queues were looked at.
    """

    until_ms: int | None
    lost: list[Lost] = field(default_factory=list)
    waiting: int = 0
    unsent: int | None = 0
