"""Files of the spool, read: takes the path of a segment, gives its head, its mark and the heads of
its records; knows nothing of keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headcount.spool.segments import (
    FIRST_RECORD,
    HEAD_BYTES,
    MARK_AT,
    MARK_BYTES,
    RECORD_HEAD_BYTES,
    Mark,
    RecordHead,
    SegmentHead,
    unpack_head,
    unpack_mark,
    unpack_record_head,
)

__all__ = [
    "SEGMENT_SUFFIX",
    "SegmentFile",
    "end_within",
    "folder_of_source",
    "opened_segment",
    "segments_of",
    "sources_in",
]

SEGMENT_SUFFIX = ".segment"
_LOOK_BYTES = 1 << 16


def folder_of_source(spool: Path, source: int) -> Path:
    """Where the segments of a source lie."""
    return spool / str(source)


def sources_in(spool: Path) -> list[int]:
    """The numbers of the sources that have a folder in the spool."""
    try:
        return sorted(int(entry.name) for entry in os.scandir(spool) if entry.name.isdecimal())
    except (FileNotFoundError, NotADirectoryError):
        return []


def segments_of(folder: Path) -> list[Path]:
    """The segments in the folder of a source, in the order of their names."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.name.endswith(SEGMENT_SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in names]


class SegmentFile:
    """An open segment.

    Attributes:
        path, descriptor: the file.
        head_bytes: its head as it stands there; all zeros where it cannot be read.
        head: the same, taken apart; None where it cannot be read.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.head_bytes = os.pread(descriptor, HEAD_BYTES, 0)
        self.head: SegmentHead | None = unpack_head(self.head_bytes)

    def mark(self) -> Mark | None:
        """Its mark as it is now; None where there is none."""
        return unpack_mark(os.pread(self.descriptor, MARK_BYTES, MARK_AT))

    @property
    def size(self) -> int:
        """How long the file is now, in bytes."""
        return os.fstat(self.descriptor).st_size

    def record_at(self, at: int) -> RecordHead | None:
        """The head of the record at a byte, if all of the record is there."""
        head = unpack_record_head(os.pread(self.descriptor, RECORD_HEAD_BYTES, at))
        if head is None or at + RECORD_HEAD_BYTES + head.sealed_bytes > self.size:
            return None
        return head

    def next_record(self, at: int, end: int) -> int:
        """Where the next record begins behind bytes that are none; `end` where none does."""
        while at < end:
            data = os.pread(self.descriptor, min(_LOOK_BYTES, end - at), at)
            found = data.find(b"HCRE", 0)
            if not data:
                break
            if found < 0:
                at += max(1, len(data) - 3)
            elif self.record_at(at + found) is not None:
                return at + found
            else:
                at += found + 1
        return end

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)


@contextmanager
def opened_segment(path: Path, *, write: bool = False) -> Iterator[SegmentFile]:
    """A segment, closed afterwards.

    Raises:
        OSError: it cannot be opened.
    """
    segment = open_segment(path, write=write)
    try:
        yield segment
    finally:
        segment.close()


def open_segment(path: Path, *, write: bool = False) -> SegmentFile:
    """A segment, for whoever closes it.

    Raises:
        OSError: it cannot be opened.
    """
    flags = (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        return SegmentFile(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def end_within(segment: SegmentFile, mark: Mark | None, last_entry: int) -> int:
    """Up to which byte a segment's records stand, when its journal ends at an entry."""
    at = end = FIRST_RECORD if mark is None else mark.end
    size = segment.size
    while at < size:
        record = segment.record_at(at)
        if record is None:
            if mark is not None:
                break
            # After a power cut nothing says where records stand, and one of them may be damaged.
            at = segment.next_record(at + 1, size)
        elif record.entry > last_entry:
            break
        else:
            at = end = at + RECORD_HEAD_BYTES + record.sealed_bytes
    return end
