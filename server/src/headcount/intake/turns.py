"""Who is served next, where more comes than one worker can do: sources take turns.

An event loop serves whoever is ready in the order of coming, so a source that sends a hundred
batches makes everybody wait for all of them. Here work is done in small portions, one for each
round of the loop; what exceeds it waits, and of what waits the source comes next that has had the
least. A source with little to do waits for a portion or two, whatever others send.

How much may wait is bounded, and shared (`shares`): what a source has waiting beyond its share is
refused at once, rather than made to wait for long.

Theory of operation: start-time fair queueing. What waits has a tag, the amount of work at which its
turn begins; tags of one source follow one another by its own work, and a source that comes anew
begins at the tag that is served at the time, so that it neither saves up turns nor owes any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Generic, TypeVar

from headcount.intake.reasons import Reason, Refused
from headcount.intake.shares import Shares

__all__ = ["FairQueue", "Turns"]

# What a request costs besides its body, as bytes of a body cost: parsing its head, answering it.
_REQUEST_COST = 5_120
# A millisecond or two of work: some three batches of a hundred messages.
_PORTION = 192 * 1024

T = TypeVar("T")


class FairQueue(Generic[T]):
    """What waits, of many owners; each has at most as much waiting as there is room left.

    Args:
        room: how much work may wait.

    Attributes:
        heap: not empty while something waits; to be looked at only.
    """

    def __init__(self, room: int) -> None:
        self._shares = Shares(room)
        self.heap: list[tuple[int, int, int, int, T]] = []
        self._number = 0
        self._tag = 0
        self._next_tags: dict[int, int] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self.heap)

    def waiting(self, owner: int) -> int:
        """How much work of an owner waits."""
        return self._shares.of(owner)

    def has_room(self, owner: int, work: int) -> bool:
        """Whether some work of an owner may wait now."""
        return self._shares.has_room(owner, work)

    def join(self, owner: int, work: int, item: T) -> None:
        """Let something wait for its turn; there must be room for it.

        Args:
            owner: whose it is.
            work: how much it is, in any unit, more than nothing.
            item: what `next` gives.
        """
        tag = max(self._tag, self._next_tags.get(owner, 0))
        self._next_tags[owner] = tag + work
        self._shares.take(owner, work)
        self._number += 1
        heappush(self.heap, (tag, self._number, owner, work, item))

    def next(self) -> tuple[T, int]:
        """Whose turn it is, and how much work that is; something must wait."""
        self._tag, _, owner, work, item = heappop(self.heap)
        self._shares.give_back(owner, work)
        if not self.heap:
            self._tag = 0
            self._next_tags.clear()
        return item, work


class Turns:
    """Makes requests wait for their turns, in one event loop.

    Args:
        room: how much work may wait, in bytes of bodies.
    """

    def __init__(self, room: int) -> None:
        self._queue: FairQueue[Callable[[], bool]] = FairQueue(room)
        self._done = 0
        self._turns = False

    def check(self, owner: int) -> None:
        """See whether there is room for anything more of an owner.

        Raises:
            Refused: too much of it waits already.
        """
        if self._queue.heap and not self._queue.has_room(owner, _REQUEST_COST):
            raise Refused(Reason.SOURCE_OVER_SHARE)

    def begin(self, body_bytes: int) -> bool:
        """Begin with a request where it need not wait; whether it has begun.

        Args:
            body_bytes: how much work it is, about.
        """
        if self._done >= _PORTION or self._queue.heap:
            return False
        self._done += body_bytes + _REQUEST_COST
        if not self._turns:
            self._turns = True
            asyncio.get_running_loop().call_soon(self._turn)
        return True

    def give_back(self, body_bytes: int) -> None:
        """A request that has just begun is not done here after all."""
        self._done -= body_bytes + _REQUEST_COST

    def join(self, owner: int, body_bytes: int, begin: Callable[[], bool]) -> None:
        """Let a request wait that could not begin.

        Args:
            owner: the number of its source; 0 for all whose source is not known yet.
            body_bytes: how much work it is, about.
            begin: is called when it is its turn, and says whether there was anything to begin. It
                must raise nothing.

        Raises:
            Refused: too much of its owner waits already.
        """
        work = body_bytes + _REQUEST_COST
        if not self._queue.has_room(owner, work):
            raise Refused(Reason.SOURCE_OVER_SHARE)
        self._queue.join(owner, work, begin)

    async def take(self, owner: int, body_bytes: int) -> None:
        """Return when it is the turn of a request; at once where nobody waits.

        Args, and what it raises: as for `join`.
        """
        if self.begin(body_bytes):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def begin() -> bool:
            if turn.done():  # its client may have gone
                return False
            turn.set_result(None)
            return True

        self.join(owner, body_bytes, begin)
        await turn

    def _turn(self) -> None:
        """Once a round of the loop, while there is work: let the next portion begin."""
        self._done = 0
        while self._queue.heap and self._done < _PORTION:
            begin, work = self._queue.next()
            if begin():
                self._done += work
        self._turns = self._done > 0
        if self._turns:
            asyncio.get_running_loop().call_soon(self._turn)
