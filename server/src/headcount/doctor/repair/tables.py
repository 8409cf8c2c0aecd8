"""Repairing the rows of one database with checked tables: the store's, or the catalog's.

Takes a connection to a damaged copy, gives the rows that were written, each proven by its checksum;
those that could not be repaired; and which places hold other rows than the database tallied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import apsw
import msgspec

from headcount.doctor.flips import unflipped
from headcount.doctor.repair.salvage import raw_rows, sequences
from headcount.sqlite.rows import PART, Part, Row, Table, Tallies, tally

__all__ = ["Found", "find_rows", "tallies_of"]


@dataclass
class Found:
    """What a damaged database holds.

    Attributes:
        part: what it says of itself; None where nothing proves it.
        rows: table to its rows as they were written, without checksums.
        repaired: table to the number of rows that had a flipped bit.
        damaged: table and raw row, with its checksum, of those that could not be repaired.
        taken_out: those of them that the new database does without.
        sequences: the highest number that each table has given.
    """

    part: Part | None = None
    rows: dict[str, list[Row]] = field(default_factory=dict)
    repaired: Counter[str] = field(default_factory=Counter)
    damaged: list[tuple[Table, Row]] = field(default_factory=list)
    taken_out: list[tuple[Table, Row]] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)

    def of(self, table: Table) -> list[Row]:
        """The rows of a table."""
        return self.rows.setdefault(table.name, [])

    def wrong_places(self, tables: Sequence[Table]) -> list[str]:
        """Places of which rows are missing, or there are too many, by the tallies."""
        if self.part is None:
            return []
        now = tallies_of(tables, self)
        told = self.part.tallies
        return sorted(
            place for place in now.keys() | told.keys()
            if now.get(place, (0, 0)) != tuple(told.get(place, (0, 0)))
        )  # fmt: skip


def find_rows(connection: apsw.Connection, tables: Sequence[Table]) -> Found:
    """Read all tables of a damaged database, and repair what their checksums prove.

    Args:
        connection: to a copy.
        tables: all tables of rows with checksums, without `part`.
    """
    found = Found(sequences=sequences(connection))
    for table in (PART, *tables):
        has_rowid = not _is_without_rowid(connection, table)
        columns = (*table.columns, "checksum")
        seen: set[Row] = set()
        for raw in raw_rows(connection, table.name, columns, with_rowid=has_rowid):
            row = _repaired(table, raw, found)
            if row is None:
                found.damaged.append((table, raw))
            elif row not in seen:
                seen.add(row)
                found.of(table).append(row)
    parts = found.rows.pop(PART.name, [])
    if len(parts) == 1:
        _, uuid, installation, generation, tallies = parts[0]
        decoded = msgspec.json.decode(tallies, type=Tallies)
        found.part = Part(uuid, installation, generation, decoded)
    found.damaged = [each for each in found.damaged if each[0] is not PART]
    return found


def _repaired(table: Table, raw: Row, found: Found) -> Row | None:
    if table.is_intact(raw):
        return raw[:-1]
    if not isinstance(raw[-1], int):
        return None
    row = unflipped(raw[:-1], raw[-1], table.checksum)
    if row is not None:
        found.repaired[table.name] += 1
    return row


def _is_without_rowid(connection: apsw.Connection, table: Table) -> bool:
    try:
        connection.execute(f"SELECT rowid FROM {table.name} LIMIT 1").fetchall()  # noqa: S608
    except apsw.SQLError:
        return True
    except apsw.Error:
        return False
    return False


def tallies_of(tables: Sequence[Table], found: Found) -> Tallies:
    """What the rows tally to, as the `part` row has it."""
    tallies: Tallies = {}
    for table in tables:
        for row in found.of(table):
            tally(tallies, table.place(row), 1, table.checksum(row))
    return tallies
