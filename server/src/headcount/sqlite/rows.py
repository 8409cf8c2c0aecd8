"""Rows that carry a checksum, and how many there are: for journals, store and catalog alike.

Takes rows, writes each with a checksum over all its columns; gives them back only if they are what
was written. One row of each database, its `part` row, says which database it is and tallies the
others, so that a row that is lost, or there twice, is seen as well. It counts the transactions
too: what the last acknowledged one was stands outside of the database (`headcount.confirmed`).

By row and not by page, because anybody may look at a database with SQLite's own tools, and their
checkpoints would write pages that have no checksum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import apsw
import msgspec
from isal.isal_zlib import crc32

from headcount.confirmed import Witness
from headcount.errors import DamagedDataError
from headcount.identity import fresh_uuid, installation_for
from headcount.sqlite.opening import REPAIR_OR_RESTORE, connect, damage_named, rows, transaction
from headcount.sqlite.parts import PartState, open_part
from headcount.sqlite.reading import connect_to_read

__all__ = [
    "PART",
    "PART_SCHEMA",
    "Ledger",
    "Part",
    "Row",
    "Table",
    "Tallies",
    "damaged_row",
    "open_checked",
    "read_checked",
    "tally",
]

Row = tuple[Any, ...]

_SUM_BELOW = 1 << 62
_pack = msgspec.msgpack.Encoder().encode

PART_SCHEMA = """
-- One row: which database this is, of which installation, how many transactions it has seen, and
-- for each table (or place in one) how many rows there are and the sum of their checksums.
CREATE TABLE part (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    uuid TEXT NOT NULL,
    installation TEXT NOT NULL,
    generation INTEGER NOT NULL,
    tallies TEXT NOT NULL,
    checksum INTEGER NOT NULL
);
"""


class Table:
    """A table whose rows carry checksums.

    Args:
        name: the table.
        key: columns of its primary key.
        rest: its other columns, without `checksum`.
        group: how many of its columns after the key name a place that is tallied by itself.
    """

    def __init__(self, name: str, key: str, rest: str = "", *, group: int = 0) -> None:
        self.name = name
        keys, others = key.split(), rest.split()
        self.columns = (*keys, *others)
        self.key_columns = len(keys)
        self._group = slice(len(keys), len(keys) + group)
        listed = ", ".join(self.columns)
        places = {column: f"?{at}" for at, column in enumerate((*self.columns, "checksum"), 1)}
        self.where_key = " AND ".join(f"{column} = {places[column]}" for column in keys)
        changes = ", ".join(f"{column} = {places[column]}" for column in (*others, "checksum"))
        self.select = f"SELECT {listed}, checksum FROM {name}"  # noqa: S608 — constants
        self.insert = (
            f"INSERT INTO {name} ({listed}, checksum) VALUES ({', '.join(places.values())})"  # noqa: S608
        )
        self.replace = self.insert.replace("INSERT", "INSERT OR REPLACE", 1)
        self.update = f"UPDATE {name} SET {changes} WHERE {self.where_key}"  # noqa: S608
        self.head = ", ".join((*keys, *others[:group], "checksum"))

    def checksum(self, values: Sequence[Any]) -> int:
        """The checksum of a row's values, in the order of `columns`."""
        return crc32(_pack((self.name, *values)))

    def is_intact(self, row: Row) -> bool:
        """Whether a row, as `select` gives it, is what was written."""
        try:
            return bool(row[-1] == self.checksum(row[:-1]))
        except (TypeError, ValueError, OverflowError):  # a type that no row has
            return False

    def place(self, row: Sequence[Any]) -> str:
        """Under which name a row is tallied."""
        return " ".join((self.name, *map(str, row[self._group])))

    def place_of(self, *group: int) -> str:
        """The name under which the rows of a place are tallied."""
        return " ".join((self.name, *map(str, group)))


PART = Table("part", "id", "uuid installation generation tallies")
"""The row in which a database says what `Part` holds."""

Tallies = dict[str, tuple[int, int]]
"""Place to the number of its rows and the sum of their checksums."""


def tally(tallies: Tallies, place: str, count: int, checksum: int) -> None:
    """Add rows to a place's tally; take them away where both numbers are negative."""
    held, total = tallies.get(place, (0, 0))
    tallies[place] = held + count, (total + checksum) % _SUM_BELOW


class Part(NamedTuple):
    """What a database says of itself.

    Attributes:
        uuid: by which it is known.
        installation: whose it is; empty where it was made outside of a data folder.
        generation: how many transactions it has seen.
        tallies: how many rows there are.
    """

    uuid: str
    installation: str
    generation: int
    tallies: Tallies


