"""The parts of a run file, whose keys are packed (`packing`), and how a key is found among them.

Takes blocks and gives the bytes of a part with its line in the directory; takes a mapped file and
gives the blocks again, or looks message keys up in place.

Layout, little-endian: a header (magic, offset of the directory, parts, columns of days, probes of
the filter); then the parts; then the directory: a line for each part, how many keys have each day
as their first, and a checksum of it all with the header; then the file's checksum. A part is the
groups of its keys; then, for message keys, its filter, and of every eighth group the first key (a
fence). These two are what is kept in memory of a run that is asked for every message; they are
read where they stand for one that is asked seldom.
"""

from __future__ import annotations

import hashlib
import mmap
from typing import NamedTuple, TypeVar

import numpy as np

from headcount.counting.keys import COLUMN_TYPES, MESSAGE, NEVER, TRACKED, U8, U64, KeyBlock, Slots
from headcount.counting.usage import DAYS_MAX
from headcount.store import filters
from headcount.store.packing import GROUP_KEYS, Coding, days_in, decoded, encoded, keys_in

__all__ = ["CHECKSUM_BYTES", "HEADER_BYTES", "MAGIC", "PackedParts", "RunDirectory"]

MAGIC = b"HCRUN\0\0\3"
"""With these bytes such a file begins."""

CHECKSUM_BYTES = 16
"""Bytes of a checksum."""

_HEADER = np.dtype(
    [("magic", "S8"), *((name, "<u8") for name in ("directory", "parts", "days", "probes"))]
)
HEADER_BYTES = _HEADER.itemsize
"""How long the header is."""

_PART = np.dtype([(name, "<u8") for name in ("offset", "keys", "first", "coding", "filter")])
_FENCED_GROUPS = 8
_WORD_BYTES = 8
_DAY_COLUMNS = {len(COLUMN_TYPES[family]) - 1: family for family in (MESSAGE, TRACKED)}
_READ_AHEAD_FROM_BYTES = 256 << 20

T = TypeVar("T", int, Slots)


class _Line(NamedTuple):
    """One part in the directory: where it begins, how many keys it has and the first of them, how
    they are written, and how many words its filter has."""

    offset: int
    keys: int
    first: int
    coding: int
    filter_words: int


class RunDirectory:
    """The directory of a file in the making.

    Args:
        filter_keys: how many keys are expected that will be looked up; 0 for no filter.
    """

    def __init__(self, filter_keys: int) -> None:
        self._filter_bits = filters.bits_a_key(filter_keys) if filter_keys else 0.0
        self._probes = filters.probes_of(self._filter_bits) if filter_keys else 0
        self._lines: list[_Line] = []
        self._of_days = np.zeros(DAYS_MAX, np.uint64)
        self._family = MESSAGE

    def part(self, offset: int, block: KeyBlock) -> bytes:
        """The bytes of a part, which it takes down.

        Args:
            offset: where they will stand.
            block: its keys, at least one.
        """
        self._family = block.family
        coding, groups = encoded(block)
        words = 0
        pieces = [groups.ravel()]
        if self._family == MESSAGE:
            words = filters.words_for(len(block), self._filter_bits)
            if words:
                pieces.append(filters.filled(block.fingerprints, words, self._probes))
            fences = np.zeros(_fence_words(len(groups)), np.uint64)
            firsts = groups[::_FENCED_GROUPS, 0]
            fences[: len(firsts)] = firsts
            pieces.append(fences)
        self._of_days += np.bincount(block.days, minlength=DAYS_MAX)[:DAYS_MAX].astype(np.uint64)
        first = int(block.fingerprints[0])
        self._lines.append(_Line(offset, len(block), first, coding.to_int(), words))
        return np.concatenate(pieces).tobytes()

    def ends(self, offset: int) -> tuple[bytes, bytes]:
        """The header and the directory, which stands at an offset."""
        columns = len(COLUMN_TYPES[self._family]) - 1
        header = np.array([(MAGIC, offset, len(self._lines), columns, self._probes)], _HEADER)
        table = np.array(self._lines, _PART).tobytes() + self._of_days.astype("<u8").tobytes()
        return header.tobytes(), table + _digest(header.tobytes(), table)


