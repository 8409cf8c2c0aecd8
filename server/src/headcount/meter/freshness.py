"""Until when everything is counted, under a clock that may be set ahead and back.

Takes the clock and when what waits came; gives the mark that readers see, or nothing where the
clock cannot be believed: a mark that a wrong clock set would stand long after it is right again.
"""

from __future__ import annotations

from collections.abc import Sequence

from headcount.counting.facts import FIRST_MS
from headcount.store.protocol import Change, MeterStore

__all__ = ["Freshness"]

_SET_BACK_MS = 60_000
"""A clock that is set back by less is only kept in time."""


class Freshness:
    """The freshness of one store.

    Args:
        store: whose mark.
        began_ms: until when everything is counted at the beginning, milliseconds since 1970.

    Attributes:
        until_ms: until when everything that had come is metered, by the clock as it is.
    """

    def __init__(self, store: MeterStore, began_ms: int) -> None:
        self._store = store
        self._marked_ms: int | None = None
        self.until_ms = began_ms

    def looked(
        self, now_ms: int, taken_ms: int, waiting_ms: Sequence[int], *, plausible: bool
    ) -> int | None:
        """What the mark may be raised to once what was looked at is counted; None to leave it.

        Args:
            now_ms: the moment before the journals were looked at; nothing later is sure.
            taken_ms: the least moment at which came what is about to be counted.
            waiting_ms: moments before all of which nothing that is not counted came.
            plausible: whether the clock is believed.

        Raises:
            StorageUnavailableError: the mark could not be taken back.
        """
        believed_ms = [moment_ms for moment_ms in waiting_ms if moment_ms >= FIRST_MS]
        until_ms = min([now_ms, *(moment_ms - 1 for moment_ms in believed_ms)])
        # What came by a wrong clock says nothing: meanwhile, the mark stays where it was.
        all_believed = len(believed_ms) == len(waiting_ms)
        self.until_ms = until_ms if all_believed else min(until_ms, self.until_ms)
        if not plausible:
            return None
        if self._marked_ms is None or until_ms < self._marked_ms - _SET_BACK_MS:
            # What was taken is not counted yet, and may never be, by this process.
            back_to_ms = min(until_ms, taken_ms - 1)
            self._store.commit(Change(counted_back_to_ms=back_to_ms))
            self._marked_ms = until_ms
        self._marked_ms = max(self._marked_ms, self.until_ms)
        return self.until_ms
