"""How many requests were answered, by status and, where they were refused, by reason.

Counted in plain numbers, which costs a request next to nothing; whoever shows them asks now and
then for what has come since.
"""

from __future__ import annotations

from headcount.intake.answers import Answer

__all__ = ["RequestTally"]


class RequestTally:
    """The answers of one worker."""

    def __init__(self) -> None:
        self._answered: dict[tuple[int, str], int] = {}

    def count(self, answer: Answer) -> None:
        """Count one answer."""
        key = (answer.status, answer.reason)
        self._answered[key] = self._answered.get(key, 0) + 1

    def take(self) -> dict[tuple[int, str], int]:
        """What was counted since the last time: status and reason (empty for none) to answers."""
        answered, self._answered = self._answered, {}
        return answered
