"""Bounds what one request may cost: counts steps of work, and cuts long work into turns.

What the fast decoders take is cheap for every byte and is not counted. All else is: a budget is
spent step by step, where a step is a piece of work of about half a microsecond, whatever it is
about; and what would need more than its budget is refused. A message has a budget that grows with
its size, out of the budget of the whole request, so that it cannot use up what others need.

Long work is a generator that yields between turns. `in_turns` lets an event loop do other things
there, `at_once` does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

__all__ = [
    "TURN_MESSAGES",
    "TURN_STEPS",
    "Budget",
    "TooComplex",
    "Turn",
    "Turns",
    "at_once",
    "in_turns",
    "message_steps",
]

TURN_STEPS = 4_000
"""After how many steps it is the turn of others."""

TURN_MESSAGES = 500
"""After how many messages it is the turn of others, however cheap they are."""

# Enough for anything small; and for a large message, half a step for each byte.
_MESSAGE_STEPS_MIN = 256
_MESSAGE_BYTES_A_STEP = 2

_T = TypeVar("_T")

Turns = Generator[None, None, _T]
"""Work that ends with a result, and yields where others may have their turn."""


class TooComplex(Exception):
    """Something would take more work than there is a budget for."""


class Budget:
    """Steps that may still be taken.

    Args:
        steps: how many there are.

    Attributes:
        left: how many are left; never negative.
        spent: how many were taken.
    """

    __slots__ = ("left", "spent")

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.spent = 0

    def spend(self, steps: int = 1) -> None:
        """Take steps.

        Raises:
            TooComplex: there are not so many left; there are none left then.
        """
        if steps > self.left:
            self.spent += self.left
            self.left = 0
            raise TooComplex
        self.left -= steps
        self.spent += steps

    def part(self, steps: int) -> Budget:
        """A budget of at most some steps out of this one, which is told afterwards by `spend`."""
        return Budget(min(steps, self.left))


class Turn:
    """Says when it is the turn of others, for work that goes message by message.

    Args:
        budget: what the messages spend.
    """

    __slots__ = ("_budget", "_messages", "_steps")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._messages = 0
        self._steps = budget.spent

    def ends(self) -> bool:
        """Note that one more message is done, and say whether others should now have their turn."""
        self._messages += 1
        spent = self._budget.spent
        if self._messages < TURN_MESSAGES and spent - self._steps < TURN_STEPS:
            return False
        self._messages, self._steps = 0, spent
        return True


def message_steps(message_bytes: int) -> int:
    """How many steps a message of a size may take."""
    return _MESSAGE_STEPS_MIN + message_bytes // _MESSAGE_BYTES_A_STEP


def at_once(work: Turns[_T]) -> _T:
    """The result of some work, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _T = end.value
            return result


async def in_turns(work: Turns[_T]) -> _T:
    """The result of some work; between its turns the event loop does what else there is to do."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _T = end.value
            return result
        await asyncio.sleep(0)
