"""A row of counts as bytes: for each of 31 days, one little-endian 64-bit integer for each column.

Takes counts, gives bytes, and the other way round. A row says by its length how many columns it
has. One that was written before a column came lacks it at the end of every day, and reads as zeros
there; one with more columns than this version knows is refused, for its counts would be lost when
it is written again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.errors import DataFolderError

__all__ = ["all_counts_of", "counts_of", "encoded", "refuse_newer"]

_BYTES_A_COLUMN = DAYS_MAX * 8
_ROW_BYTES = _BYTES_A_COLUMN * len(KINDS)


def counts_of(data: object, columns: int = len(KINDS)) -> Counts:
    """The counts of a row, shape (31, columns); not to be written to.

    Args:
        data: what stands in the row.
        columns: how many columns are known.

    Raises:
        DataFolderError: the row has more.
        ValueError: it is no row of counts.
    """
    if not isinstance(data, bytes) or not data or len(data) % _BYTES_A_COLUMN:
        raise ValueError("no row of counts has that length")
    held = len(data) // _BYTES_A_COLUMN
    refuse_newer(len(data), columns)
    counts = np.frombuffer(data, "<i8").reshape(DAYS_MAX, held)
    if held == columns:
        return counts
    return np.pad(counts, ((0, 0), (0, columns - held)))


def all_counts_of(data: Sequence[bytes]) -> Counts:
    """The counts of several rows, shape (rows, 31, columns); not to be written to.

    Raises:
        DataFolderError, ValueError: as for `counts_of`.
    """
    if all(len(row) == _ROW_BYTES for row in data):  # nearly always, and then at once
        return np.frombuffer(b"".join(data), "<i8").reshape(len(data), DAYS_MAX, len(KINDS))
    return np.stack([counts_of(row) for row in data])


def refuse_newer(row_bytes: int, columns: int = len(KINDS)) -> None:
    """Refuse a row with columns that this version does not know.

    Raises:
        DataFolderError: it has some.
    """
    held = row_bytes // _BYTES_A_COLUMN
    if held > columns:
        raise DataFolderError(
            f"The store was written by a newer version of Headcount: it holds {held} counts of each"
            f" day, and this version knows {columns}.",
            "Install that version or a later one.",
        )


def encoded(counts: Counts) -> bytes:
    """A row of counts."""
    return counts.astype("<i8").tobytes()
