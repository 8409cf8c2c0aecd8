"""How much of the disk the spool takes: takes its folder, gives bytes by source."""

from __future__ import annotations

import os
from pathlib import Path

from headcount.spool.files import SEGMENT_SUFFIX, folder_of_source

__all__ = ["SpoolSizes", "bytes_of"]


def bytes_of(spool: Path, source: int) -> int:
    """How many bytes the segments of a source have; 0 where it has none."""
    total = 0
    try:
        with os.scandir(folder_of_source(spool, source)) as entries:
            for entry in entries:
                if entry.name.endswith(SEGMENT_SUFFIX):
                    try:
                        total += entry.stat().st_size
                    except FileNotFoundError:  # it has just been delivered
                        continue
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return total


class SpoolSizes:
    """Which sources have no room left.

    Args:
        spool: the spool's folder.
        bytes_max: how much the segments of one source may take.
    """

    def __init__(self, spool: Path, bytes_max: int) -> None:
        self._spool = spool
        self._bytes_max = bytes_max

    def is_full(self, source: int) -> bool:
        """Whether the source has no room left, as of now."""
        return bytes_of(self._spool, source) >= self._bytes_max
