"""Rows of a store as a failing disk, or somebody by hand, leaves them."""

from __future__ import annotations

from pathlib import Path

import apsw

from headcount.counting.calendar import Period
from headcount.counting.metrics import API_CALLS
from headcount.store.counts import counts_of, encoded
from headcount.store.tables import USAGE

__all__ = ["change_by_hand", "make_negative"]


def make_negative(
    store: Path,
    period: Period,
    *,
    workspace: int = 1,
    source: int = 0,
    day: int = 0,
    column: int = API_CALLS,
    with_checksum: bool = True,
) -> None:
    """Make a count of one scope less than nothing.

    Args:
        store: the file of the store.
        period, workspace, source, day, column: which count; days from 0.
        with_checksum: whether the row says that it is what was written.
    """
    connection = apsw.Connection(str(store))
    try:
        place = (workspace, period.number, source)
        [row] = connection.execute(
            f"SELECT {', '.join(USAGE.columns)}, checksum FROM usage WHERE {USAGE.where_key}", place
        )
        counts = counts_of(row[-2]).copy()
        counts[day, column] = -1_000_000
        values = (*row[:-2], encoded(counts))
        checksum = USAGE.checksum(values) if with_checksum else row[-1]
        connection.execute(USAGE.update, (*values, checksum))
    finally:
        connection.close()


def change_by_hand(store: Path, table: str, column: str, by: int, where: str = "1") -> None:
    """Add something to a number in all rows that a clause names, whose checksums stay.

    Args:
        store: the file of the store.
        table, column, where: which numbers; there must be some.
        by: what; the opposite of it repairs them.
    """
    connection = apsw.Connection(str(store))
    try:
        connection.execute(f"UPDATE {table} SET {column} = {column} + ? WHERE {where}", (by,))
        assert connection.changes()
    finally:
        connection.close()
