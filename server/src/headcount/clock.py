"""The one place where the time is read; everything else is given it."""

from __future__ import annotations

import time

__all__ = ["now_ms"]


def now_ms() -> int:
    """The present moment in milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000
