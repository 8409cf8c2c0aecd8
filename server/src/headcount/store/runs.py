"""Run files: many keys of one period and family, sorted, immutable and memory-mapped.

Takes key blocks in ascending order, one for each part of the key space, and writes them to a file
that is durable before anybody hears of it; gives the blocks back, or looks message keys up in
place. A filter of 1.5 bytes a key, kept in memory, spares a look at the file for nearly every key
that is not in it.

Layout, little-endian: a header (magic, offset of the directory, whether there are identified days,
parts), then for each part its fingerprints, days and identified days, each padded to 8 bytes, and
the words of the filter that no later part can change; then the words that are left; then the
directory (offset, keys, first key and words of each part, the same of what was left, checksum).
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from headcount.counting.keys import (
    COLUMN_TYPES,
    FINGERPRINT_BITS,
    MESSAGE,
    NEVER,
    TRACKED,
    U8,
    U64,
    KeyBlock,
)
from headcount.durable import open_file
from headcount.errors import DamagedDataError, DataFolderError

__all__ = ["Run", "write_run"]

_MAGIC = b"HCRUN\0\0\2"
_HEADER = np.dtype([("magic", "V8"), ("directory", "<u8"), ("identified", "<u8"), ("parts", "<u8")])
_PART = np.dtype([("offset", "<u8"), ("keys", "<u8"), ("first", "<u8"), ("words", "<u8")])
_CHECKSUM_BYTES = 16
_CHECKED_BYTES = 4 << 20
_NAMED = re.compile(r"-([0-9a-f]{32})\.keys\Z")
_REMEDY = "Restore the data folder from a backup; `headcount doctor` says what is damaged."
_PADDING = 8
_FILTER_BITS_A_KEY = 12
_FILTER_PROBES = 4
_WORD_BITS = 6  # 64-bit words
_SYNC_BYTES = 4 << 20
_LOOKS_KEPT = 128  # each leaves some 64 kB of the file in the memory of this process
_SPREAD = 2  # four standard deviations of where a uniform key stands, each half of a root


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
    parts: list[tuple[int, int, int, int]] = []
    checksum = hashlib.blake2b(digest_size=_CHECKSUM_BYTES)
    filling = _Filling(filter_keys)
    synced_bytes = 0
    identified = False
    with path.open("wb") as file:
        file.write(bytes(_HEADER.itemsize))
        for block in blocks:
            if not len(block):
                continue
            identified = block.family == TRACKED
            words = filling.take(block.fingerprints)
            parts.append((file.tell(), len(block), int(block.fingerprints[0]), len(words)))
            for column in block.columns():
                _write(file, column.tobytes(), checksum)
            _write(file, words.tobytes(), checksum)
            # Little by little, so that the last flush has little left to wait for.
            if file.tell() - synced_bytes >= _SYNC_BYTES:
                file.flush()
                os.fdatasync(file.fileno())
                synced_bytes = file.tell()
            yield len(block)
        words = filling.rest()
        parts.append((file.tell(), 0, 0, len(words)))
        _write(file, words.tobytes(), checksum)
        directory = file.tell()
        table = np.array(parts, _PART)
        file.write(table.tobytes() + checksum.digest())
        file.seek(0)
        header = np.array([(_MAGIC, directory, identified, len(parts) - 1)], _HEADER)
        file.write(header.tobytes())
        file.flush()
        os.fsync(file.fileno())
    return checksum.hexdigest()


def _padded(nbytes: int) -> int:
    return nbytes + -nbytes % _PADDING


def _write(file: BinaryIO, data: bytes, checksum: hashlib.blake2b) -> None:
    padded = data + bytes(_padded(len(data)) - len(data))
    checksum.update(padded)
    file.write(padded)


class Run:
    """A run file, open for reading.

    Args:
        path: the file.

    Attributes:
        keys: how many keys it holds.
        filter_bytes: memory that its filter takes, once a key is looked up.

    Raises:
        DataFolderError: the file is missing, cut off or not a run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with os.fdopen(open_file(path), "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            header = np.frombuffer(self._map, _HEADER, 1)[0]
            if header["magic"].tobytes() != _MAGIC or header["identified"] > 1:
                raise ValueError("it is not a run file")
            self._columns = COLUMN_TYPES[TRACKED if header["identified"] else MESSAGE]
            self._directory = int(header["directory"])
            table = np.frombuffer(self._map, _PART, int(header["parts"]) + 1, self._directory)
            self._table = table.copy()
            self._require_a_chain()
            self._require_the_one_named()
        except FileNotFoundError:
            # No cause is given: a disk that refuses is waited for, a lost file is not.
            raise DamagedDataError(f"{path} is missing, and counts need it.", _REMEDY) from None
        except (OSError, ValueError, OverflowError) as error:
            raise DamagedDataError(f"{path} cannot be read: {error}.", _REMEDY) from error
        self._looked = 0
        self._firsts = self._table["first"][:-1].astype(np.uint64)
        self.keys = int(self._table["keys"].sum())
        self.filter_bytes = 8 * int(self._table["words"].sum())

    @property
    def name(self) -> str:
        """Its file's name."""
        return self.path.name

    @property
    def file_bytes(self) -> int:
        """How long its file is."""
        return len(self._map)

    def _require_a_chain(self) -> None:
        """See that the parts fill the file without a gap, so that no look goes astray.

        Raises:
            ValueError: header and directory do not say what was written.
        """
        at = _HEADER.itemsize
        for offset, keys, _, words in self._table.tolist():
            if offset != at:
                raise ValueError("its parts do not follow one another")
            at += self._columns_bytes(keys) + 8 * words
        if self._table["keys"][-1] or self._table["first"][-1]:
            raise ValueError("its last part is no filter")
        if at != self._directory or at + self._table.nbytes + _CHECKSUM_BYTES != len(self._map):
            raise ValueError("it is not as long as its parts")

    def _require_the_one_named(self) -> None:
        """See that it is the file that was written under its name, and not another whole one.

        Raises:
            ValueError: it is not.
        """
        named = _NAMED.search(self.path.name)  # of an earlier version, it names no checksum
        if named is not None and self._map[-_CHECKSUM_BYTES:].hex() != named[1]:
            raise ValueError("it is another run than the one that was written under this name")

    @cached_property
    def _filter(self) -> U64:
        # A copy in memory, for it is asked for every key of every batch; and only then, since who
        # checks the keys of years needs none.
        found: U64 = np.empty(self.filter_bytes // 8, np.uint64)
        at = 0
        for offset, keys, _, words in self._table.tolist():
            start = offset + self._columns_bytes(keys)
            found[at : at + words] = np.frombuffer(self._map, "<u8", words, start)
            at += words
            self._drop_pages(start, 8 * words)
        return found

    def _columns_bytes(self, keys: int) -> int:
        return sum(_padded(keys * np.dtype(kind).itemsize) for kind in self._columns)

    def _drop_pages(self, start: int, length: int) -> None:
        """Say that a part of the file was read: it need not stay in the memory of this process."""
        before = start % mmap.ALLOCATIONGRANULARITY
        self._map.madvise(mmap.MADV_DONTNEED, start - before, length + before)

    def blocks(self) -> Iterator[KeyBlock]:
        """Its keys, ascending, in the parts they were written in."""
        for start, keys in self._table[["offset", "keys"]][:-1].tolist():
            columns: list[Any] = []
            at = start
            for kind in self._columns:
                columns.append(np.frombuffer(self._map, kind, keys, at))
                at += _padded(columns[-1].nbytes)
            yield KeyBlock(*columns)
            # Whoever still holds the block has it read again.
            self._drop_pages(start, self._columns_bytes(keys))

    def days_of(self, fingerprints: U64) -> U8:
        """First days of message keys, `NEVER` where they are not in this run.

        Args:
            fingerprints: ascending, shape (n,).
        """
        days: U8 = np.full(len(fingerprints), NEVER, np.uint8)
        likely = np.flatnonzero(self._may_hold(fingerprints))
        wanted = fingerprints[likely]
        parts = np.searchsorted(self._firsts, wanted, side="right") - 1
        inside = parts >= 0
        likely, wanted, parts = likely[inside], wanted[inside], parts[inside]
        if len(likely):
            bounds = self._table[parts]
            places = self._search(wanted, parts)
            hit = self._keys_at(bounds["offset"] // 8 + places) == wanted
            at_days = (bounds["offset"] + 8 * bounds["keys"] + places)[hit]
            days[likely[hit]] = np.frombuffer(self._map, np.uint8)[at_days]
            self._looked += len(likely)
            if self._looked >= _LOOKS_KEPT:
                self._looked = 0
                self._drop_pages(0, self._directory)
        return days

    def _keys_at(self, places: U64) -> U64:
        # Everything before the directory is padded to 8 bytes, and the file to as many.
        held: U64 = np.frombuffer(self._map, "<u8")[places]
        return held

    def _search(self, wanted: U64, parts: npt.NDArray[np.intp]) -> U64:
        """Where in its part the last key stands that is not above each key; all at once.

        Keys are uniform, so where one stands can be guessed to some hundred places: what is then
        looked at are one or two pages of the file, and not one for each halving of a part.
        """
        start = self._table["offset"][parts] // 8
        keys = self._table["keys"][parts]
        ends = np.r_[self._firsts[1:], np.uint64(1 << FINGERPRINT_BITS)]
        below = (wanted - self._firsts[parts]).astype(np.float64)
        spans = (ends[parts] - self._firsts[parts]).astype(np.float64)
        guess = below / spans * keys
        spread = _SPREAD * np.sqrt(keys) + 1
        low = np.clip(guess - spread, 0, keys - np.uint64(1)).astype(np.uint64)
        high = np.clip(guess + spread, 1, keys).astype(np.uint64)
        low[self._keys_at(start + low) > wanted] = 0
        high[self._keys_at(start + high - np.uint64(1)) <= wanted] = 0
        high[high == 0] = keys[high == 0]
        while (high - low).max() > 1:
            middle = (low + high) // np.uint64(2)
            above = self._keys_at(start + middle) > wanted
            high, low = np.where(above, middle, high), np.where(above, low, middle)
        found: U64 = low
        return found

    def _may_hold(self, fingerprints: U64) -> npt.NDArray[np.bool_]:
        if not len(self._filter):
            return np.ones(len(fingerprints), np.bool_)
        masks = _masks(fingerprints)
        held: npt.NDArray[np.bool_] = (
            self._filter[_words_of(fingerprints, len(self._filter))] & masks
        ) == masks
        return held

    def verify(self) -> Generator[int, None, None]:
        """Read the whole file, part by part, and compare it with its checksum.

        Yields:
            0, after each part.

        Raises:
            DataFolderError: a byte is not as it was written.
        """
        checksum = hashlib.blake2b(digest_size=_CHECKSUM_BYTES)
        for start in range(_HEADER.itemsize, self._directory, _CHECKED_BYTES):
            end = min(start + _CHECKED_BYTES, self._directory)
            with memoryview(self._map)[start:end] as part:
                checksum.update(part)
            self._drop_pages(start, end - start)
            yield 0
        # The directory is not in the checksum: its lengths make a chain, and its keys stand here.
        firsts = self._keys_at(self._table["offset"][:-1] // 8)
        if self._map[-_CHECKSUM_BYTES:] != checksum.digest() or (firsts != self._firsts).any():
            raise DamagedDataError(f"{self.path} is damaged.", _REMEDY)

    def intact(self) -> bool:
        """Whether every byte is as it was written; reads the whole file."""
        try:
            deque(self.verify(), maxlen=0)
        except DataFolderError:
            return False
        return True


def _words_of(fingerprints: U64, words: int) -> npt.NDArray[np.int64]:
    """The filter's word for each key: ascending with the keys, so memory is walked in order."""
    fraction = fingerprints >> np.uint64(FINGERPRINT_BITS - 32)
    return ((fraction * np.uint64(words)) >> np.uint64(32)).astype(np.int64)


def _masks(fingerprints: U64) -> U64:
    """A few bits of one word for each key, chosen by the low bits of its fingerprint."""
    masks = np.zeros(len(fingerprints), np.uint64)
    for probe in range(_FILTER_PROBES):
        bit = (fingerprints >> np.uint64(probe * _WORD_BITS)) & np.uint64(63)
        masks |= np.uint64(1) << bit
    return masks


class _Filling:
    """A filter in the making: gives each of its words as soon as no later key can change it.

    Args:
        keys: how many are expected.
    """

    def __init__(self, keys: int) -> None:
        self._total = (keys * _FILTER_BITS_A_KEY + 63) // 64
        self._given = 0
        self._open_word = np.uint64(0)

    def take(self, fingerprints: U64) -> U64:
        """Take keys (ascending, after those before); gives the words that are done."""
        if not self._total:
            return np.zeros(0, np.uint64)
        places = _words_of(fingerprints, self._total) - self._given
        starts = np.flatnonzero(np.r_[True, places[1:] != places[:-1]])
        words = np.zeros(int(places[-1]) + 1, np.uint64)
        words[0] = self._open_word
        words[places[starts]] |= np.bitwise_or.reduceat(_masks(fingerprints), starts)
        self._open_word = words[-1]
        self._given += len(words) - 1
        return words[:-1]

    def rest(self) -> U64:
        """The words that are left."""
        words = np.zeros(self._total - self._given, np.uint64)
        words[:1] = self._open_word
        return words
