"""In which form a file holds records: takes a file, looks at its beginning, gives its records.

Knows records on lines, JSON of other shapes, CSV and Parquet, by what is in a file and not by its
name. A file in another form is one error about the file, with the remedy, and none of its records.
"""

from __future__ import annotations

import io
import re
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, BinaryIO

from headcount.importing.columns_map import ColumnsMap
from headcount.importing.compression import Damaged, Unfit
from headcount.importing.contents import Reading
from headcount.importing.csv_rows import CsvRows, delimiter_of
from headcount.importing.inputs import TABLE_ENDINGS, Input
from headcount.importing.json_layout import (
    decoded,
    first_object,
    keeps_to_lines,
    refuse_other_text,
    refuse_wrapped,
)
from headcount.importing.json_values import RECORD_SEPARATOR, read_values
from headcount.importing.line_files import Line, LineFile, LineReader, UnreadRecord
from headcount.importing.objects import RemoteObject
from headcount.importing.parquet_rows import ParquetRows, require_parquet
from headcount.importing.rejects import KeptRecords, Rejects
from headcount.importing.tables import ObjectTaker, is_row, record_of
from headcount.intake.ports import Limits
from headcount.intake.reasons import Reason
from headcount.intake.scanning import JSON_SPACE, without_bom

__all__ = ["Records"]

_BUFFER_BYTES = 1 << 18
_PEEK_BYTES = 1 << 18
_SPOOL_BYTES = 1 << 20
_PARQUET = b"PAR1"
_BEFORE_FIRST = JSON_SPACE + b"[" + RECORD_SEPARATOR

# What no text holds, in as much of a file as is looked at for that.
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1a]")
_SEEN_BYTES = 1024

