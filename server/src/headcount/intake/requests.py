"""How many requests were answered, by status and reason, and how long they took.

Counted in plain numbers, which costs a request next to nothing; whoever shows them asks now and
then for what has come since.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from headcount.intake.answers import Answer

__all__ = ["RequestTally"]


class RequestTally:
    """The answers of one worker.

    Args:
        bounds_s: the upper bounds by which their times are told apart, in seconds, ascending.
    """

    def __init__(self, bounds_s: Sequence[float] = ()) -> None:
        self._answered: dict[tuple[int, str], int] = {}
        self._bounds_s = bounds_s
        self._times = [0] * (len(bounds_s) + 1)
        self._seconds = 0.0

    def count(self, answer: Answer, seconds: float) -> None:
        """Count one answer, and how long it took."""
        key = (answer.status, answer.reason)
        self._answered[key] = self._answered.get(key, 0) + 1
        self._times[bisect_left(self._bounds_s, seconds)] += 1
        self._seconds += seconds

    def take(self) -> dict[tuple[int, str], int]:
        """What was counted since the last time: status and reason (empty for none) to answers."""
        answered, self._answered = self._answered, {}
        return answered

    def take_times(self) -> tuple[Sequence[int], float]:
        """How many took up to each bound, and longer than all, and what all took together.

        Since the last time; each request is counted in one place only.
        """
        taken = self._times, self._seconds
        self._times, self._seconds = [0] * len(self._times), 0.0
        return taken
