"""Bounds what one request may cost: counts steps of work, and cuts long work into turns.

What the fast decoders take is cheap for every byte and is not counted. All else is: a budget is
spent step by step, where a step is a piece of work of about half a microsecond, whatever it is
about; and what would need more than its budget is refused. A message has a budget that grows with
its size, out of the budget of the whole request, so that it cannot use up what others need.

Long work is a generator that yields between turns. `in_turns` lets an event loop do other things
there, `at_once` does not.
"""

from __future__ import annotations

from collections.abc import Generator
from types import coroutine
from typing import TypeVar

__all__ = [
    "TURN_BYTES",
    "TURN_MESSAGES",
    "TURN_STEPS",
    "StepBudget",
    "TooComplex",
    "Work",
    "at_once",
    "in_turns",
    "message_steps",
    "messages_a_turn",
]

TURN_STEPS = 4_000
"""After how many steps it is the turn of others."""

TURN_MESSAGES = 500
"""After how many messages it is the turn of others, however cheap they are."""

# Enough for anything small; and for a large message, half a step for each byte.
_MESSAGE_STEPS_MIN = 256
_MESSAGE_BYTES_A_STEP = 2

TURN_BYTES = 1 << 18
"""After how many bytes it is the turn of others, however cheap they are."""

_T = TypeVar("_T")

Work = Generator[None, None, _T]
"""Work that ends with a result, and yields where others may have their turn."""


class TooComplex(Exception):
    """Something would take more work than there is a budget for."""


class StepBudget:
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

    def part(self, steps: int) -> StepBudget:
        """A budget of at most some steps out of this one, which is told afterwards by `spend`."""
        return StepBudget(min(steps, self.left))


def message_steps(message_bytes: int) -> int:
    """How many steps a message of a size may take."""
    return _MESSAGE_STEPS_MIN + message_bytes // _MESSAGE_BYTES_A_STEP


def messages_a_turn(messages: int, message_bytes: int) -> int:
    """How many messages are decoded in one turn, of some that have so many bytes together."""
    return min(TURN_MESSAGES, 1 + messages * TURN_BYTES // (message_bytes + 1))


def at_once(work: Work[_T]) -> _T:
    """The result of some work, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _T = end.value
            return result


@coroutine
def _turn_of_others() -> Generator[None, None, None]:
    """What `asyncio.sleep(0)` does, for which whoever reads no socket need not import asyncio."""
    yield


async def in_turns(work: Work[_T]) -> _T:
    """The result of some work; between its turns the event loop does what else there is to do."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _T = end.value
            return result
        await _turn_of_others()
