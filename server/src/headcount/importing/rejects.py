"""Refused lines as they came: takes a file while it is read, keeps some of its lines byte for byte.

Of a file whose records are no lines of their own, a refused one is kept as one line. What was read
since the last chunk lies aside until it is known which of it was refused; so a line may be as long
as it likes, and come from a pipe or a compressed file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from headcount.errors import OperatorError

__all__ = ["KeptRecords", "Lines", "Rejects"]

_IN_MEMORY_BYTES = 8 << 20
_PIECE_BYTES = 1 << 20


class Lines(Protocol):
    """What is read line by line."""

    def readline(self, size: int, /) -> bytes:
        """The rest of a line, at most so many bytes of it; nothing at the end."""
        ...


class Rejects:
    """A file of refused lines, written anew.

    Args:
        path: where.

    Raises:
        OperatorError: it cannot be written there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise self._refused(error) from error
        self._is_line_open = False

    def watched(self, file: Lines) -> WatchedLines:
        """A file whose lines can be kept from then on."""
        return WatchedLines(file, self)

    def add(self, lines: Iterable[bytes]) -> None:
        """Add one line, in pieces.

        Raises:
            OperatorError: the disk refused.
        """
        try:
            if self._is_line_open:
                self._file.write(b"\n")  # the last line of a file need not have ended
            for piece in lines:
                self._file.write(piece)
                self._is_line_open = not piece.endswith(b"\n")
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Finish the file.

        Raises:
            OperatorError: the disk refused.
        """
        try:
            self._file.close()
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> OperatorError:
        return OperatorError(
            f"Refused lines cannot be written to {self._path}: {error.strerror}.",
            "Name another file with --rejects, and run the same command again: what was read is"
            " kept, and nothing is counted twice.",
        )


class WatchedLines:
    """A file that is read line by line, whose lines since the last `keep` are remembered.

    Args:
        file: the file, at its beginning.
        rejects: where lines are kept.
    """

    def __init__(self, file: Lines, rejects: Rejects) -> None:
        self._file = file
        self._rejects = rejects
        self._read = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 (see close)
        self._starts: list[int] = []
        self._first_number = 1
        self._is_inside = False

    def readline(self, size: int, /) -> bytes:
        """As the file itself."""
        piece = self._file.readline(size)
        if piece:
            if not self._is_inside:
                self._starts.append(self._read.tell())
            self._read.write(piece)
            self._is_inside = not piece.endswith(b"\n")
        return piece

    def keep(self, numbers: Iterable[int]) -> None:
        """Keep the lines of these numbers, ascending, and forget all that was read.

        Raises:
            OperatorError: the disk refused.
        """
        ends = [*self._starts[1:], self._read.tell()]
        for number in numbers:
            place = number - self._first_number
            self._rejects.add(self._pieces(self._starts[place], ends[place]))
        self._first_number += len(self._starts)
        self._starts.clear()
        self._read.seek(0)
        self._read.truncate()

    def _pieces(self, start: int, end: int) -> Iterable[bytes]:
        self._read.seek(start)
        while start < end:
            piece = self._read.read(min(_PIECE_BYTES, end - start))
            start += len(piece)
            yield piece

    def close(self) -> None:
        """Let go of what was remembered."""
        self._read.close()


class KeptRecords:
    """Records that are not lines of their own, remembered since the last `keep`.

    Args:
        records: with their numbers.
        rejects: where they are kept, a line each.
    """

    def __init__(self, records: Iterator[tuple[int, bytes]], rejects: Rejects) -> None:
        self._records = records
        self._rejects = rejects
        self._read: dict[int, bytes] = {}

    def records(self) -> Iterator[tuple[int, bytes]]:
        """The records."""
        for number, record in self._records:
            self._read[number] = record
            yield number, record

    def keep(self, numbers: Iterable[int]) -> None:
        """Keep the records of these numbers, ascending, and forget all that was read.

        Raises:
            OperatorError: the disk refused.
        """
        for number in numbers:
            self._rejects.add([self._read[number], b"\n"])
        self._read.clear()