# How files of other forms begin, what they are called, and what to do with them.
_OTHERS = (
    (b"PK\x03\x04", 0, "a zip file", "use: unzip -p FILE | headcount import -"),
    (b"PK\x05\x06", 0, "an empty zip file", "there is nothing in it"),
    (b"BZh", 0, "compressed with bzip2", "use: bzip2 -dc FILE | headcount import -"),
    (b"\xfd7zXZ\x00", 0, "compressed with xz", "use: xz -dc FILE | headcount import -"),
    (b"\x04\x22\x4d\x18", 0, "compressed with lz4", "use: lz4 -dc FILE | headcount import -"),
    (b"\xff\x06\x00\x00sNaPpY", 0, "compressed with Snappy", "decompress it first"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7-Zip file", "unpack it first"),
    (b"Rar!", 0, "a RAR file", "unpack it first"),
    (b"\x1f\x8b", 0, "compressed twice", "use: gzip -dc FILE | headcount import -"),
    (b"ustar", 257, "a tar file", "unpack it, and import the folder"),
    (b"Obj\x01", 0, "Avro", "convert it to Parquet or JSON"),
    (b"ORC", 0, "ORC", "convert it to Parquet or JSON"),
    (b"ARROW1", 0, "an Arrow file", "convert it to Parquet"),
    (b"PARE", 0, "encrypted Parquet", "decrypt it first"),
    (b"SQLite format 3\x00", 0, "a SQLite database", "write its table to CSV"),
    (b"%PDF", 0, "a PDF", "there are no messages in it"),
    (b"\xd0\xcf\x11\xe0", 0, "an old Excel file", "save it as CSV"),
)


class Records:
    """The records of one file, and what became of reading it.

    Args:
        source: the file.
        mapping: what its columns are, where they are called otherwise.
        rejects: where refused records are to be kept; None for nowhere.
        record_bytes_max: of a longer record only the beginning is read.

    Attributes:
        unit: what its records are numbered by: "line", "record" or "row".
    """

    def __init__(
        self,
        source: Input,
        mapping: ColumnsMap,
        rejects: Rejects | None = None,
        record_bytes_max: int = Limits().record_bytes_max,
    ) -> None:
        self._source = source
        self._mapping = mapping
        self._rejects = rejects
        self._record_bytes_max = record_bytes_max
        self._stack = ExitStack()
        self._reading = self._stack.enter_context(closing(_opened(source)))
        self._failure: str | None = None
        self._rows: CsvRows | ParquetRows | None = None
        self._objects: ObjectTaker | None = None
        self._keep: Callable[[Iterable[int]], None] = lambda _numbers: None
        self.unit = "line"

    @property
    def failure(self) -> str | None:
        """Why the file could not be read, or not to its end; None if it could."""
        return self._failure or self._reading.failure

    @property
    def bytes_read(self) -> int:
        """How far it was read, in bytes of the file itself."""
        if isinstance(self._rows, ParquetRows):
            return int(self._rows.share * (self._source.size_bytes or 0))
        return self._reading.bytes_read

    def keep(self, numbers: Iterable[int]) -> None:
        """Keep the records of these numbers, ascending, and forget what was read before.

        Raises:
            OperatorError: the disk refused.
        """
        self._keep(numbers)

    def close(self) -> None:
        """Let go of the file."""
        self._stack.close()

    def lines(self) -> Iterator[Line]:
        """Every record, with its number; to be asked for once.

        Raises:
            UsageError: the library that reads such a file is not installed.
        """
        start, is_whole = self._reading.peek(_PEEK_BYTES)
        try:
            return self._read(start, is_whole)
        except Unfit as error:
            self._failure = f"is not taken: {error}."
            return iter(())

    @property
    def notes(self) -> list[str]:
        """What somebody should know who reads the counts; complete once all was read."""
        taker = self._objects if self._rows is None else self._rows.taker
        if taker is None:
            return []
        notes = []
        if not taker.has_ids:
            notes.append(
                "No column holds message ids. Each row has one made from its source, from what is"
                " in all of its columns, and from its number among equal rows of the file; equal"
                " rows of two files count once."
            )
        if taker.assumed_utc:
            notes.append(
                'Times without a zone were taken for UTC; "zone" under [times] in a map (--map)'
                " says otherwise."
            )
        return notes

    def _read(self, start: bytes, is_whole: bool) -> Iterator[Line]:
        if start.startswith(_PARQUET):
            return self._kept(self._parquet(), "row")
        _refuse_other_forms(start, self._source.name)
        text = without_bom(start).lstrip(JSON_SPACE)
        if text[:1] == b"{" and not self._mapping.is_of_records:
            refuse_wrapped(text, self._source.name)
        self._see_rows(text)
        if text[:1] in (b"[", RECORD_SEPARATOR) or (
            text[:1] == b"{" and not keeps_to_lines(text, is_whole)
        ):
            values = read_values(self._reading, self._record_bytes_max)
            return self._mapped(self._kept(values, "record"))
        if text[:1] not in (b"", b"{"):
            delimiter = delimiter_of(start, self._mapping)
            if delimiter or self._source.name.lower().endswith(TABLE_ENDINGS):
                return self._kept(self._csv(delimiter), "line")
        refuse_other_text(text, is_whole)
        return self._plain_lines()

    def _see_rows(self, text: bytes) -> None:
        """See whether the objects of a file are rows of a table rather than messages."""
        first = first_object(text.lstrip(_BEFORE_FIRST))
        if first is not None and not self._mapping.is_of_records and is_row(first):
            self._objects = ObjectTaker(first, self._source.path)

    def _plain_lines(self) -> Iterator[Line]:
        # Nothing stands between these and who asks for them: they are what most imports are.
        if self._rejects is None:
            return self._mapped(LineFile(self._reading, self._record_bytes_max))
        file = io.BufferedReader(self._reading, _BUFFER_BYTES)
        watched = self._stack.enter_context(closing(self._rejects.watched(file)))
        self._keep = watched.keep
        return self._mapped(LineReader(watched, self._record_bytes_max))

    def _csv(self, delimiter: str | None) -> Iterator[Line]:
        file = io.BufferedReader(self._reading, _BUFFER_BYTES)
        self._rows = CsvRows(
            file, self._source.path, delimiter, self._mapping, lambda: self._reading.failure is None
        )
        return self._rows.records()

    def _parquet(self) -> Iterator[Line]:
        require_parquet(self._source.name)
        self._rows = ParquetRows(self._seekable(), self._source.path, self._mapping)
        return self._rows.records()

    def _seekable(self) -> Path | BinaryIO:
        """The file, to be read here and there: as it lies, or from a copy that has no name."""
        place = self._source.place
        if isinstance(place, Path) and place.is_file() and not self._reading.is_unpacked:
            return place
        if isinstance(place, RemoteObject) and not self._reading.is_unpacked:
            remote = place.seekable()
            if remote is not None:
                return self._stack.enter_context(remote)
        copy = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
        while piece := self._reading.read1(_SPOOL_BYTES):
            copy.write(piece)
        copy.seek(0)
        return copy

    def _kept(self, records: Iterator[Line], unit: str) -> Iterator[Line]:
        """Records of another form than lines: they may end early, and are kept one by one."""
        self.unit = unit
        records = self._until_damaged(records)
        if self._rejects is None:
            return records
        kept = KeptRecords(records, self._rejects)
        self._keep = kept.keep
        return kept.records()

    def _until_damaged(self, records: Iterator[Line]) -> Iterator[Line]:
        try:
            yield from records
        except Unfit as error:
            self._failure = f"is not taken: {error}."
        except Damaged as error:
            self._failure = self._reading.failure or f"cannot be read to its end: {error}."

    def _mapped(self, records: Iterator[Line]) -> Iterator[Line]:
        if self._objects is not None:
            return _remade(records, self._objects.record)
        if not self._mapping.is_of_records:
            return records
        return _remade(records, lambda raw, found: record_of(raw, found, self._mapping))


def _opened(source: Input) -> Reading:
    try:
        return source.opened()
    except OSError as error:
        broken = Reading(io.BufferedReader(io.BytesIO()), "")
        broken.failure = f"cannot be opened: {error.strerror}."
        return broken


def _refuse_other_forms(start: bytes, name: str) -> None:
    if not _NOT_TEXT.search(start, 0, _SEEN_BYTES):
        return  # the heading of a table may begin like any of them, such as PARENT_ID
    for mark, at, what, remedy in _OTHERS:
        if start.startswith(mark, at):
            raise Unfit(f"it is {what}; {remedy.replace('FILE', shlex.quote(name))}")


def _remade(
    records: Iterator[Line], remake: Callable[[bytes, dict[str, Any]], bytes]
) -> Iterator[Line]:
    """Records made of others."""
    for number, raw in records:
        is_cut = len(raw) > Limits().record_bytes_max
        found = Reason.MESSAGE_TOO_LARGE if is_cut else decoded(raw)
        if isinstance(found, Reason):
            yield number, UnreadRecord.of(raw, found)
        else:
            yield number, remake(raw, found)
