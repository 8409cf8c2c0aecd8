"""Decides whether a request is taken in or turned away.

Counts what is under way in this worker: requests whose bodies are whole, by source, and facts that
wait for the disk. What a client announces counts for nothing; bodies that are still coming have
rooms of their own (`receiving`).
"""

from __future__ import annotations

from headcount.intake.ports import FactSink, Limits
from headcount.intake.reasons import Reason, Refused

__all__ = ["InFlightLimiter"]


class InFlightLimiter:
    """Bounds what is under way in one worker.

    Args:
        limits: how much may be under way.
        sink: says how many facts wait for the disk.
    """

    def __init__(self, limits: Limits, sink: FactSink) -> None:
        # A source may have as many as are left free by all, as with `Shares`, which are written out
        # here for speed. So one has at most half of them.
        self._free = 2 * limits.requests_in_flight_max
        self._held: dict[int, int] = {}
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
            self._held.get(owner, 0) >= self._free
            or self._sink.pending_bytes > self._pending_bytes_max
        ):
            raise Refused(Reason.OVERLOADED)

    def enter(self, owner: int) -> None:
        """Let a request in whose body is whole; `leave` must follow.

        Raises:
            Refused: there is too much under way, of this source or of all.
        """
        held = self._held.get(owner, 0)
        if held >= self._free or self._sink.pending_bytes > self._pending_bytes_max:
            raise Refused(Reason.OVERLOADED)
        self._held[owner] = held + 1
        self._free -= 1

    def leave(self, owner: int) -> None:
        """The request is over."""
        self._free += 1
        held = self._held[owner] - 1
        if held:
            self._held[owner] = held
        else:
            del self._held[owner]