def _digest(header: bytes, table: bytes) -> bytes:
    return hashlib.blake2b(header + table, digest_size=CHECKSUM_BYTES).digest()


def _fence_words(groups: T) -> T:
    """Words of the fences of so many groups: as many as keep every filter on a cache's line."""
    fences = -(-groups // _FENCED_GROUPS)
    return fences + -fences % filters.BLOCK_WORDS


class PackedParts:
    """The parts of such a file; see `RunParts` in `runs`.

    Args:
        mapped: the file.

    Raises:
        ValueError: it is none, or not as long as it says, or its directory is damaged.
    """

    former = False

    def __init__(self, mapped: mmap.mmap) -> None:
        self._map = mapped
        header = np.frombuffer(mapped, _HEADER, 1)
        directory, parts = int(header["directory"][0]), int(header["parts"][0])
        end = directory + parts * _PART.itemsize + DAYS_MAX * _WORD_BYTES
        if end + 2 * CHECKSUM_BYTES != len(mapped) or directory % _WORD_BYTES:
            raise ValueError("it is not as long as its parts")
        table = mapped[directory:end]
        if mapped[end : end + CHECKSUM_BYTES] != _digest(header.tobytes(), table):
            raise ValueError("its directory is damaged")
        self._table = np.frombuffer(table, _PART, parts)
        self._day_columns = int(header["days"][0])
        self._probes = int(header["probes"][0])
        self.of_days = tuple(np.frombuffer(table, "<u8", DAYS_MAX, parts * _PART.itemsize).tolist())
        self.keys = int(self._table["keys"].sum())
        self.checked = (HEADER_BYTES, end + CHECKSUM_BYTES)
        self._lay_out()

    def _lay_out(self) -> None:
        """Of each part, in words: where it begins and what it is made of."""
        table = self._table.astype(np.dtype([(name, "<i8") for name in _PART.names or ()]))
        self._firsts = np.ascontiguousarray(self._table["first"])
        self._starts: Slots = np.ascontiguousarray(table["offset"]) // _WORD_BYTES
        self._groups: Slots = -(-table["keys"] // GROUP_KEYS)
        self._filter_words: Slots = np.ascontiguousarray(table["filter"])
        self._codings, of_part = np.unique(self._table["coding"], return_inverse=True)
        widths = [self._coding(number).group_words for number in range(len(self._codings))]
        self._coding_of = of_part
        self._widths: Slots = np.array(widths, np.int64)[of_part]
        self._in_file: Slots = self._starts + self._groups * self._widths
        self._resident: Slots = self._filter_words
        if _DAY_COLUMNS[self._day_columns] == MESSAGE:
            self._resident = self._filter_words + _fence_words(self._groups)
        self.resident_bytes = _WORD_BYTES * int(self._resident.sum())
        self._held: U64 | None = None
        self._held_at: Slots = np.cumsum(self._resident) - self._resident

    def _coding(self, number: int) -> Coding:
        return Coding.from_int(int(self._codings[number]), self._day_columns)

    def __len__(self) -> int:
        return len(self._firsts)

    @property
    def held_bytes(self) -> int:
        """Memory that is taken by what is kept of it."""
        return 0 if self._held is None else self._held.nbytes

    def span(self, part: int) -> tuple[int, int]:
        """Where the keys of a part stand: offset and length in bytes."""
        words = int(self._groups[part] * self._widths[part])
        return int(self._starts[part]) * _WORD_BYTES, words * _WORD_BYTES

    def block(self, part: int) -> KeyBlock:
        """The keys of a part."""
        offset, length = self.span(part)
        words = np.frombuffer(self._map, "<u8", length // _WORD_BYTES, offset)
        groups = words.reshape(-1, int(self._widths[part]))
        coding = self._coding(int(self._coding_of[part]))
        return decoded(coding, groups, int(self._table["keys"][part]))

    def hold(self) -> None:
        """Keep filters and fences in memory from now on. Idempotent."""
        if self._held is not None:
            return
        held = np.empty(int(self._resident.sum()), np.uint64)
        for start, words, at in zip(
            self._in_file.tolist(), self._resident.tolist(), self._held_at.tolist(), strict=True
        ):
            held[at : at + words] = np.frombuffer(self._map, "<u8", words, start * _WORD_BYTES)
            drop_pages(self._map, start * _WORD_BYTES, words * _WORD_BYTES)
        self._held = held

    def release(self) -> None:
        """Let go of them, and read them where they stand. Idempotent."""
        self._held = None

    def is_in_place(self) -> bool:
        """Whether all is where the directory says; its own checksum has said so already."""
        return True

    def look_up(self, fingerprints: U64) -> tuple[U8, int]:
        """Days of message keys, `NEVER` where they are not here; and how many were looked for."""
        days: U8 = np.full(len(fingerprints), NEVER, np.uint8)
        words = np.frombuffer(self._map, "<u8", self.checked[1] // _WORD_BYTES)
        held, at = (words, self._in_file) if self._held is None else (self._held, self._held_at)
        parts = np.searchsorted(self._firsts, fingerprints, side="right") - 1
        likely = np.flatnonzero(parts >= 0)
        if self._probes and len(likely):
            of = parts[likely]
            wanted = fingerprints[likely]
            may = filters.may_hold(held, at[of], self._filter_words[of], wanted, self._probes)
            likely = likely[may]
        if not len(likely):
            return days, 0
        wanted, parts = fingerprints[likely], parts[likely]
        # Which eight groups: by the fences. Then which of these, and where in it, by the file.
        fences = at[parts] + self._filter_words[parts]
        groups = _FENCED_GROUPS * _last_upto(
            held, fences, 1, -(-self._groups[parts] // _FENCED_GROUPS), wanted
        )
        widths = self._widths[parts]
        starts = self._starts[parts] + groups * widths
        self._read_ahead(starts, widths)
        of_fence = np.minimum(self._groups[parts] - groups, _FENCED_GROUPS)
        starts += widths * _last_upto(words, starts, widths, of_fence, wanted)
        of_key = self._coding_of[parts]
        for number in np.unique(of_key).tolist():
            these = np.flatnonzero(of_key == number)
            found = self._days_at(words, starts[these], self._coding(number), wanted[these])
            days[likely[these]] = found
        return days, len(likely)

    def _days_at(self, words: U64, starts: Slots, coding: Coding, wanted: U64) -> U8:
        """The day of each key in the group that begins at a word, or `NEVER`."""
        groups = words[starts[:, np.newaxis] + np.arange(coding.group_words)]
        same = keys_in(coding, groups) == wanted[:, np.newaxis]
        hit, place = same.argmax(axis=1), np.flatnonzero(same.any(axis=1))
        days: U8 = np.full(len(wanted), NEVER, np.uint8)
        days[place] = days_in(coding, groups[place], 0)[np.arange(len(place)), hit[place]]
        return days

    def _read_ahead(self, starts: Slots, widths: Slots) -> None:
        """Have the disk bring what is looked at next, all of it at once and nothing besides."""
        if len(self._map) < _READ_AHEAD_FROM_BYTES:
            return
        page = mmap.PAGESIZE
        pages = starts * _WORD_BYTES // page
        ends = (starts + _FENCED_GROUPS * widths) * _WORD_BYTES // page + 1
        for first, end in set(zip(pages.tolist(), ends.tolist(), strict=True)):
            self._map.madvise(mmap.MADV_WILLNEED, first * page, (end - first) * page)


def _last_upto(held: U64, starts: Slots, stride: Slots | int, count: Slots, wanted: U64) -> Slots:
    """Which of some ascending words, the first of which is not above it, is the last such.

    Args:
        held: where the words stand.
        starts: where those for each key begin.
        stride: how far apart they are.
        count: how many there are for each key.
        wanted: the keys.
    """
    low, high = np.zeros_like(count), count
    while (high - low > 1).any():
        middle = (low + high) // 2
        above = held[starts + middle * stride] > wanted
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    return low


def drop_pages(mapped: mmap.mmap, start: int, length: int) -> None:
    """Say that a part of a file was read: it need not stay in the memory of this process."""
    before = start % mmap.ALLOCATIONGRANULARITY
    mapped.madvise(mmap.MADV_DONTNEED, start - before, length + before)
