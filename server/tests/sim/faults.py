"""Kinds of faults, each with a switch and a rate."""

from __future__ import annotations

import random
from enum import StrEnum

__all__ = ["DAMAGE", "Fault", "Faults"]


class Fault(StrEnum):
    """What can be made to go wrong."""

    KILL = "kill"
    """A program, or all, are killed at an operation of the disk or between two; writes stay."""
    POWER = "power"
    """The power goes at an operation of the disk: unsynced writes are lost, or torn."""
    FSYNC = "fsync"
    """Some syncs fail, and what they should have written may be gone."""
    FULL = "full"
    """The disk is full for some writes."""
    CLOCK = "clock"
    """The clock is set back, or a year ahead, or to 1970, and after a while right again."""
    ANSWER = "answer"
    """An answer is lost on the way: its client sends the messages again."""
    BETWEEN = "between"
    """Posts and readers come between two steps of the meter's work, or it is killed there."""
    FLIP = "flip"
    """Bits flip in a file of the folder while nothing runs."""
    CUT = "cut"
    """A file of the folder, above all the log of a database, is cut off, emptied or gone."""
    OLDER = "older"
    """An older copy of one database is put in its place."""


DAMAGE = (Fault.FLIP, Fault.CUT, Fault.OLDER)

_RATES = {
    Fault.KILL: 0.04,
    Fault.POWER: 0.03,
    Fault.FSYNC: 0.03,
    Fault.FULL: 0.03,
    Fault.CLOCK: 0.03,
    Fault.ANSWER: 0.08,
    Fault.BETWEEN: 0.15,
    Fault.FLIP: 0.03,
    Fault.CUT: 0.015,
    Fault.OLDER: 0.015,
}


class Faults:
    """Decides when one is due, and counts them.

    Args:
        rng: the seed's dice.
        kinds: the switches that are on.
        scale: how many times as often as usual; None to let the seed decide.

    Attributes:
        injected: how many of each kind there were.
    """

    def __init__(
        self, rng: random.Random, kinds: frozenset[Fault], scale: float | None = None
    ) -> None:
        self._rng = rng
        # Some histories are nearly calm and some are wild.
        usual = rng.choice([0.3, 1.0, 1.0, 3.0])
        scale = usual if scale is None else scale
        self._rates = {kind: min(0.5, scale * _RATES[kind]) for kind in Fault if kind in kinds}
        self.injected: dict[Fault, int] = dict.fromkeys(Fault, 0)

    def due(self, kind: Fault) -> bool:
        """Whether a fault of a kind is to happen now."""
        if self._rng.random() >= self._rates.get(kind, 0.0):
            return False
        self.injected[kind] += 1
        return True

    def is_on(self, kind: Fault) -> bool:
        """Whether a kind of fault may happen at all."""
        return kind in self._rates
