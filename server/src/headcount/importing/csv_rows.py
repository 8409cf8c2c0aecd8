"""Tables in text: takes bytes, gives a record for each row; CSV, and what stands between its cells.

A quoted cell may hold line ends. A row that has not as many cells as the heading, or whose quotes
are wrong, is given as it came, to be refused by name. Memory stays bounded by the longest row.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace

from headcount.importing.columns_map import ColumnsMap
from headcount.importing.compression import Damaged, Unfit
from headcount.importing.line_files import Line, UnreadRecord
from headcount.importing.rejects import Lines
from headcount.importing.tables import RowTaker, looks_like_heading
from headcount.intake.reasons import Reason

__all__ = ["CsvRows", "delimiter_of"]

_DELIMITERS = (",", "\t", ";", "|")
_LINE_BYTES = 1 << 16
_ROW_BYTES_MAX = 4 << 20
_BOM = "\ufeff"
# How COPY of several databases, and MySQL, write that there is nothing.
_NULLS = ("\\N",)


def delimiter_of(start: bytes, mapping: ColumnsMap) -> str | None:
    """What stands between the cells of a heading of messages; None where it is no such heading.

    Args:
        start: the beginning of a file, with its first line.
        mapping: what may say so, and what columns may be called.
    """
    line = start.decode("utf-8", "replace").lstrip(_BOM + "\r\n").partition("\n")[0].rstrip("\r")
    mapped = {column.split(".")[0] for each in mapping.columns.values() for column in each}
    for delimiter in (mapping.delimiter,) if mapping.delimiter else _DELIMITERS:
        try:
            names = next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        if looks_like_heading(names) or mapped.intersection(names):
            return delimiter
    return None


class CsvRows:
    """The rows of one file.

    Args:
        file: from its beginning.
        path: where it is, whose name may say of which type its messages are.
        delimiter: between cells; None for whatever makes the most cells of the heading.
        mapping: what the columns are.
        is_whole: whether the file could be read so far; where it breaks off, the row that it
            breaks in is none, although it may look like one.

    Attributes:
        taker: what makes records of the rows; None before the heading was read.
    """

    def __init__(
        self,
        file: Lines,
        path: str,
        delimiter: str | None,
        mapping: ColumnsMap,
        is_whole: Callable[[], bool] = lambda: True,
    ) -> None:
        self._file = file
        self._is_whole = is_whole
        self._path = path
        self._delimiter = delimiter
        self._mapping = mapping
        self._line_number = 0
        self._row_line = 1
        self._raw: list[bytes] = []
        self._raw_bytes = 0
        self.taker: RowTaker | None = None

    def records(self) -> Iterator[Line]:
        """A record for each row that is not blank, with the number of its first line, from 1.

        Raises:
            Damaged: no messages can be made of the table, or a row has no end.
        """
        csv.field_size_limit(_ROW_BYTES_MAX)
        first = self._text()
        while first is not None and not first.strip():
            self._raw.clear()
            first = self._text()
        if first is None:
            return
        delimiter = self._delimiter or max(_DELIMITERS, key=first.count)
        rows = csv.reader(
            self._texts(first.removeprefix(_BOM)),
            delimiter=delimiter,
            escapechar=self._mapping.escape,
            doublequote=self._mapping.escape is None,
            strict=True,
        )
        try:
            heading = next(rows)
        except csv.Error as error:
            raise Unfit(f"its heading is no row of CSV: {error}") from error
        mapping = replace(self._mapping, nulls=(*_NULLS, *self._mapping.nulls))
        self.taker = RowTaker(heading, self._path, mapping)
        nulls = frozenset(mapping.nulls)
        while True:
            self._raw.clear()
            self._raw_bytes = 0
            number = self._row_line = self._line_number + 1
            try:
                row = next(rows, None)
            except csv.Error:
                yield number, self._unread(Reason.MALFORMED_ROW)
                continue
            if row is None:
                return
            if not row:
                continue
            if len(row) != len(heading):
                yield number, self._unread(Reason.MALFORMED_ROW)
                continue
            try:
                yield number, self.taker.record([None if each in nulls else each for each in row])
            except UnicodeError:
                yield number, self._unread(Reason.NOT_UTF8)

    def _unread(self, reason: Reason) -> UnreadRecord:
        return UnreadRecord.of(b"".join(self._raw).rstrip(b"\r\n"), reason)

    def _texts(self, first: str) -> Iterator[str]:
        yield first
        while (text := self._text()) is not None:
            yield text

    def _text(self) -> str | None:
        """The next line; None at the end. What is no UTF-8 in it cannot be encoded again."""
        pieces = []
        while piece := self._file.readline(_LINE_BYTES):
            pieces.append(piece)
            self._raw_bytes += len(piece)
            if self._raw_bytes > _ROW_BYTES_MAX:
                raise Damaged(
                    f"the row that begins in line {self._row_line:,} has no end within"
                    f" {_ROW_BYTES_MAX >> 20} MiB: perhaps a quote is not closed"
                )
            if piece.endswith(b"\n"):
                break
        if not pieces or (not pieces[-1].endswith(b"\n") and not self._is_whole()):
            return None
        self._line_number += 1
        line = b"".join(pieces)
        self._raw.append(line)
        return line.decode("utf-8", "surrogateescape")
