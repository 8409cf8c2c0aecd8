"""The catalog as it is at one moment, for whoever checks or copies it.

Takes the catalog's file, gives the numbers that facts and counts refer to. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from headcount.catalog.schema import MARK, SCHEMA_VERSION, TABLES
from headcount.confirmed import Confirmed, read_confirmed
from headcount.sqlite.connection import rows
from headcount.sqlite.reading import open_at_one_moment
from headcount.sqlite.rows import Ledger

__all__ = ["CatalogMoment", "catalog_moment"]


class CatalogMoment:
    """What the tables held at the moment.

    Args:
        path: the database file.
        connection: in a read transaction, which makes the moment.
        confirmed: what was acknowledged before this moment; None where nobody can say.

    Attributes:
        connection: for copying the database as it was then.
        confirmed: as given.
        part: which catalog it is, of which installation, and how many changes it has seen.

    Raises:
        DamagedDataError: it does not say which catalog it is.
    """

    def __init__(
        self, path: Path, connection: apsw.Connection, confirmed: Confirmed | None
    ) -> None:
        self._path = path
        self.connection = connection
        self.confirmed = confirmed
        self._ledger = Ledger(path, connection, TABLES)
        self.part = self._ledger.part

    def faults(self) -> Iterator[str]:
        """What is wrong with the rows, each as a clause; reads them all."""
        yield from self._ledger.faults()

    def workspaces(self) -> dict[int, str]:
        """Workspace number to its name."""
        return dict(rows(self.connection, "SELECT number, name FROM workspace"))

    def sources(self) -> dict[int, int]:
        """Source number to the number of its workspace."""
        return dict(rows(self.connection, "SELECT number, workspace FROM source"))

    def hash_key_fingerprint(self) -> str | None:
        """The fingerprint of the key under which ids are hashed; None before the first start."""
        found = self._ledger.get(MARK, "hash_key_fingerprint")
        return None if found is None else found[1]


@contextmanager
def catalog_moment(path: Path) -> Iterator[CatalogMoment]:
    """The catalog as it is when this is entered.

    Raises:
        DataFolderError: it cannot be read, or has another version.
    """
    confirmed = read_confirmed(path)
    with open_at_one_moment(path, version=SCHEMA_VERSION) as connection:
        yield CatalogMoment(path, connection, confirmed)
