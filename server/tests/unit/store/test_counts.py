"""Rows of counts as bytes: each says its own width, so that a new column spoils no old row."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.errors import DataFolderError
from headcount.store.counts import all_counts_of, counts_of, encoded


def some(columns: int) -> Counts:
    return np.arange(DAYS_MAX * columns, dtype=np.int64).reshape(DAYS_MAX, columns)


def test_a_row_of_five_columns_has_the_bytes_that_it_always_had() -> None:
    assert encoded(some(5)) == struct.pack("<155q", *range(155))
    assert len(encoded(some(5))) == 1_240


def test_a_row_is_read_as_it_was_written() -> None:
    assert (counts_of(encoded(some(len(KINDS)))) == some(len(KINDS))).all()


def test_a_row_of_five_is_read_where_six_are_known() -> None:
    read = counts_of(encoded(some(5)), columns=6)
    assert read.shape == (DAYS_MAX, 6)
    assert (read[:, :5] == some(5)).all()
    assert not read[:, 5].any()
    # Counts of today are added to it, and then it is a row of six.
    assert len(encoded(read + some(6))) == DAYS_MAX * 6 * 8


def test_narrower_rows_stand_beside_those_of_today() -> None:
    narrow, today = some(len(KINDS) - 1), some(len(KINDS))
    read = all_counts_of([encoded(today), encoded(narrow)])
    assert (read[0] == today).all()
    assert (read[1, :, :-1] == narrow).all()
    assert not read[1, :, -1].any()
    assert all_counts_of([]).shape == (0, DAYS_MAX, len(KINDS))


def test_a_row_with_columns_that_nobody_knows_yet_is_refused_by_name() -> None:
    with pytest.raises(DataFolderError, match=r"newer version.*6 counts of each day.*knows 5"):
        counts_of(encoded(some(6)), columns=5)
    with pytest.raises(DataFolderError, match="newer version"):
        all_counts_of([encoded(some(len(KINDS))), encoded(some(len(KINDS) + 1))])


@pytest.mark.parametrize("data", [b"", b"x" * 1_239, b"x" * 240, None, 1_240, "x" * 1_240])
def test_what_is_no_row_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="no row of counts"):
        counts_of(data)
