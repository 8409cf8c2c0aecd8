"""Rows in a format: takes columns and a binary stream, gives a writer that is fed month by month.

Refuses Parquet where its library is missing, saying what to install.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

from headcount.cli.reading.usage_rows import Row
from headcount.counting.metrics import wire_name
from headcount.errors import UsageError
from headcount.extras import install_command
from headcount.spreadsheets import csv_line

__all__ = ["FORMATS", "RowWriter", "row_as_data", "row_writer"]

FORMATS = ("json", "ndjson", "csv", "parquet")
"""The formats that can be written to a file."""


class RowWriter(Protocol):
    """Writes rows as they come."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write some rows."""

    def close(self) -> None:
        """Write what ends the format; the stream stays open."""


def row_writer(file_format: str, columns: Sequence[str], stream: BinaryIO) -> RowWriter:
    """A writer of one of `FORMATS`.

    Raises:
        UsageError: the format needs a library that is not installed.
    """
    if file_format == "json":
        return _JsonWriter(stream)
    if file_format == "ndjson":
        return _JsonLinesWriter(stream)
    if file_format == "csv":
        return _CsvWriter(columns, stream)
    assert file_format == "parquet", file_format
    try:
        return _ParquetWriter(columns, stream)
    except ModuleNotFoundError:
        raise UsageError(
            "Parquet needs a library that is not installed.",
            f"Install it with: {install_command('parquet')}",
        ) from None


def row_as_data(row: Row) -> dict[str, Any]:
    """A row as JSON holds it: its names as in the usage API, its day as text."""
    return {wire_name(name): str(value) if name == "day" else value for name, value in row.items()}


class _JsonWriter:
    """An array with a row a line, so that it can be read by eye and by `grep` too."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._separator = b"[\n  "
        self._end = b"[]\n"

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._stream.write(self._separator + json.dumps(row_as_data(row)).encode())
            self._separator, self._end = b",\n  ", b"\n]\n"

    def close(self) -> None:
        self._stream.write(self._end)


class _JsonLinesWriter:
    """A row a line, each an object of its own."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._stream.write(json.dumps(row_as_data(row)).encode() + b"\n")

    def close(self) -> None:
        pass


class _CsvWriter:
    """A heading and a line a row, in UTF-8."""

    def __init__(self, columns: Sequence[str], stream: BinaryIO) -> None:
        self._stream = stream
        self._columns = columns
        # Where nothing can be read, nothing is written either.
        self._heading = csv_line(columns)

    def write(self, rows: Sequence[Row]) -> None:
        lines = [csv_line([row[name] for name in self._columns]) for row in rows]
        self._stream.write(self._heading + b"".join(lines))
        self._heading = b""

    def close(self) -> None:
        self.write(())


class _ParquetWriter:
    """One row group for each part that is written."""

    def __init__(self, columns: Sequence[str], stream: BinaryIO) -> None:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet

        types = {
            "day": pyarrow.date32(),
            "source_id": pyarrow.string(),
            "source_name": pyarrow.string(),
        }
        self._table = pyarrow.Table
        self._schema = pyarrow.schema(
            [(name, types.get(name, pyarrow.int64())) for name in columns]
        )
        self._writer = parquet.ParquetWriter(stream, self._schema)

    def write(self, rows: Sequence[Row]) -> None:
        if rows:
            self._writer.write_table(self._table.from_pylist(list(rows), schema=self._schema))

    def close(self) -> None:
        self._writer.close()
