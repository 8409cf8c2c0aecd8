"""Copying one database of a former format into a new one of today's, row by row, and comparing the
two.

Takes a connection to the former and the path of the new one, which must not exist. Changes nothing
in the former. Stores and journals are as format 2 has them; catalogs have changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from headcount.catalog import schema as catalog
from headcount.confirmed import read_confirmed, refuse_if_behind
from headcount.errors import DamagedDataError
from headcount.identity import admit_part, fresh_uuid
from headcount.journal import schema as journal
from headcount.sqlite.opening import connect, rows, transaction
from headcount.sqlite.rows import Ledger, Part, Row, Table
from headcount.store import sql, tables
from headcount.upgrade.former import CATALOG_OF_FORMAT_2, former_rows

__all__ = ["AS_IT_WAS", "copy_catalog", "copy_journal", "copy_store"]

AS_IT_WAS = (
    "It is as it was. Restore the data folder from a backup, or repair it with the version of"
    " Headcount that made it."
)
"""What to do about a database that cannot be upgraded, since it is damaged."""

# The first format whose databases say which ones they are.
_WITH_PARTS = 2

# What stood in a closed month was all that was ever set aside.
_ASIDE = "SELECT id, 'sealed', workspace, period, NULL, messages, '', facts FROM aside"
_ENTRIES = """
SELECT id, format, appended_at_ms, facts_count, CAST(rejections AS BLOB), facts FROM entry
WHERE id > ?1 ORDER BY id
"""
_NEW_ENTRIES = """
SELECT id, format, appended_at_ms, facts_count, CAST(rejections AS BLOB), facts, total_facts,
    checksum
FROM entry ORDER BY id
"""
_ADD_ENTRY = """
INSERT INTO entry
    (id, format, appended_at_ms, facts_count, total_facts, rejections, checksum, facts)
