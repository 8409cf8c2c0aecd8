"""Records on lines: takes a file, gives its lines, one by one or some thousand together.

What is around a record is taken off: line ends (LF or CRLF), white space, a byte order mark, blank
lines. Of a line that is too long only the beginning is read into memory, and given, one byte too
long. Where lines are as programs write them, each an object between braces, many of them are cut
out of the file together and none is looked at by itself; which records stand together follows from
them alone, so that it is the same again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from headcount.importing.rejects import Lines
from headcount.intake.ports import Limits
from headcount.intake.reasons import Reason
from headcount.intake.scanning import JSON_SPACE, without_bom

__all__ = ["Gathered", "Line", "LineFile", "LineReader", "UnreadRecord", "gathered"]

# Room for a byte order mark and a line end beside the longest record.
_MORE_BYTES = 8
_SKIP_BYTES = 1 << 16
_CHUNK_BYTES = 4 << 20
_LF, _OPENING, _CLOSING = b"\n{}"

Line = tuple[int, bytes]
"""A record with its number in its file, from 1: that of its line, where it has one of its own."""


class UnreadRecord(bytes):
    """A record that its reader could not make sense of, as it came.

    Attributes:
        reason: why.
    """

    reason: Reason

    @classmethod
    def of(cls, raw: bytes, reason: Reason) -> UnreadRecord:
        """Such a record."""
        unread = cls(raw)
        unread.reason = reason
        return unread


@dataclass(slots=True)
class Gathered:
    """Records that follow one another.

    Attributes:
        joined: their bytes, with a line feed between two.
        numbers: their numbers.
        records: each by itself; None where `joined` can be split for that.
    """

    joined: bytes
    numbers: Sequence[int]
    records: list[bytes] | None = None

    @classmethod
    def of(cls, lines: list[Line]) -> Gathered:
        """Some lines together."""
        records = [record for _, record in lines]
        return cls(b"\n".join(records), [number for number, _ in lines], records)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def are_lines(self) -> bool:
        """Whether each record can be found again in `joined`, and every one was read."""
        if self.records is None:
            return True
        return self.joined.count(b"\n") == len(self) - 1 and not any(
            isinstance(each, UnreadRecord) for each in self.records
        )

    def all(self) -> list[bytes]:
        """Each record by itself."""
        if self.records is None:
            self.records = self.joined.split(b"\n")
        return self.records


def gathered(lines: Iterable[Line], records_max: int) -> Iterator[Gathered]:
    """Lines in groups whose bounds follow from the lines alone, so that they are the same again.

    Args:
        lines: all of a file, in order.
        records_max: how many records a group may hold; it holds fewer if they are long.
    """
    some: list[Line] = []
    some_bytes = 0
    for each in lines:
        some.append(each)
        some_bytes += len(each[1])
        if len(some) == records_max or some_bytes >= _CHUNK_BYTES:
            yield Gathered.of(some)
            some, some_bytes = [], 0
    if some:
        yield Gathered.of(some)


class LineReader(Iterator[Line]):
    """The lines of a file that are not blank, each with its number, from 1.

    Args:
        file: at its beginning.
        record_bytes_max: of a longer line only the beginning is given, one byte too long.
    """

    def __init__(self, file: Lines, record_bytes_max: int = Limits().record_bytes_max) -> None:
        self._lines = file
        self._record_bytes_max = record_bytes_max
        self._number = 0

    def __next__(self) -> Line:
        read_bytes = self._record_bytes_max + _MORE_BYTES
        while line := self._lines.readline(read_bytes):
            self._number += 1
            is_cut = len(line) == read_bytes and not line.endswith(b"\n")
            if self._number == 1:
                line = without_bom(line)
            if is_cut:
                self._skip_line()
                return self._number, line[: self._record_bytes_max + 1]
            if record := line.strip(JSON_SPACE):
                return self._number, record
        raise StopIteration

    def _skip_line(self) -> None:
        """Read on to the end of a line, a piece at a time."""
        while (piece := self._lines.readline(_SKIP_BYTES)) and not piece.endswith(b"\n"):
            pass


class _File(Protocol):
    def read1(self, size: int, /) -> bytes:
        """Some bytes, at most so many; none at the end."""
        ...


class LineFile(LineReader):
    """The same, and many lines at once.

    Args:
        file: at its beginning.
        record_bytes_max: as for `LineReader`.
    """

    def __init__(self, file: _File, record_bytes_max: int = Limits().record_bytes_max) -> None:
        super().__init__(self, record_bytes_max)
        self._file = file
        self._held = b""
        self._at = 0
        self._has_ended = False
        self._is_slow = False

    def readline(self, size: int, /) -> bytes:
        """The rest of a line, at most so many bytes of it; nothing at the end."""
        while (end := self._held.find(b"\n", self._at, self._at + size) + 1) == 0:
            if len(self._held) - self._at >= size or not self._read(_SKIP_BYTES):
                break
        line = self._held[self._at : end or self._at + size]
        self._at += len(line)
        return line

    def _read(self, size: int) -> bool:
        """Hold some bytes more, at most so many; whether there were any."""
        more = self._next(size)
        self._held, self._at = self._held[self._at :] + more, 0
        return bool(more)

    def _next(self, size: int) -> bytes:
        more = b"" if self._has_ended else self._file.read1(size)
        self._has_ended = not more
        return more

    def _fill(self, records_max: int) -> None:
        """Hold as much as may be cut out, and do not wait for more lines than that."""
        parts: list[bytes | memoryview] = [memoryview(self._held)[self._at :]]
        room = _CHUNK_BYTES + self._record_bytes_max + _MORE_BYTES - len(parts[0])
        lines = self._held.count(b"\n", self._at) if self._is_slow else 0
        while room > 0 and lines < records_max and (more := self._next(room)):
            # A pipe or a compressed file gives less at once than there will be.
            self._is_slow = len(more) < room
            if self._is_slow:
                lines += more.count(b"\n")
            parts.append(more)
            room -= len(more)
        self._held, self._at = b"".join(parts), 0

    def gathered(self, records_max: int) -> Iterator[Gathered]:
        """All of it, as `gathered` gives it."""
        while True:
            self._fill(records_max)
            some = self._cut_out(records_max) or next(gathered(self, records_max), None)
            if some is None:
                return
            yield some

    def _cut_out(self, records_max: int) -> Gathered | None:
        """What comes next, if all of its lines are as programs write them."""
        held = np.frombuffer(self._held, np.uint8)[self._at :]
        ends = np.flatnonzero(held == _LF)[:records_max]
        is_last = self._has_ended and len(ends) < records_max
        if is_last and len(held) and held[-1] != _LF:
            ends = np.append(ends, len(held))
        long = np.flatnonzero(ends - np.arange(len(ends)) >= _CHUNK_BYTES)
        if len(long):
            ends = ends[: long[0] + 1]
        elif len(ends) < records_max and not is_last:
            return None
        if not len(ends):
            return None
        starts = np.append(0, ends[:-1] + 1)
        lengths = ends - starts
        if lengths.min() < 2 or lengths.max() > self._record_bytes_max:
            return None
        if (held[starts] != _OPENING).any() or (held[ends - 1] != _CLOSING).any():
            return None
        joined = self._held[self._at : self._at + int(ends[-1])]
        self._at = min(self._at + len(joined) + 1, len(self._held))
        first = self._number + 1
        self._number += len(ends)
        return Gathered(joined, range(first, first + len(ends)))
