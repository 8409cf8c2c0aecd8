"""The catalog's file as its rooms share it: takes a path, gives checked rows and transactions.

Any number of processes may use one file at once; a change is durable and visible to all of them
when its method returns. Refuses files that are not a catalog and files that a newer version wrote.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headcount.catalog.schema import TABLES, errors_named, open_catalog_file
from headcount.sqlite.reading import refuse_damage
from headcount.sqlite.rows import Table

__all__ = ["CatalogFile"]


class CatalogFile:
    """An open catalog, without its entities.

    Safe to share between threads; every process opens its own.

    Args:
        path: the file; made when missing, unless read_only.
        read_only: never write, not even to make the file.

    Raises:
        DataFolderError: the file is missing (read_only), unreadable, not a catalog, or newer than
            this version of Headcount.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._own_commits = 0
        self._connection, self._ledger = open_catalog_file(path, read_only=read_only)

    def check(self) -> None:
        """Read everything, and see that no row is lost, there twice, or other than it was written.

        Raises:
            DamagedDataError: one is.
        """
        with self._lock, errors_named(self._path, "read"):
            self._ledger.check()
            for table in TABLES:
                refuse_damage(self._path, self._connection, table.name)

    def version(self) -> int:
        """A number that differs from an earlier one of this object when anything changed between.

        Cheap enough to ask several times a second: no page of the file is read.
        """
        with self._lock, errors_named(self._path, "read"):
            # SQLite's own counter leaves out this connection's commits.
            return int(self._connection.pragma("data_version")) + self._own_commits

    def generation(self) -> int:
        """How many changes it has seen; the next one makes it one more.

        Raises:
            DamagedDataError: it does not say.
        """
        with self._lock, errors_named(self._path, "read"):
            return self._ledger.read_part().generation

    def close(self) -> None:
        """Release the file; idempotent."""
        self._ledger.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # SQL

    def _read(self, table: Table, clause: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, errors_named(self._path, "read"):
            return self._ledger.read(table, clause, values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, errors_named(self._path, "written"):
            with self._ledger.transaction():
                yield
            self._own_commits += 1
