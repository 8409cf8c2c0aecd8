"""Tables in Parquet: takes a file that can be read here and there, gives a record for each row.

Only the columns that are needed are read, some thousand rows at once, so that memory stays bounded
however large the groups are into which the file is cut. Needs a library that is not installed with
every server, and says what to install where it is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from headcount.errors import UsageError
from headcount.extras import install_command
from headcount.importing.columns_map import ColumnsMap
from headcount.importing.compression import Damaged
from headcount.importing.line_files import Line, UnreadRecord
from headcount.importing.tables import RowTaker
from headcount.intake.reasons import Reason

__all__ = ["ParquetRows", "require_parquet"]

_BATCH_ROWS = 4096
_BUFFER_BYTES = 1 << 20


def require_parquet(name: str) -> None:
    """See that Parquet can be read.

    Args:
        name: of the file that asks for it.

    Raises:
        UsageError: the library is not installed.
    """
    try:
        import pyarrow.parquet  # type: ignore[import-untyped]  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError(
            f"{name} is Parquet, which needs a library that is not installed.",
            f"Install it with: {install_command('parquet')}",
        ) from None


class ParquetRows:
    """The rows of one file.

    Args:
        file: a path, or an open file that can be read here and there.
        path: where it is, whose name may say of which type its messages are.
        mapping: what the columns are.

    Attributes:
        taker: what makes records of the rows; None before the heading was read.
        share: how much of the file was read, from 0 to 1.
    """

    def __init__(self, file: Path | BinaryIO, path: str, mapping: ColumnsMap) -> None:
        self._file = file
        self._path = path
        self._mapping = mapping
        self.taker: RowTaker | None = None
        self.share = 0.0

    def records(self) -> Iterator[Line]:
        """A record for each row, with its number, from 1.

        Raises:
            Damaged: the file is damaged, or no messages can be made of the table.
        """
        import pyarrow
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(
                self._file, pre_buffer=False, buffer_size=_BUFFER_BYTES
            ) as table:
                yield from self._rows(table)
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
            words = str(error).strip().partition("\n")[0].rstrip(".")
            raise Damaged(f"it is no whole Parquet: {words}") from error

    def _rows(self, table: Any) -> Iterator[Line]:
        names = table.schema_arrow.names
        self.taker = RowTaker(names, self._path, self._mapping)
        needed = self.taker.columns
        rows_max = max(1, table.metadata.num_rows)
        number = 0
        empty: list[Any] = [None] * len(names)
        for batch in table.iter_batches(
            _BATCH_ROWS, columns=[names[place] for place in needed], use_threads=False
        ):
            columns = [_values(batch.column(names[place])) for place in needed]
            for values in zip(*columns, strict=True):
                number += 1
                row = empty.copy()
                for place, value in zip(needed, values, strict=True):
                    row[place] = value
                try:
                    yield number, self.taker.record(row)
                except UnicodeError:
                    yield number, UnreadRecord.of(repr(values).encode(), Reason.NOT_UTF8)
            self.share = number / rows_max


def _values(column: Any) -> list[Any]:
    """What is in a column; of times, what a datetime can hold."""
    import pyarrow
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if types.is_timestamp(kind):
        # What is finer than a datetime decides about nothing, and no time zones need be installed.
        zone = None if kind.tz is None else "UTC"
        column = column.cast(pyarrow.timestamp("us", zone), safe=False)
    elif types.is_binary(kind) or types.is_large_binary(kind):
        # Text of programs that do not mark it as such; what is none cannot be encoded again.
        return [
            value if value is None else value.decode("utf-8", "surrogateescape")
            for value in column.to_pylist()
        ]
    found: list[Any] = column.to_pylist()
    return found
