"""What is expensive to find out and anybody may ask: found out anew only a part of the time.

Takes a way to find something out, gives what it found. Health and metrics are read from files of
all processes, need no token, and can be asked thousands of times a second; the process that answers
readers spends a fifth of its time on each of them at most. Whoever asks now and then gets what is
so at that moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Remembered"]

T = TypeVar("T")

_TIMES = 4


class Remembered(Generic[T]):
    """Something that is found out, and stands for four times as long as that took.

    Args:
        find: finds it out; what it raises is not remembered.
        clock_s: any clock that never goes back, in seconds.
    """

    def __init__(
        self, find: Callable[[], T], clock_s: Callable[[], float] = time.perf_counter
    ) -> None:
        self._find = find
        self._clock_s = clock_s
        self._found: tuple[T, float] | None = None

    def __call__(self) -> T:
        """What was found last, or is found now."""
        begun_s = self._clock_s()
        if self._found is not None and begun_s < self._found[1]:
            return self._found[0]
        found = self._find()
        now_s = self._clock_s()
        self._found = found, now_s + _TIMES * (now_s - begun_s)
        return found
