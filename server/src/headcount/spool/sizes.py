"""How much of the disk the spool takes: takes its folder and a source, gives bytes."""

from __future__ import annotations

import os
from pathlib import Path

from headcount.spool.segment_files import SEGMENT_SUFFIX, folder_of_source

__all__ = ["bytes_of"]


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
