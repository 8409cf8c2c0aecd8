"""Time, as a seed wants it: a clock that is set, and an event loop that never waits.

Takes steps, gives milliseconds since 1970. Whoever sleeps in the loop wakes as soon as nobody else
has anything to do, and the loop's time is then as much later.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

from headcount.counting.calendar import MS_PER_DAY, day_of_ms

__all__ = ["SimClock", "SimLoop"]


class SimClock:
    """A clock that stands still until it is moved.

    Args:
        now_ms: what it says first.
    """

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._seen_ms = now_ms
        self._passed_s = 0.0

    def __call__(self) -> int:
        return self.now_ms

    def monotonic_s(self) -> float:
        """Seconds since some beginning: what passes while the clock is set back passes too."""
        self._passed_s += max(0, self.now_ms - self._seen_ms) / 1000 + 0.000_1
        self._seen_ms = self.now_ms
        return self._passed_s

    def sleep(self, seconds: float) -> None:
        """Let time pass for one who waits for another."""
        self._passed_s += seconds

    @property
    def day(self) -> int:
        """Today, in days since 1970."""
        return day_of_ms(self.now_ms)

    def to_day(self, day: int, ms: int = 0) -> None:
        """Say that it is so many milliseconds after the beginning of a day."""
        self.now_ms = day * MS_PER_DAY + ms


class _Selector(selectors.PollSelector):
    """Looks, and does not wait: the time that it was to wait for has passed."""

    loop_time_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everybody waits, and nothing will wake them")
        if not ready and timeout:
            self.loop_time_s += timeout
        return ready


class SimLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is made up."""

    def __init__(self) -> None:
        self._made_up = _Selector()
        super().__init__(self._made_up)

    def time(self) -> float:
        return self._made_up.loop_time_s
