"""Lets requests with large bodies work a few at a time: whoever finds no place waits in order.

Work that gives way to others in between would otherwise be under way for all of them at once, and
each takes many times the memory of its body. Who waits holds no more than the body as it was sent.
"""

from __future__ import annotations

import asyncio

from headcount.intake.reasons import Reason, Refused

__all__ = ["Lane"]


class Lane:
    """Places for work, and a queue before them.

    Args:
        places: how many may work.
        waiting_max: how many may wait.
        waiting_bytes_max: how large the bodies may be, together, of those that wait.
    """

    def __init__(self, places: int, waiting_max: int, waiting_bytes_max: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._waiting_max = waiting_max
        self._waiting_bytes_max = waiting_bytes_max
        self._waiting = 0
        self._waiting_bytes = 0

    async def enter(self, body_bytes: int) -> None:
        """Wait for a place; `leave` must follow.

        Args:
            body_bytes: how large the body is that waits.

        Raises:
            Refused: too many wait already.
        """
        if self._places.locked() and (
            self._waiting >= self._waiting_max
            or self._waiting_bytes + body_bytes > self._waiting_bytes_max
        ):
            raise Refused(Reason.OVERLOADED)
        self._waiting += 1
        self._waiting_bytes += body_bytes
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
            self._waiting_bytes -= body_bytes

    def leave(self) -> None:
        """Give the place to the next."""
        self._places.release()