def damaged_row(path: Path, table: Table, row: Row) -> DamagedDataError:
    """What to say of a row that is not what was written."""
    return DamagedDataError(
        f"{path} is damaged: {_row_text(table, row)} is not what was written.", REPAIR_OR_RESTORE
    )


def _row_text(table: Table, row: Row) -> str:
    key = ", ".join(
        f"{column} {value!r}"[:80]
        for column, value in zip(table.columns, row[: table.key_columns], strict=False)
    )
    return f"a row of the table {table.name} ({key})"


def read_checked(
    path: Path, connection: apsw.Connection, table: Table, clause: str = "", bindings: Row = ()
) -> Iterator[Row]:
    """Rows of a table, without their checksums, each only if it is what was written.

    Args:
        path: the file, for errors.
        connection: the database.
        table: which.
        clause: what follows the table's name in the query.
        bindings: for the clause.

    Raises:
        DamagedDataError: a row is damaged, or the database is.
        apsw.Error: it could not be read for another reason.
    """
    with damage_named(path):
        for row in connection.execute(f"{table.select} {clause}", bindings):
            if not table.is_intact(row):
                raise damaged_row(path, table, row)
            yield row[:-1]


class Ledger:
    """The checked tables of one database, through which all their rows are read and written.

    Not safe for several threads at once.

    Args:
        path: the database file.
        connection: to it; its schema has `PART_SCHEMA`.
        tables: all tables of rows with checksums.

    Attributes:
        part: what the database said of itself at the last look.

    Raises:
        DamagedDataError: it does not say which database it is.
    """

    def __init__(self, path: Path, connection: apsw.Connection, tables: Sequence[Table]) -> None:
        self._path = path
        self._db = connection
        self._tables = tables
        self._tallies: Tallies = {}
        self._witness: Witness | None = None
        self.part = self.read_part()

    @staticmethod
    def begin(
        connection: apsw.Connection, uuid: str, installation: str, generation: int = 0
    ) -> None:
        """Write the `part` row of a new database; in a transaction."""
        values = (1, uuid, installation, generation, "{}")
        connection.execute(PART.insert, (*values, PART.checksum(values)))

    def read_part(self) -> Part:
        """What the database says of itself now.

        Raises:
            DamagedDataError: it cannot be read.
        """
        found = list(read_checked(self._path, self._db, PART))
        if len(found) != 1:
            raise DamagedDataError(
                f"{self._path} is damaged: it does not say which database it is.", REPAIR_OR_RESTORE
            )
        _, uuid, installation, generation, tallies = found[0]
        return Part(uuid, installation, generation, msgspec.json.decode(tallies, type=Tallies))

    def read(self, table: Table, clause: str = "", bindings: Row = ()) -> list[Row]:
        """Rows of a table, each as it was written.

        Raises:
            DamagedDataError: one is not.
        """
        return list(read_checked(self._path, self._db, table, clause, bindings))

    def get(self, table: Table, *key: Any) -> Row | None:
        """The row of a key; None where there is none."""
        found = self.read(table, f"WHERE {table.where_key}", key)
        return found[0] if found else None

    def holds(self, table: Table, clause: str, bindings: Row) -> bool:
        """Whether there are rows that a clause names, whatever is in them."""
        return bool(rows(self._db, f"SELECT 1 FROM {table.name} {clause} LIMIT 1", bindings))  # noqa: S608

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One write transaction, confirmed when it is durable."""
        with damage_named(self._path):
            with transaction(self._db):
                self.part = self.read_part()
                self._tallies = dict(self.part.tallies)
                yield
                part = self.part._replace(
                    generation=self.part.generation + 1,
                    tallies={place: tally for place, tally in self._tallies.items() if tally[0]},
                )
                tallies = msgspec.json.encode(part.tallies).decode()
                values = (1, part.uuid, part.installation, part.generation, tallies)
                self._db.execute(PART.update, (*values, PART.checksum(values)))
            self.part = part
        if self._witness is None:
            self._witness = Witness(self._path, part.uuid)
        self._witness.confirm(part.generation)

    def put(self, table: Table, *values: Any) -> None:
        """Write a row in place of the one of its key, if there is one; in a transaction.

        Raises:
            DamagedDataError: the one that is there is damaged.
        """
        key = values[: table.key_columns]
        former = self._db.execute(f"{table.select} WHERE {table.where_key}", key).fetchall()
        checksum = table.checksum(values)
        if former:
            if not table.is_intact(former[0]):
                raise damaged_row(self._path, table, former[0])
            self._db.execute(table.update, (*values, checksum))
            tally(self._tallies, table.place(former[0]), -1, -int(cast(int, former[0][-1])))
        else:
            self._db.execute(table.insert, (*values, checksum))
        tally(self._tallies, table.place(values), 1, checksum)

    def add(self, table: Table, *values: Any) -> None:
        """Write a row whose key is not there yet; in a transaction."""
        checksum = table.checksum(values)
        self._db.execute(table.insert, (*values, checksum))
        tally(self._tallies, table.place(values), 1, checksum)

    def drop(self, table: Table, clause: str, bindings: Row) -> int:
        """Delete rows, whatever is in them; in a transaction.

        Returns:
            How many.
        """
        gone = rows(self._db, f"SELECT {table.head} FROM {table.name} {clause}", bindings)  # noqa: S608
        self._db.execute(f"DELETE FROM {table.name} {clause}", bindings)  # noqa: S608
        for row in gone:
            tally(self._tallies, table.place(row), -1, -row[-1])
        return len(gone)

    def next_id(self, table: Table) -> int:
        """An id that no row of a table with AUTOINCREMENT has ever had; in a transaction."""
        found = rows(
            self._db,
            f"SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0),"  # noqa: S608
            f" coalesce((SELECT max({table.columns[0]}) FROM {table.name}), 0))",
            (table.name,),
        )
        return int(found[0][0]) + 1

    def check(self, *, heads_only: Sequence[Table] = ()) -> None:
        """Read every row of every table, and hold them against the tallies.

        Args:
            heads_only: tables of which the rows' contents are left for whoever reads them.

        Raises:
            DamagedDataError: a row is damaged, is missing, or stands there twice.
        """
        for fault in self.faults(heads_only=heads_only):
            raise DamagedDataError(f"{self._path} is damaged: {fault}.", REPAIR_OR_RESTORE)

    def faults(self, *, heads_only: Sequence[Table] = ()) -> Iterator[str]:
        """What is wrong with the rows, each as a clause; reads them all.

        Args:
            heads_only: as for `check`.

        Raises:
            DamagedDataError: the database cannot be read to its end.
        """
        self.part = self.read_part()
        found: Tallies = {}
        for table in self._tables:
            columns = table.head if table in heads_only else ", ".join(table.columns) + ", checksum"
            query = f"SELECT {columns} FROM {table.name} NOT INDEXED"  # noqa: S608
            with damage_named(self._path):
                for row in self._db.execute(query):
                    if table not in heads_only and not table.is_intact(row):
                        yield f"{_row_text(table, row)} is not what was written"
                    checksum = row[-1] if isinstance(row[-1], int) else 0
                    tally(found, table.place(row), 1, checksum)
        for place in sorted(found.keys() | self.part.tallies.keys()):
            held, told = found.get(place, (0, 0)), self.part.tallies.get(place, (0, 0))
            if held != told:
                rows_text = f"the table {place.partition(' ')[0]} holds {held[0]:,} rows where"
                other = ", or not the same ones" if held[0] == told[0] else ""
                yield f"{rows_text} {told[0]:,} were written{other}"

    def close(self) -> None:
        """Let go of the file that confirms; idempotent."""
        if self._witness is not None:
            self._witness.close()
            self._witness = None


def open_checked(
    path: Path,
    *,
    schema: str,
    version: int,
    tables: Sequence[Table],
    application: int | None = None,
    vfs: str | None = None,
    read_only: bool = False,
) -> tuple[apsw.Connection, Ledger]:
    """Open a database all of whose tables are checked, making it if it is new to its folder.

    Args:
        path: the file; its folder must exist.
        schema: statements that make the tables of a new file, with `PART_SCHEMA`.
        version: version of that schema.
        tables: all tables of rows with checksums.
        application: a number that marks files of this kind, so that one of another program is not
            taken for one.
        vfs: name of the APSW VFS to go through; the system's when None.
        read_only: for a disk that takes no writes; the file must be there.

    Raises:
        DataFolderError: it cannot be opened; DamagedDataError: it is missing though it is known to
            its folder, is damaged or another one, or is behind what was confirmed.
    """

    def connected() -> apsw.Connection:
        if read_only:
            return connect_to_read(path, version=version, application=application)
        installation = installation_for(path)
        return connect(
            path,
            schema=schema,
            version=version,
            begin=lambda made: Ledger.begin(made, fresh_uuid(), installation),
            application=application,
            vfs=vfs,
        )

    def state_of(connection: apsw.Connection) -> PartState:
        part = Ledger(path, connection, tables).part
        return PartState(part.uuid, part.installation, part.generation)

    connection = open_part(path, connected, state_of, register=not read_only)
    return connection, Ledger(path, connection, tables)
