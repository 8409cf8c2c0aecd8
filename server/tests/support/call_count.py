"""Work as a number that no other process changes: how often Python calls something."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["CallCount", "counted_calls"]


class CallCount:
    """How many calls there were, of functions in Python and in C."""

    calls = 0

    def profile(self, frame: FrameType, event: str, argument: object) -> None:
        self.calls += event in ("call", "c_call")


@contextmanager
def counted_calls() -> Iterator[CallCount]:
    """Count this thread's calls, for as long as it is entered."""
    count = CallCount()
    before = sys.getprofile()
    sys.setprofile(count.profile)
    try:
        yield count
    finally:
        sys.setprofile(before)