VALUES (?1, ?2, ?3, ?4, ?5, CAST(?6 AS TEXT), ?7, ?8)
"""
_RAISE_SEQUENCE = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1"
_BEGIN_SEQUENCE = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)"
_CHECKPOINTS = "SELECT value FROM mark ORDER BY value"


def copy_store(former: apsw.Connection, place: Path, installation: str) -> None:
    """Copy a store.

    Raises:
        DamagedDataError: the copy is not what the former is.
    """
    connection = connect(
        place,
        schema=sql.SCHEMA,
        version=sql.VERSION,
        begin=lambda made: Ledger.begin(made, fresh_uuid(), installation),
    )
    with closing(connection):
        held = [table for table in tables.TABLES if table not in tables.ADDED_TABLES]
        _copy(former, connection, place, held, {tables.ASIDE.name: _ASIDE})


def copy_catalog(former: apsw.Connection, place: Path, installation: str) -> None:
    """Copy a catalog.

    The copy is the same part of its folder, and has seen the same changes: what is confirmed of
    the former, and what the store knows of it, holds for the copy.

    Raises:
        DamagedDataError: the former is damaged, is another one than belongs there or behind what
            was confirmed of it; or the copy is not what the former is.
    """
    part = Part(fresh_uuid(), installation, 1, {})
    if former.pragma("user_version") >= _WITH_PARTS:
        part = _checked_part(Path(former.filename), former)
    with closing(apsw.Connection(str(place))) as connection:
        with transaction(connection):
            # Copying is one change more.
            catalog.make_tables(connection, part.uuid, part.installation, part.generation - 1)
        queries = {table.name: former_rows(table) for table in catalog.TABLES}
        _copy(former, connection, place, catalog.TABLES, queries)


def _checked_part(path: Path, former: apsw.Connection) -> Part:
    """Which part a catalog is that says so, if it is the one that belongs there, whole."""
    try:
        ledger = Ledger(path, former, CATALOG_OF_FORMAT_2)
        ledger.check()
        admit_part(path, ledger.part.uuid, ledger.part.installation, register=False)
        refuse_if_behind(path, read_confirmed(path), ledger.part.uuid, ledger.part.generation)
    except DamagedDataError as error:
        # What is said there to do is said of today's format.
        raise DamagedDataError(f"{error.problem} So it is not upgraded.", AS_IT_WAS) from error
    return ledger.part


def _copy(
    former: apsw.Connection,
    connection: apsw.Connection,
    place: Path,
    checked: Iterable[Table],
    others: Mapping[str, str],
) -> None:
    checked = tuple(checked)
    ledger = Ledger(place, connection, checked)
    with closing(ledger), ledger.transaction():
        for table in checked:
            for row in former.execute(_query(table, others)):
                ledger.add(table, *row)
        _keep_sequences(former, connection)
    ledger.check()
    for table in checked:
        order = f"ORDER BY {', '.join(table.columns[: table.key_columns])}"
        columns = ", ".join(table.columns)
        _compare(
            former.execute(f"{_query(table, others)} {order}"),
            connection.execute(f"SELECT {columns} FROM {table.name} {order}"),  # noqa: S608
            place,
        )


def _query(table: Table, others: Mapping[str, str]) -> str:
    columns = ", ".join(table.columns)
    return others.get(table.name, f"SELECT {columns} FROM {table.name}")  # noqa: S608


def _keep_sequences(former: apsw.Connection, connection: apsw.Connection) -> None:
    """Give no number again that a row has had which is gone by now."""
    for name, last in rows(former, "SELECT name, seq FROM sqlite_sequence"):
        binding = (name, last)
        connection.execute(_RAISE_SEQUENCE, binding)
        if not connection.changes():
            connection.execute(_BEGIN_SEQUENCE, binding)


def copy_journal(
    former: apsw.Connection, place: Path, installation: str, position_of: Callable[[str], int]
) -> None:
    """Copy what a journal holds that is not counted yet, and its checkpoints of imports.

    Args:
        former: the journal.
        place: where to.
        installation: whose it is.
        position_of: the id up to which the store has counted a journal, by its UUID.

    Raises:
        DamagedDataError: the copy is not what the former is.
    """
    ((uuid,),) = rows(former, "SELECT uuid FROM journal")
    position = position_of(uuid)
    state = (1, uuid, installation, position, 0)

    def begin(made: apsw.Connection) -> None:
        made.execute(journal.JOURNAL.insert, (*state, journal.JOURNAL.checksum(state)))

    connection = connect(
        place,
        schema=journal.SCHEMA,
        version=journal.JOURNAL_VERSION,
        begin=begin,
        page_bytes=journal.PAGE_BYTES,
    )
    with closing(connection):
        with transaction(connection):
            total = 0
            for entry_id, form, at_ms, count, tallies, facts in former.execute(
                _ENTRIES, (position,)
            ):
                total += count
                checksum = journal.entry_checksum(
                    entry_id, form, at_ms, count, total, tallies, facts
                )
                connection.execute(
                    _ADD_ENTRY, (entry_id, form, at_ms, count, total, tallies, checksum, facts)
                )
            for (value,) in former.execute(_CHECKPOINTS):
                connection.execute(
                    journal.IMPORT_CHECKPOINT.insert,
                    (value, journal.IMPORT_CHECKPOINT.checksum((value,))),
                )
        _compare(
            former.execute(_ENTRIES, (position,)),
            (_checked_entry(row, place) for row in connection.execute(_NEW_ENTRIES)),
            place,
        )
        _compare(former.execute(_CHECKPOINTS), connection.execute(_CHECKPOINTS), place)


def _checked_entry(row: Row, place: Path) -> Row:
    entry_id, form, at_ms, count, tallies, facts, total, checksum = row
    if checksum != journal.entry_checksum(entry_id, form, at_ms, count, total, tallies, facts):
        raise _other(place)
    return row[:6]


def _compare(former: Iterable[Any], new: Iterable[Any], place: Path) -> None:
    missing = object()
    rest = iter(new)
    for row in former:
        if next(rest, missing) != row:
            raise _other(place)
    if next(rest, missing) is not missing:
        raise _other(place)


def _other(place: Path) -> DamagedDataError:
    return DamagedDataError(
        f"The upgrade of {place.name} gave something else than what it was made of.",
        "Nothing was changed. Check the disk and its memory, then try again.",
    )
