"""Which children of a server do their work, told to readers: takes their states, gives a file.

On a disk that is full it may not be taken. It is written again until it is: else readers would be
told what was, long after the disk is well again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from headcount.runfiles import ChildState, write_whole

__all__ = ["ToldStates"]

_AGAIN_AFTER_S = 1.0


class ToldStates:
    """The file of the states of one server's children.

    Args:
        path: where it is.
        stopping: set once nobody needs to be told any more.
    """

    def __init__(self, path: Path, stopping: asyncio.Event) -> None:
        self._path = path
        self._stopping = stopping
        self._states: list[ChildState] = []
        self._again: asyncio.TimerHandle | None = None

    def tell(self, states: Iterable[ChildState]) -> None:
        """Say how the children are now."""
        self._states = list(states)
        self._write()

    def _write(self) -> None:
        if not write_whole(self._path, self._states) and self._again is None:
            loop = asyncio.get_running_loop()
            self._again = loop.call_later(_AGAIN_AFTER_S, self._write_again)

    def _write_again(self) -> None:
        self._again = None
        if not self._stopping.is_set():
            self._write()
