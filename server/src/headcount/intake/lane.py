"""Lets requests with large bodies work a few at a time: whoever finds no place waits.

Work that gives way to others in between would otherwise be under way for all of them at once, and
each takes many times the memory of its body. Who waits holds no more than the body as it was sent,
and sources take turns.
"""

from __future__ import annotations

import asyncio

from headcount.intake.reasons import Reason, Refused
from headcount.intake.turns import FairQueue

__all__ = ["Lane"]


class Lane:
    """Places for work, and a queue before them.

    Args:
        places: how many may work.
        waiting_bytes_max: how large the bodies may be, together, of those that wait.
        least_bytes: what a body counts for at least.
    """

    def __init__(self, places: int, waiting_bytes_max: int, least_bytes: int) -> None:
        self._places = places
        self._least_bytes = least_bytes
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(waiting_bytes_max)

    @property
    def is_full(self) -> bool:
        """Whether whoever comes has to wait."""
        return not self._places

    def check(self, owner: int, body_bytes: int) -> None:
        """See whether there is room for a body, before it is read.

        Raises:
            Refused: too many of this source wait already.
        """
        if self.is_full and body_bytes > self._least_bytes:
            self._require_room(owner, body_bytes)

    def _require_room(self, owner: int, work: int) -> None:
        if not self._queue.has_room(owner, work):
            raise Refused(Reason.SOURCE_OVER_SHARE)

    async def enter(self, owner: int, body_bytes: int) -> None:
        """Wait for a place; `leave` must follow.

        Args:
            owner: the number of the body's source; 0 for all whose source is not known yet.
            body_bytes: how large the body is that waits.

        Raises:
            Refused: too many of this source wait already.
        """
        if self._places:
            self._places -= 1
            return
        work = max(body_bytes, self._least_bytes)
        self._require_room(owner, work)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.join(owner, work, place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to the next."""
        while self._queue:
            place, _ = self._queue.next()
            if not place.done():
                place.set_result(None)
                return
        self._places += 1
