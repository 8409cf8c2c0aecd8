"""How often one child has ended, and what is said of it: takes each ending, gives sentences.

A child that ends once is started again, and the log says so. One that keeps ending is a trouble:
told with its number, since when, why, and where in the journals counting stands, once when it is
noticed and then each time the number has doubled; it is over when the child has lived for a while.
One that somebody has ended, as an operator or the system does, and that is started again, is told
apart: that passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from datetime import UTC, datetime

from headcount.troubles import Troubles
from headcount.wiring.task import Refusal

__all__ = ["STEADY_AFTER_S", "Endings"]

_log = logging.getLogger(__name__)

STEADY_AFTER_S = 10.0
"""A child that has lived for so long does its work."""

# One that has for so long is past its trouble.
_OVER_AFTER_S = 120.0
_TROUBLE_FROM = 2
"""A child that ends so often, without having lived for a while in between, is a trouble."""
_PASSES_BELOW = 3
"""A child that has ended so often in a row will not come to its work by itself."""
_FROM_OUTSIDE = frozenset(
    -each for each in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
)
# A child that is told to stop does so, and well.
_TOLD_TO = 0

_WHAT = {
    "meter": ("The meter", "Messages are taken and kept, and not counted meanwhile."),
    "intake": (
        "A process that takes messages",
        "The others take them meanwhile, if there are any.",
    ),
    "forward": (
        "The process that forwards",
        "Messages are taken and counted meanwhile, and wait to be forwarded.",
    ),
    "alert": (
        "The process that tells people",
        "Messages are taken and counted meanwhile, and what is to be told waits.",
    ),
    "node": (
        "The process that speaks for this node in its cluster",
        "Messages are taken and kept; after some seconds others take this node for silent.",
    ),
    "relay": (
        "The process that hands messages on to the cluster",
        "They are taken and kept meanwhile, and counted later.",
    ),
    "partitions": (
        "The process that counts this node's partitions",
        "Messages are taken and kept meanwhile, and counted later.",
    ),
    "mirror": (
        "The process that adds up what all partitions have counted",
        "What this node shows is older meanwhile.",
    ),
    "api": ("The process that answers readers", "Messages are taken and counted meanwhile."),
}


class Endings:
    """The endings of one child, over all its restarts.

    Args:
        role: the child's.
        number: tells it from others of its role; 0 for the first.
        troubles: where to say that it keeps ending.
        clock_ms: the time, in milliseconds since 1970.
        on_life: called when the child has lived for a little, and for a while.

    Attributes:
        count: how often it has ended since it last lived for a while.
        passes: whether that is nothing that has to be looked into, so far.
    """

    def __init__(
        self,
        role: str,
        number: int,
        troubles: Troubles,
        clock_ms: Callable[[], int],
        on_life: Callable[[], None] = lambda: None,
    ) -> None:
        self._role = role
        self._kind = f"{role}_ends" if not number else f"{role}_{number + 1}_ends"
        self._troubles = troubles
        self._clock_ms = clock_ms
        self._since_ms = 0
        self._sentence = ""
        self.count = 0
        self.passes = False
        self._on_life = on_life

    @property
    def sentence(self) -> str:
        """How often, since when and why it has ended; empty when it has not."""
        return self._sentence

    def ended(self, status: int, refusal: Refusal | None, where: str) -> None:
        """It has ended without having been told to.

        Args:
            status: its exit status, negative for the signal that ended it.
            refusal: what it said of it.
            where: where in the journals counting stands, as a clause; empty for unknown.
        """
        self.count += 1
        if self.count == 1:
            self._since_ms = self._clock_ms()
        was_passing = self.count == 1 or self.passes
        self.passes = (
            was_passing
            and self.count < _PASSES_BELOW
            and status in _FROM_OUTSIDE | {_TOLD_TO}
            and refusal is None
        )
        since = datetime.fromtimestamp(self._since_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        what, meanwhile = _WHAT[self._role]
        times = "once" if self.count == 1 else f"{self.count} times"
        said = f"{what} has ended {times} since {since}, last with {_why(status, refusal)}"
        if refusal is not None and refusal.problem:
            said += f": {refusal.problem.rstrip('.')}"
        if where:
            said += f"; {where}"
        remedy = refusal.remedy if refusal is not None else ""
        self._sentence = f"{said}. It is started again. {meanwhile} {remedy}".rstrip()
        if self.count < _TROUBLE_FROM:
            _log.warning("%s", self._sentence)
            return
        # The first of these is logged by what it is told to.
        if self.count > _TROUBLE_FROM and self.count & (self.count - 1) == 0:
            _log.error("%s", self._sentence)
        self._troubles.begin(self._kind, self._sentence, passes=self.passes)

    async def watch_life(self) -> None:
        """Say that it does its work again, when it has for a little, and for a while."""
        await asyncio.sleep(STEADY_AFTER_S)
        self.runs_again()
        self._on_life()
        await asyncio.sleep(_OVER_AFTER_S - STEADY_AFTER_S)
        self.lives()
        self._on_life()

    def runs_again(self) -> None:
        """It has lived for a little: it does its work, and what is known stays to be seen.

        One that ends again and again may do so each time only after a while, as where memory is
        short: that it runs now is then no sign that it will.
        """
        self.passes = self.count < _PASSES_BELOW
        if self.count >= _TROUBLE_FROM:
            said = f"{self._sentence} It runs again now."
            self._troubles.restate(self._kind, said, hinders=False, passes=self.passes)

    def lives(self) -> None:
        """It has lived for a while: what was before is over."""
        self.count = 0
        self.passes = False
        self._sentence = ""
        self._troubles.end(self._kind)


def _why(status: int, refusal: Refusal | None) -> str:
    if refusal is not None and refusal.error:
        return refusal.error
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    if status == _TOLD_TO:
        return f"{signal.SIGTERM.name}, which it obeyed"
    return f"status {status}"
