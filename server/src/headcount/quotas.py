"""Sources that have used their quota of the month, as the meter tells intake: a file in `run/`.

Takes what the meter has counted, gives an answer at once. A source is refused until its month ends,
or until a quota is raised or taken away; nothing that was acknowledged is dropped for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from headcount.runfiles import read_whole, write_whole

__all__ = ["OverQuota", "QuotaReport"]


class _SourcesOver(msgspec.Struct, frozen=True):
    """Sources that are refused, each until a moment in milliseconds since 1970."""

    until_ms: dict[int, int]


class QuotaReport:
    """Tells which sources are over; for the meter.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: dict[int, int] | None = None

    def tell(self, until_ms: Mapping[int, int]) -> None:
        """Say which sources are refused, and until when; written where it has changed."""
        if until_ms != self._told and write_whole(self._path, _SourcesOver(dict(until_ms))):
            self._told = dict(until_ms)


class OverQuota:
    """Answers whether a source is over; for intake.

    Args:
        path: the file.
        clock_ms: the time, in milliseconds since 1970.
    """

    def __init__(self, path: Path, clock_ms: Callable[[], int]) -> None:
        self._path = path
        self._clock_ms = clock_ms
        self._until_ms: dict[int, int] = {}
        self._seen: tuple[int, int] | None = None

    def refresh(self) -> None:
        """Read the file anew if it is another one."""
        try:
            found = self._path.stat()
        except OSError:
            self._until_ms, self._seen = {}, None
            return
        seen = found.st_mtime_ns, found.st_ino
        if seen != self._seen:
            told = read_whole(self._path, _SourcesOver)
            if told is not None:
                self._until_ms, self._seen = told.until_ms, seen

    def __call__(self, source: int) -> bool:
        """Whether a source, by its number, has used its quota."""
        until_ms = self._until_ms.get(source)
        return until_ms is not None and self._clock_ms() < until_ms
