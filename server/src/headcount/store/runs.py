"""Run files: many keys of one period and family, sorted, immutable and memory-mapped.

Takes key blocks in ascending order, one for each part of the key space, and writes them to a file
that is durable before anybody hears of it; gives the blocks back, or looks message keys up in
place. How a part is written is said in `packed_parts`; files of former versions are read as well.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from headcount.counting.keys import U8, U64, KeyBlock
from headcount.counting.usage import DAYS_MAX
from headcount.durable import open_file
from headcount.errors import DamagedDataError, DataFolderError
from headcount.store import column_parts, packed_parts
from headcount.store.column_parts import ColumnParts
from headcount.store.packed_parts import (
    CHECKSUM_BYTES,
    HEADER_BYTES,
    PackedParts,
    RunDirectory,
    drop_pages,
)

__all__ = ["Run", "write_run"]

_CHECKED_BYTES = 4 << 20
_NAMED = re.compile(r"-([0-9a-f]{32})\.keys\Z")
_REMEDY = "Restore the data folder from a backup; `headcount doctor` says what is damaged."
_SYNC_BYTES = 4 << 20
_LOOKS_KEPT = 128  # each leaves some 64 kB of the file in the memory of this process
_MAGIC_BYTES = 8


def write_run(
    path: Path, blocks: Iterable[KeyBlock], *, filter_keys: int
) -> Generator[int, None, str]:
    """Write a run file, one block at a time, so that the caller can do other work in between.

    Args:
        path: where; anything that stands there is replaced. That its name is durable is for the
            caller to see to.
        blocks: ascending over all of them, empty ones left out or not.
        filter_keys: how many keys the filter is made for, when keys will be looked up in place:
            as many as come, or a few more; 0 for no filter.

    Yields:
        The number of keys of each block, once it is written.

    Returns:
        The checksum of the file, in 32 hexadecimal digits.

    Raises:
        OSError: the disk refused; the file is incomplete and nobody knows of it.
    """
    directory = RunDirectory(filter_keys)
    checksum = hashlib.blake2b(digest_size=CHECKSUM_BYTES)
    synced_bytes = 0
    with path.open("wb") as file:
        file.write(bytes(HEADER_BYTES))
        for block in blocks:
            if not len(block):
                continue
            part = directory.part(file.tell(), block)
            checksum.update(part)
            file.write(part)
            # Little by little, so that the last flush has little left to wait for.
            if file.tell() - synced_bytes >= _SYNC_BYTES:
                file.flush()
                os.fdatasync(file.fileno())
                synced_bytes = file.tell()
            yield len(block)
        header, table = directory.ends(file.tell())
        checksum.update(table)
        file.write(table + checksum.digest())
        file.seek(0)
        file.write(header)
        file.flush()
        os.fsync(file.fileno())
    return checksum.hexdigest()


class RunParts(Protocol):
    """The parts of a mapped run file, of one layout.

    Attributes:
        former: whether it was written by a former version.
        keys: how many keys it holds.
        of_days: how many keys have each day of the month as their first; None if it is not known.
        resident_bytes: memory that `hold` takes.
        checked: from where to where its checksum is of.
    """

    former: bool
    keys: int
    resident_bytes: int
    checked: tuple[int, int]

    def __len__(self) -> int: ...
    @property
    def of_days(self) -> Sequence[int] | None: ...
    @property
    def held_bytes(self) -> int: ...
    def span(self, part: int) -> tuple[int, int]: ...
    def block(self, part: int) -> KeyBlock: ...
    def hold(self) -> None: ...
    def release(self) -> None: ...
    def is_in_place(self) -> bool: ...
    def look_up(self, fingerprints: U64) -> tuple[U8, int]: ...


def _parts_of(mapped: mmap.mmap) -> RunParts:
    match mapped[:_MAGIC_BYTES]:
        case packed_parts.MAGIC:
            return PackedParts(mapped)
        case column_parts.MAGIC:
            return ColumnParts(mapped)
    raise ValueError("it is not a run file")


class Run:
    """A run file, open for reading.

    Args:
        path: the file.

    Attributes:
        keys: how many keys it holds.
        former: whether a former version wrote it, in a layout that takes more room.
        filter_bytes: memory that its filter takes, while it is held there.
        looks: how many keys its filter could not rule out, which were looked for in the file.

    Raises:
        DataFolderError: the file is missing, cut off or not a run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with os.fdopen(open_file(path), "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._parts = _parts_of(self._map)
            self._require_the_one_named()
        except FileNotFoundError:
            # No cause is given: a disk that refuses is waited for, a lost file is not.
            raise DamagedDataError(f"{path} is missing, and counts need it.", _REMEDY) from None
        except (OSError, ValueError, OverflowError) as error:
            raise DamagedDataError(f"{path} cannot be read: {error}.", _REMEDY) from error
        # What is looked up is a page here and there: its neighbours are no use.
        self._map.madvise(mmap.MADV_RANDOM)
        self._read_since_dropped = 0
        self.looks = 0
        self.keys = self._parts.keys
        self.former = self._parts.former
        self.filter_bytes = self._parts.resident_bytes

    @property
    def name(self) -> str:
        """Its file's name."""
        return self.path.name

    @property
    def file_bytes(self) -> int:
        """How long its file is."""
        return len(self._map)

    @property
    def held_bytes(self) -> int:
        """Memory that its filter takes now."""
        return self._parts.held_bytes

    @property
    def last_day(self) -> int:
        """The latest day of the month that any key has as its first; the last if not known."""
        of_days = self._parts.of_days
        if of_days is None:
            return DAYS_MAX - 1
        return max((day for day, keys in enumerate(of_days) if keys), default=0)

    def keys_before(self, day: int) -> int:
        """How many keys have a first day before a day of the month; 0 if that is not known."""
        return sum((self._parts.of_days or ())[: max(0, day)])

    def _require_the_one_named(self) -> None:
        """See that it is the file that was written under its name, and not another whole one.

        Raises:
            ValueError: it is not.
        """
        named = _NAMED.search(self.path.name)  # of an earlier version, it names no checksum
        if named is not None and self._map[-CHECKSUM_BYTES:].hex() != named[1]:
            raise ValueError("it is another run than the one that was written under this name")

    def hold(self) -> None:
        """Keep its filter in memory from now on. Idempotent."""
        self._parts.hold()

    def release(self) -> None:
        """Read its filter from the file from now on. Idempotent."""
        self._parts.release()

    def blocks(self) -> Iterator[KeyBlock]:
        """Its keys, ascending, in the parts they were written in."""
        for part in range(len(self._parts)):
            start, length = self._parts.span(part)
            self._read_ahead(start + length)
            yield self._parts.block(part)
            # Whoever still holds the block has it read again.
            drop_pages(self._map, start, length)

    def _read_ahead(self, start: int) -> None:
        """Have the disk bring what is read next of a file that is read from front to back."""
        start -= start % mmap.ALLOCATIONGRANULARITY
        self._map.madvise(mmap.MADV_WILLNEED, start, min(_CHECKED_BYTES, len(self._map) - start))

    def days_of(self, fingerprints: U64) -> U8:
        """First days of message keys, `NEVER` where they are not in this run.

        Args:
            fingerprints: ascending, shape (n,).
        """
        days, looks = self._parts.look_up(fingerprints)
        self.looks += looks
        self._read_since_dropped += looks if self.held_bytes else len(fingerprints)
        if self._read_since_dropped >= _LOOKS_KEPT:
            self._read_since_dropped = 0
            drop_pages(self._map, 0, len(self._map))
        return days

    def verify(self) -> Generator[int, None, None]:
        """Read the whole file, part by part, and compare it with its checksum.

        Yields:
            0, after each part.

        Raises:
            DataFolderError: a byte is not as it was written.
        """
        checksum = hashlib.blake2b(digest_size=CHECKSUM_BYTES)
        first, last = self._parts.checked
        for start in range(first, last, _CHECKED_BYTES):
            end = min(start + _CHECKED_BYTES, last)
            self._read_ahead(start)
            with memoryview(self._map)[start:end] as part:
                checksum.update(part)
            drop_pages(self._map, start, end - start)
            yield 0
        is_whole = self._map[-CHECKSUM_BYTES:] == checksum.digest()
        if not is_whole or not self._parts.is_in_place():
            raise DamagedDataError(f"{self.path} is damaged.", _REMEDY)

    def intact(self) -> bool:
        """Whether every byte is as it was written; reads the whole file."""
        try:
            deque(self.verify(), maxlen=0)
        except DataFolderError:
            return False
        return True
