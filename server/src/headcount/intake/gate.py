"""Decides whether a request is taken in or turned away.

Counts what is under way in this worker: requests whose bodies are whole, facts that wait for the
disk. What a client announces counts for nothing; bodies that are still coming have rooms of their
own (`reading`).
"""

from __future__ import annotations

from headcount.intake.ports import FactSink, Limits
from headcount.intake.reasons import Reason, Refused

__all__ = ["Gate"]


class Gate:
    """The worker's door.

    Args:
        limits: how much may be under way.
        sink: says how many facts wait for the disk.
    """

    def __init__(self, limits: Limits, sink: FactSink) -> None:
        self._requests_max = limits.requests_in_flight_max
        self._pending_bytes_max = limits.pending_fact_bytes_max
        self._sink = sink
        self._requests = 0

    def check(self) -> None:
        """See whether there is room for a request, before its body is read.

        Raises:
            Refused: there is too much under way.
        """
        if (
            self._requests >= self._requests_max
            or self._sink.pending_bytes > self._pending_bytes_max
        ):
            raise Refused(Reason.OVERLOADED)

    def __enter__(self) -> None:
        """Let a request in whose body is whole, until the end of the block.

        Raises:
            Refused: there is too much under way.
        """
        self.check()
        self._requests += 1

    def __exit__(self, *_: object) -> None:
        self._requests -= 1
