"""How much begins in one round of an event loop: takes work, gives each piece its round.

A loop serves all that is ready before it looks for what has come since. Where a few connections
send what is expensive to parse without pause, whoever comes next waits for all of them. Here only
so much begins in a round, and the rest waits in the order in which it came.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

__all__ = ["Rounds"]


class Rounds:
    """The rounds of one loop.

    Args:
        portion: how much work begins in a round, in any unit; the last to begin may exceed it.
    """

    def __init__(self, portion: int) -> None:
        self._portion = portion
        self._done = 0
        self._turns = False
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()

    def begin(self, work: int) -> bool:
        """Begin with something, where it need not wait; whether it may.

        Args:
            work: how much it is.
        """
        if self._done >= self._portion or self._waiting:
            return False
        self._done += work
        if not self._turns:
            self._turns = True
            asyncio.get_running_loop().call_soon(self._turn)
        return True

    def join(self, work: int, begin: Callable[[], None]) -> None:
        """Let something wait for a later round, after `begin` said that it must.

        Args:
            work: how much it is.
            begin: is called when it is its turn.
        """
        self._waiting.append((work, begin))

    def _turn(self) -> None:
        """Once a round, while there is work: let the next portion begin."""
        self._done = 0
        # What joins meanwhile waits for another round.
        for _ in range(len(self._waiting)):
            if self._done >= self._portion:
                break
            work, begin = self._waiting.popleft()
            self._done += work
            begin()
        self._turns = self._done > 0 or bool(self._waiting)
        if self._turns:
            asyncio.get_running_loop().call_soon(self._turn)
