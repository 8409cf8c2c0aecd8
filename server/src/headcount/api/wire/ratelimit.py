"""How many requests a token may make: windows of one minute, counted for the whole server.

Takes a key and the time, gives where the key stands. There is one api process, so counting in
memory counts once. Knows nothing of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WINDOW_MS", "RateLimitStatus", "RateLimiter"]

WINDOW_MS = 60_000
_KEYS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """Where a key stands after a request.

    Attributes:
        points: requests allowed in a window.
        consumed: requests made in this window, this one and refused ones included.
        resets_at_ms: when the window ends, milliseconds since 1970.
        ms_before_next: milliseconds until then.
    """

    points: int
    consumed: int
    resets_at_ms: int
    ms_before_next: int

    @property
    def remaining(self) -> int:
        """Requests left in this window."""
        return max(0, self.points - self.consumed)

    @property
    def refused(self) -> bool:
        """Whether this request was one too many."""
        return self.consumed > self.points


class RateLimiter:
    """Counts requests by key in windows that start with a key's first request.

    Args:
        points: requests allowed in a window.
    """

    def __init__(self, points: int) -> None:
        self._points = points
        self._windows: dict[str, tuple[int, int]] = {}

    def take(self, key: str, now_ms: int) -> RateLimitStatus:
        """Count one request of a key.

        Args:
            key: whom to count it for.
            now_ms: milliseconds since 1970. A clock set back starts a new window, so that nobody
                waits for longer than a window.
        """
        started_ms, consumed = self._windows.get(key, (now_ms, 0))
        if not started_ms <= now_ms < started_ms + WINDOW_MS:
            started_ms, consumed = now_ms, 0
        if key not in self._windows and len(self._windows) >= _KEYS_KEPT:
            self._drop_ended(now_ms)
        self._windows[key] = started_ms, consumed + 1
        resets_at_ms = started_ms + WINDOW_MS
        return RateLimitStatus(self._points, consumed + 1, resets_at_ms, resets_at_ms - now_ms)

    def _drop_ended(self, now_ms: int) -> None:
        self._windows = {
            key: window
            for key, window in self._windows.items()
            if window[0] <= now_ms < window[0] + WINDOW_MS
        }
