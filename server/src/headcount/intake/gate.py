"""Decides whether a request is taken in or turned away.

Counts what is under way in this worker: requests whose bodies are whole, by source, and facts that
wait for the disk. What a client announces counts for nothing; bodies that are still coming have
rooms of their own (`reading`).
"""

from __future__ import annotations

from headcount.intake.ports import FactSink, Limits
from headcount.intake.reasons import Reason, Refused
from headcount.intake.shares import Shares

__all__ = ["Gate"]


class Gate:
    """The worker's door.

    Args:
        limits: how much may be under way.
        sink: says how many facts wait for the disk.
    """

    def __init__(self, limits: Limits, sink: FactSink) -> None:
        # Half of it is what one source may have.
        self._requests = Shares(2 * limits.requests_in_flight_max)
        self._pending_bytes_max = limits.pending_fact_bytes_max
        self._sink = sink

    def check(self, owner: int) -> None:
        """See whether there is room for a request, before its body is read.

        Args:
            owner: the number of its source; 0 for all whose source is not known yet.

        Raises:
            Refused: there is too much under way, of this source or of all.
        """
        if (
            not self._requests.has_room(owner, 1)
            or self._sink.pending_bytes > self._pending_bytes_max
        ):
            raise Refused(Reason.OVERLOADED)

    def enter(self, owner: int) -> None:
        """Let a request in whose body is whole; `leave` must follow.

        Raises:
            Refused: there is too much under way, of this source or of all.
        """
        self.check(owner)
        self._requests.take(owner, 1)

    def leave(self, owner: int) -> None:
        """The request is over."""
        self._requests.give_back(owner, 1)
