"""The life of a child process, between being ready and being told to stop.

Takes the pipe that closes when the supervisor ends, and SIGTERM; tells whoever plays the role.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable

from headcount.wiring.task import READY

__all__ = ["Child", "report"]


class Child:
    """How a role learns that it should stop, and says that it is ready.

    Args:
        alive_fd: reading from it ends when the supervisor does.
    """

    def __init__(self, alive_fd: int) -> None:
        self.stopping = threading.Event()
        self._on_stop: Callable[[], None] = lambda: None
        # Ctrl-C reaches only the supervisor, which then tells everybody in the right order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # SIGTERM goes to a thread that waits for it. A handler would run in the main thread, in the
        # middle of whatever that does, and setting an event which the main thread is just about to
        # wait for would then wait for ever for the event's own lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=self._wait_for_sigterm, daemon=True).start()
        threading.Thread(target=self._watch, args=(alive_fd,), daemon=True).start()

    def _wait_for_sigterm(self) -> None:
        signal.sigwait({signal.SIGTERM})
        self.stop()

    def _watch(self, alive_fd: int) -> None:
        os.read(alive_fd, 1)
        # Through the signal, so that stopping happens once, whoever asks for it.
        os.kill(os.getpid(), signal.SIGTERM)

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call back, in another thread, when told to stop."""
        self._on_stop = callback

    def stop(self) -> None:
        """Tell the role to stop."""
        self.stopping.set()
        self._on_stop()

    def ready(self) -> None:
        """Say that the work has begun."""
        report(READY)


def report(line: bytes) -> None:
    """Tell the supervisor something, as one line."""
    # A supervisor that is gone hears nothing, and this process is about to learn of it.
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), line)
