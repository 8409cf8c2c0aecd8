"""The catalog as it is at one moment, for whoever checks or copies it.

Takes the catalog's file, gives the numbers that facts and counts refer to. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from headcount.catalog.schema import SCHEMA_VERSION
from headcount.sqlite import rows
from headcount.sqlite_reading import open_at_one_moment

__all__ = ["CatalogMoment", "catalog_moment"]

_WORKSPACES = "SELECT number, name FROM workspace"
_SOURCES = "SELECT number, workspace FROM source"
_FINGERPRINT = "SELECT value FROM mark WHERE name = 'hash_key_fingerprint'"


class CatalogMoment:
    """What the tables held at the moment.

    Args:
        connection: in a read transaction, which makes the moment.

    Attributes:
        connection: for copying the database as it was then.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection

    def workspaces(self) -> dict[int, str]:
        """Workspace number to its name."""
        return dict(rows(self.connection, _WORKSPACES))

    def sources(self) -> dict[int, int]:
        """Source number to the number of its workspace."""
        return dict(rows(self.connection, _SOURCES))

    def hash_key_fingerprint(self) -> str | None:
        """The fingerprint of the key under which ids are hashed; None before the first start."""
        found = rows(self.connection, _FINGERPRINT)
        return found[0][0] if found else None


@contextmanager
def catalog_moment(path: Path) -> Iterator[CatalogMoment]:
    """The catalog as it is when this is entered.

    Raises:
        DataFolderError: it cannot be read, or has another version.
    """
    with open_at_one_moment(path, version=SCHEMA_VERSION) as connection:
        yield CatalogMoment(connection)
