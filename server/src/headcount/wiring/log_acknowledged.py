"""Acknowledging only what a cluster's log has too: takes what the relay has handed on, waits.

Who waits is the thread that writes a worker's journal, so that all who come meanwhile share the
next wait, as they share a transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from headcount.errors import StorageUnavailableError
from headcount.runfiles import read_whole, write_whole

__all__ = ["LogAcknowledgement", "tell_handed_on"]

_LOOK_EVERY_S = 0.005
_WITHIN_S = 5.0


def tell_handed_on(path: Path, entries: dict[str, int]) -> None:
    """Say up to which entry the log has each journal, by UUID."""
    write_whole(path, entries)


class LogAcknowledgement:
    """What the log has of this node's journals, as its relay says.

    Args:
        path: the file in which it says so.
        monotonic_s, rest: a clock that nobody sets, and waiting.
    """

    def __init__(
        self,
        path: Path,
        monotonic_s: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._monotonic_s = monotonic_s
        self._rest = rest

    def wait(self, journal: str, entry: int) -> None:
        """Return once the log has a journal up to an entry.

        Raises:
            StorageUnavailableError: it has not within some seconds. The journal keeps the entry,
                and it is counted; whoever sends it again is counted once.
        """
        until_s = self._monotonic_s() + _WITHIN_S
        while (read_whole(self._path, dict[str, int]) or {}).get(journal, 0) < entry:
            if self._monotonic_s() > until_s:
                raise StorageUnavailableError(
                    f"the cluster's log did not take them within {_WITHIN_S:.0f} s (--ack log)"
                )
            self._rest(_LOOK_EVERY_S)
