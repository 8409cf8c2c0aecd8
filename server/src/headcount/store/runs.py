"""Run files: many keys of one period and family, sorted, immutable and memory-mapped.

Takes key blocks in ascending order, one for each part of the key space, and writes them to a file
that is durable before anybody hears of it; gives the blocks back, or looks message keys up in
place. A filter of 1.5 bytes a key, kept in memory, spares a look at the file for nearly every key
that is not in it.

Layout, little-endian: a header (magic, keys, whether there are identified days, parts), then for
each part its fingerprints, days and identified days, each padded to 8 bytes; then the filter; then
the directory (offset and keys of each part, offset and words of the filter, checksum) whose own
offset stands in the header.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Generator, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from headcount.errors import DataFolderError
from headcount.metering.keys import FINGERPRINT_BITS, NEVER, U8, U64, KeyBlock

__all__ = ["Run", "write_run"]

_MAGIC = b"HCRUN\0\0\1"
_HEADER = np.dtype([("magic", "V8"), ("directory", "<u8"), ("identified", "<u8"), ("parts", "<u8")])
_PART = np.dtype([("offset", "<u8"), ("keys", "<u8")])
_CHECKSUM_BYTES = 16
_PADDING = 8
_FILTER_BITS_A_KEY = 12
_FILTER_PROBES = 4
_WORD_BITS = 6  # 64-bit words


def write_run(
    path: Path, blocks: Iterable[KeyBlock], *, with_filter: bool
) -> Generator[int, None, None]:
    """Write a run file, one block at a time, so that the caller can do other work in between.

    Args:
        path: where; anything that stands there is replaced. That its name is durable is for the
            caller to see to.
        blocks: ascending over all of them, empty ones left out or not.
        with_filter: whether keys will be looked up in place.

    Yields:
        The number of keys of each block, once it is written and on its way to the disk.

    Raises:
        OSError: the disk refused; the file is incomplete and nobody knows of it.
    """
    parts: list[tuple[int, int]] = []
    checksum = hashlib.blake2b(digest_size=_CHECKSUM_BYTES)
    fingerprints: list[U64] = []
    identified = False
    with path.open("wb") as file:
        file.write(bytes(_HEADER.itemsize))
        for block in blocks:
            if not len(block):
                continue
            identified = block.identified_days is not None
            parts.append((file.tell(), len(block)))
            for column in (block.fingerprints, block.days, block.identified_days):
                if column is not None:
                    _write(file, column.tobytes(), checksum)
            if with_filter:
                fingerprints.append(block.fingerprints)
            # Little by little, so that the last flush has little left to wait for.
            file.flush()
            os.fdatasync(file.fileno())
            yield len(block)
        words = _filter_of(fingerprints)
        filter_offset = file.tell()
        _write(file, words.tobytes(), checksum)
        directory = file.tell()
        table = np.array([*parts, (filter_offset, len(words))], _PART)
        file.write(table.tobytes() + checksum.digest())
        file.seek(0)
        header = np.array([(_MAGIC, directory, identified, len(parts))], _HEADER)
        file.write(header.tobytes())
        file.flush()
        os.fsync(file.fileno())


def _write(file: BinaryIO, data: bytes, checksum: hashlib.blake2b) -> None:
    padded = data + bytes(-len(data) % _PADDING)
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
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            header = np.frombuffer(self._map, _HEADER, 1)[0]
            if header["magic"].tobytes() != _MAGIC:
                raise ValueError("it is not a run file")
            self._identified = bool(header["identified"])
            self._directory = int(header["directory"])
            parts = int(header["parts"])
            table = np.frombuffer(self._map, _PART, parts + 1, self._directory).tolist()
            *self._parts, (self._filter_offset, self._filter_words) = table
            self._firsts = np.array(
                [np.frombuffer(self._map, "<u8", 1, offset)[0] for offset, _ in self._parts],
                np.uint64,
            )
        except (OSError, ValueError, OverflowError) as error:
            raise DataFolderError(
                f"{path} cannot be read: {error}.", "Restore the data folder from a backup."
            ) from error
        self.keys = sum(keys for _, keys in self._parts)
        self.filter_bytes = 8 * self._filter_words

    @cached_property
    def _filter(self) -> U64:
        # A copy in memory, for it is asked for every key of every batch; and only then, since who
        # checks the keys of years needs none.
        return np.frombuffer(self._map, "<u8", self._filter_words, self._filter_offset).copy()

    def blocks(self) -> Iterator[KeyBlock]:
        """Its keys, ascending, in the parts they were written in."""
        for offset, keys in self._parts:
            fingerprints = np.frombuffer(self._map, "<u8", keys, offset)
            offset += 8 * keys
            days = np.frombuffer(self._map, np.uint8, keys, offset)
            identified = None
            if self._identified:
                offset += keys + -keys % _PADDING
                identified = np.frombuffer(self._map, np.uint8, keys, offset)
            yield KeyBlock(fingerprints, days, identified)

    def days_of(self, fingerprints: U64) -> U8:
        """First days of message keys, `NEVER` where they are not in this run.

        Args:
            fingerprints: ascending, shape (n,).
        """
        days: U8 = np.full(len(fingerprints), NEVER, np.uint8)
        likely = np.flatnonzero(self._may_hold(fingerprints))
        wanted = fingerprints[likely]
        bounds = [*np.searchsorted(wanted, self._firsts).tolist(), len(wanted)]
        for number, (offset, keys) in enumerate(self._parts):
            part = slice(bounds[number], bounds[number + 1])
            if part.start == part.stop:
                continue
            held = np.frombuffer(self._map, "<u8", keys, offset)
            at = np.searchsorted(held, wanted[part])
            at[at == keys] = 0
            hit = held[at] == wanted[part]
            held_days = np.frombuffer(self._map, np.uint8, keys, offset + 8 * keys)
            days[likely[part][hit]] = held_days[at[hit]]
        return days

    def _may_hold(self, fingerprints: U64) -> npt.NDArray[np.bool_]:
        if not len(self._filter):
            return np.ones(len(fingerprints), np.bool_)
        masks = _masks(fingerprints)
        held: npt.NDArray[np.bool_] = (
            self._filter[_words_of(fingerprints, len(self._filter))] & masks
        ) == masks
        return held

    def intact(self) -> bool:
        """Whether every byte is as it was written; reads the whole file."""
        checksum = hashlib.blake2b(digest_size=_CHECKSUM_BYTES)
        checksum.update(memoryview(self._map)[_HEADER.itemsize : self._directory])
        return self._map[-_CHECKSUM_BYTES:] == checksum.digest()


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


def _filter_of(blocks: list[U64]) -> U64:
    keys = sum(map(len, blocks))
    words = np.zeros((keys * _FILTER_BITS_A_KEY + 63) // 64, np.uint64)
    for fingerprints in blocks:
        places = _words_of(fingerprints, len(words))
        starts = np.flatnonzero(np.r_[True, places[1:] != places[:-1]])
        words[places[starts]] |= np.bitwise_or.reduceat(_masks(fingerprints), starts)
    return words
