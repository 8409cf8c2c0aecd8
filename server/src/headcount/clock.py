"""The one place where the time is read; everything else is given it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

__all__ = ["now_ms", "utc_now"]


def now_ms() -> int:
    """The present moment in milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def utc_now() -> datetime:
    """The present moment with its date, UTC."""
    return datetime.fromtimestamp(now_ms() / 1000, UTC)
