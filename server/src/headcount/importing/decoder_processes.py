"""Processes that decode a long import, which can be started as early as it is known to be one.

Imports nothing that takes a while, so that they begin while who starts them is still beginning.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from contextlib import suppress
from typing import IO

__all__ = ["DecoderProcesses", "Process"]

# More of them would only wait for whoever makes facts of what they give durable.
_PROCESSES_MAX = 4
# An import of fewer bytes is over before what starting one takes is made up for.
_LONG_BYTES = 16 << 20
_PIPE_BYTES = 1 << 20

Process = subprocess.Popen[bytes]
"""A process that runs `headcount.importing.decoder`."""


class DecoderProcesses:
    """Starts some, once, and ends them.

    Args:
        count: how many; when None, one less than there are processors, since who asks them takes
            its share, and at least one, within bounds.

    Attributes:
        started: those that were started; None for one that could not be.
    """

    def __init__(self, count: int | None = None) -> None:
        others = len(os.sched_getaffinity(0)) - 1
        self._count = count or max(1, min(others, _PROCESSES_MAX))
        self.started: list[Process | None] = []

    def expect(self, size_bytes: int) -> None:
        """So much is going to be read, at least: start them, if that is worth it."""
        if size_bytes >= _LONG_BYTES:
            self.start()

    def start(self) -> None:
        """Start them, unless they are."""
        if not self.started:
            self.started = [_started() for _ in range(self._count)]

    @property
    def pids(self) -> list[int]:
        """The ids of those that were started."""
        return [each.pid for each in self.started if each is not None]

    def kill(self) -> None:
        """End them."""
        for each in self.started:
            if each is not None:
                each.kill()

    def close(self) -> None:
        """End them, and let go of what connects them; idempotent."""
        self.kill()
        for each in self.started:
            if each is not None:
                with each:
                    assert each.stdin is not None
                    with suppress(OSError):  # what was not sent is not sent any more
                        each.stdin.close()
        self.started = []


def _started() -> Process | None:
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "headcount.importing.decoder"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        _widen(pipe)
    return process


def _widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold more, so that whoever reads it is woken less often; where the system does."""
    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
