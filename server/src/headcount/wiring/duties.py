"""Duties: what a process does again and again beside its work, whatever comes of each time.

Takes a callable and repeats it in a task of its own. An exception ends no duty: what failed is said
once as a trouble, the next time comes as it would have, and the first that succeeds ends the
trouble. Tasks that are done once are started here too, so that none of them fails unseen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context

from headcount.troubles import Troubles
from headcount.wiring.errors_explained import explained

__all__ = ["Duty", "begun"]

_log = logging.getLogger(__name__)


class Duty:
    """One thing that is done every so often until it is done for good, or ended.

    Args:
        act: does it once; gives True when there is no more to do.
        every_s: how long to wait before each time, in seconds.
        troubles: where it is said that it fails.
        kind: what to call that trouble.
        failing: a sentence on what does not happen then, and what that means.
    """

    def __init__(
        self,
        act: Callable[[], Awaitable[bool]],
        every_s: float,
        troubles: Troubles,
        kind: str,
        failing: str,
    ) -> None:
        self._act = act
        self._every_s = every_s
        self._troubles = troubles
        self._kind = kind
        self._failing = failing
        # Whichever request it was that met the trouble, what is done about it is not for that one.
        self._task = asyncio.create_task(self._repeat(), context=Context())

    async def _repeat(self) -> None:
        done = False
        while not done:
            await asyncio.sleep(self._every_s)
            try:
                done = await self._act()
            except Exception as error:
                said, remedy = explained(error)
                message = f"{self._failing} {said}"
                self._troubles.begin(self._kind, message, remedy, hinders=False)
            else:
                self._troubles.end(self._kind)

    async def end(self) -> None:
        """Do it no more; idempotent."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


def begun(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """Begin something that is done once, in a task whose failure is logged."""
    task = asyncio.create_task(work)
    task.add_done_callback(_say_if_failed)
    return task


def _say_if_failed(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, Exception):
        _log.error("%s", " ".join(explained(error)))
