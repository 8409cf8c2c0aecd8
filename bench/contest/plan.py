"""How long and how much: takes full, quick or tiny, gives rounds and sizes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "SIZES", "TINY", "Plan"]

SIZES = {100: "batches of 100", 1: "single posts"}
"""Messages of a request, and what that is called."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how much.

    Attributes:
        name: what it is called.
        minutes: after so many no new round begins.
        rounds: of load; each contender has one turn of each shape in each.
        turn_s: length of a turn.
        examined: distinct messages of the examination.
        readings: of a month's series.
        imports: rounds of imports; each program has one turn in each.
        records: of the file that is imported.
    """

    name: str
    minutes: float
    rounds: int
    turn_s: float
    examined: int
    readings: int
    imports: int
    records: int


FULL = Plan("full", 15, 9, 4.0, 4_000, 40, 5, 1_000_000)
QUICK = Plan("quick", 3, 3, 2.0, 2_000, 15, 3, 200_000)
TINY = Plan("tiny", 10, 1, 0.2, 400, 1, 1, 2_000)
