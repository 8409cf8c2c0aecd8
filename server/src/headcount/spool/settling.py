"""What killed writers of a journal have left open in the spool: takes the journal's end, closes it.

To be done by whoever takes a journal over, before anything is appended to it: an entry that comes
to be with the id that a record names would else make it stand.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from headcount.spool.segment_files import SEGMENT_SUFFIX, end_within, opened_segment
from headcount.spool.segments import FIRST_RECORD, MARK_AT, Mark, pack_mark

__all__ = ["settle"]


def settle(spool: Path, journal: str, last_entry: int) -> None:
    """Close what former writers of a journal have left open; before anything is appended to it.

    What they wrote for an entry that is there stands, and nothing else.

    Args:
        spool: the spool's folder, which may be missing.
        journal: the UUID of the journal, whose lock the caller holds.
        last_entry: id of the last entry ever appended to it.

    Raises:
        OSError: the disk refused.
    """
    for path in sorted(spool.glob(f"*/{journal}.*{SEGMENT_SUFFIX}")):
        with contextlib.suppress(FileNotFoundError), opened_segment(path, write=True) as segment:
            mark = segment.mark()
            if mark is not None and mark.closed:
                continue
            if segment.size < FIRST_RECORD:
                path.unlink()  # its writer was killed while it made it
                continue
            end = end_within(segment, mark, last_entry)
            os.pwrite(segment.descriptor, pack_mark(Mark(end, last_entry, True)), MARK_AT)
            os.fsync(segment.descriptor)
