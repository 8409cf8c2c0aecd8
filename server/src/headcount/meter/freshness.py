"""Until when everything is counted, under a clock that may be set ahead and back.

Takes the clock and when the next entry came; gives the mark that readers see, or nothing where the
clock cannot be believed: a mark that a wrong clock set would stand long after it is right again.
"""

from __future__ import annotations

from headcount.counting.facts import FIRST_MS
from headcount.store.protocol import MeterStore

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
        self._latest_ms: int | None = None
        self.until_ms = began_ms

    def looked(
        self, now_ms: int, next_appended_at_ms: int | None, *, plausible: bool
    ) -> int | None:
        """What the mark may be raised to once what was looked at is counted; None to leave it.

        Args:
            now_ms: the moment before the journals were looked at; nothing later is sure.
            next_appended_at_ms: when the first entry that is not counted came; None without one.
            plausible: whether the clock is believed.

        Raises:
            StorageUnavailableError: the mark could not be taken back behind the clock.
        """
        until_ms = now_ms
        if next_appended_at_ms is not None:
            until_ms = min(now_ms, next_appended_at_ms - 1)
            if next_appended_at_ms < FIRST_MS:  # by a wrong clock: it says nothing
                until_ms = min(now_ms, self.until_ms)
        self.until_ms = until_ms
        if not plausible:
            return None
        if self._latest_ms is None or now_ms < self._latest_ms - _SET_BACK_MS:
            self._store.lower_counted_until(now_ms)
            self._latest_ms = now_ms
        self._latest_ms = max(self._latest_ms, now_ms)
        return until_ms
