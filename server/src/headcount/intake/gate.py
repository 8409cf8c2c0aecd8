"""Decides, before a body is read, whether a request is taken in or turned away.

Counts what is under way in this worker: requests, bytes of bodies, facts that wait for the disk.
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
        self._limits = limits
        self._sink = sink
        self._requests = 0
        self._body_bytes = 0

    def enter(self, body_bytes: int) -> None:
        """Let a request in; `leave` must follow, with the same size.

        Args:
            body_bytes: how large the body is, or may become when its length is not declared.

        Raises:
            Refused: there is too much under way.
        """
        limits = self._limits
        if (
            self._requests >= limits.requests_in_flight_max
            or self._body_bytes + body_bytes > limits.body_bytes_in_flight_max
            or self._sink.pending_bytes > limits.pending_fact_bytes_max
        ):
            raise Refused(Reason.OVERLOADED)
        self._requests += 1
        self._body_bytes += body_bytes

    def leave(self, body_bytes: int) -> None:
        """The request is over."""
        self._requests -= 1
        self._body_bytes -= body_bytes
