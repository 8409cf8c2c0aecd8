"""JSON that does not keep to lines: takes bytes, gives the objects of arrays and of concatenations.

Knows an array of records, several of them, and records one after the other with nothing, white
space, commas or record separators (RFC 7464) between them, on one line or on many. A record that is
no JSON costs only itself, as long as its brackets close. Memory stays bounded by the longest record
that is taken; of a longer one only the beginning is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headcount.importing.compression import Damaged, Pieces
from headcount.importing.line_files import Line
from headcount.intake.scanning import Malformed, value_end
from headcount.intake.work import StepBudget, TooComplex, message_steps

__all__ = ["RECORD_SEPARATOR", "read_values"]

RECORD_SEPARATOR = b"\x1e"
"""What stands before each text of a sequence (RFC 7464)."""


_PIECE_BYTES = 1 << 18
_BETWEEN = re.compile(rb"[ \t\r\n,\x1e]*+")
_ENDS_ROW = bytes.maketrans(b"\r\n", b"  ")
# What decides where a value ends, outside of strings and inside.
_OUTSIDE = re.compile(rb'[\[\]{}"]')
_IN_STRING = re.compile(rb'["\\]')
_SCALAR_END = re.compile(rb"[\s,\]}\x1e]")
_BOM = b"\xef\xbb\xbf"


def read_values(pieces: Pieces, record_bytes_max: int) -> Iterator[Line]:
    """The records in a file, each on one line, with their numbers, from 1.

    Args:
        pieces: the file, from its beginning.
        record_bytes_max: of a longer record only so much is given, and one byte more.

    Raises:
        Damaged: the file ends inside of a record or an array, or holds what can be neither.
    """
    return _Values(pieces, record_bytes_max).records()


class _Values:
    """A window over a file, which holds the next record whole unless that is too long."""

    def __init__(self, pieces: Pieces, record_bytes_max: int) -> None:
        self._pieces = pieces
        self._record_bytes_max = record_bytes_max
        self._data = b""
        self._at = 0
        self._is_whole = False  # nothing comes behind the window
        self._number = 0

    def records(self) -> Iterator[Line]:
        """Every record."""
        self._fill()
        if self._data.startswith(_BOM):
            self._at = len(_BOM)
        in_array = False
        while True:
            mark = self._next_mark()
            if not mark:
                if in_array:
                    raise Damaged(f"it ends in an array, after record {self._number}")
                return
            if not in_array and mark == b"[":
                in_array = True
                self._at += 1
            elif in_array and mark == b"]":
                in_array = False
                self._at += 1
            elif mark in b"]}:":
                raise Damaged(f'after record {self._number} comes a "{mark.decode()}" too many')
            else:
                self._number += 1
                yield self._number, self._record()

    def _next_mark(self) -> bytes:
        """The first byte of what comes next; nothing at the end."""
        while True:
            between = _BETWEEN.match(self._data, self._at)
            assert between is not None, "it matches nothing, too"
            self._at = between.end()
            if self._at < len(self._data) or self._is_whole:
                if len(self._data) - self._at <= self._record_bytes_max:
                    self._fill()
                return self._data[self._at : self._at + 1]
            self._fill()

    def _record(self) -> bytes:
        """The record that begins here, whose end is passed over."""
        # Enough for whatever is no longer than a record may be.
        budget = StepBudget(message_steps(self._record_bytes_max))
        try:
            end = value_end(self._data, self._at, budget)
        except (Malformed, TooComplex):
            return self._unruly()
        # A number may go on behind the window.
        if end == len(self._data) and not self._is_whole:
            return self._unruly()
        return self._taken(end)

    def _taken(self, end: int) -> bytes:
        record = self._data[self._at : min(end, self._at + self._record_bytes_max + 1)]
        self._at = end
        return record.translate(_ENDS_ROW) if b"\n" in record or b"\r" in record else record

    def _unruly(self) -> bytes:
        """A record that is too long or no JSON: what lies between its brackets or quotes."""
        kept = bytearray()
        first = self._data[self._at : self._at + 1]
        is_scalar = first not in (b"[", b"{", b'"')
        edge = _ScalarEdge() if is_scalar else _Edge()
        while True:
            end = edge.find(self._data, self._at)
            passed = self._data[self._at : end]
            kept += passed[: max(0, self._record_bytes_max + 1 - len(kept))]
            self._at += len(passed)
            if end is not None or (self._is_whole and is_scalar):
                return bytes(kept).translate(_ENDS_ROW)
            if self._is_whole:
                raise Damaged(f"record {self._number} has no end")
            self._fill()

    def _fill(self) -> None:
        """Let go of what was passed over, and read on until a whole record has room."""
        parts = [self._data[self._at :]]
        held = len(parts[0])
        wanted = held + _PIECE_BYTES if held > self._record_bytes_max else self._record_bytes_max
        while not self._is_whole and held <= wanted:
            piece = self._pieces.read1(_PIECE_BYTES)
            self._is_whole = not piece
            parts.append(piece)
            held += len(piece)
        self._data, self._at = b"".join(parts), 0


class _ScalarEdge:
    """Finds where something without brackets or quotes ends."""

    def find(self, data: bytes, at: int) -> int | None:
        """Where it ends; None when that is not in the data."""
        found = _SCALAR_END.search(data, at)
        return None if found is None else found.start()


class _Edge(_ScalarEdge):
    """Finds where brackets or a string are closed, window by window."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._skip = 0

    def find(self, data: bytes, at: int) -> int | None:
        at += self._skip
        while found := (_IN_STRING if self._in_string else _OUTSIDE).search(data, at):
            mark, at = found[0], found.end()
            if mark == b"\\":
                at += 1  # what it stands before is no end, also where that is in the next window
                continue
            if mark == b'"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if mark in b"[{" else -1
            if self._depth <= 0 and not self._in_string:
                return at
        self._skip = max(0, at - len(data)) if self._in_string else 0
        return None
