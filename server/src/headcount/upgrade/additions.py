"""Adding tables to a database of the format just before today's, in place.

Takes a database whose tables are today's but for some that are missing; gives it these, empty, and
today's number, in one transaction. No row is touched, so nothing has to be copied or compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import apsw

from headcount.catalog import schema as catalog
from headcount.confirmed import read_confirmed, refuse_if_behind
from headcount.errors import DamagedDataError
from headcount.identity import admit_part
from headcount.sqlite.opening import transaction
from headcount.sqlite.rows import Ledger, Table
from headcount.store import sql, tables
from headcount.upgrade.databases import AS_IT_WAS

__all__ = ["CATALOG_ADDITION", "STORE_ADDITION", "Addition", "add_tables"]


class Addition(NamedTuple):
    """What one kind of database lacks of today's format.

    Attributes:
        schema: statements that make the tables that are missing, and harm none that is there.
        version: of today's schema.
        former: the version that lacks only these.
        held: the checked tables that are there already.
        checked_whole: whether every row is read first: where there are few.
    """

    schema: str
    version: int
    former: int
    held: Sequence[Table]
    checked_whole: bool


CATALOG_ADDITION = Addition(
    catalog.ADDED,
    catalog.SCHEMA_VERSION,
    3,
    [table for table in catalog.TABLES if table not in catalog.ADDED_TABLES],
    checked_whole=True,
)
STORE_ADDITION = Addition(
    sql.ADDED,
    sql.VERSION,
    # The store was the same in formats 2 and 3.
    2,
    [table for table in tables.TABLES if table not in tables.ADDED_TABLES],
    checked_whole=False,
)


def add_tables(path: Path, connection: apsw.Connection, addition: Addition) -> None:
    """Add what a database lacks.

    Raises:
        DamagedDataError: it is damaged, another one than belongs there, or behind what was
            confirmed of it; nothing is changed.
    """
    try:
        ledger = Ledger(path, connection, addition.held)
        if addition.checked_whole:
            ledger.check()
        admit_part(path, ledger.part.uuid, ledger.part.installation, register=False)
        refuse_if_behind(path, read_confirmed(path), ledger.part.uuid, ledger.part.generation)
    except DamagedDataError as error:
        raise DamagedDataError(f"{error.problem} So it is not upgraded.", AS_IT_WAS) from error
    with transaction(connection):
        connection.execute(addition.schema)
        connection.pragma("user_version", addition.version)
