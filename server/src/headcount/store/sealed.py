"""Which months of a workspace are closed, out of the embedded store's file: takes the file, gives
periods, for a process that imports and does not meter. Loads no NumPy and writes nothing.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from headcount.counting.calendar import Period
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.sqlite.rows import Ledger, open_checked
from headcount.sqlite.unwritable import is_refusal
from headcount.store import sql
from headcount.store.tables import MONTH, TABLES

__all__ = ["SealedMonths"]


class SealedMonths:
    """The closed months of every workspace, each time as they then are.

    Args:
        path: the store's database file; as long as there is none, no month is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: tuple[apsw.Connection, Ledger] | None = None

    def of(self, workspace: int) -> frozenset[Period]:
        """The closed months of a workspace, by its number.

        Raises:
            DataFolderError: the store cannot be used as it is.
            StorageUnavailableError: it could not be read.
        """
        if self._opened is None:
            if not self._path.exists():
                return frozenset()
            try:
                self._opened = open_checked(
                    self._path, schema=sql.SCHEMA, version=sql.VERSION, tables=TABLES
                )
            except DataFolderError as error:
                if is_refusal(error.__cause__):
                    raise StorageUnavailableError(error.problem) from error
                raise
        try:
            found = self._opened[1].read(MONTH, "WHERE workspace = ?1 AND sealed", (workspace,))
        except apsw.Error as error:
            raise StorageUnavailableError(f"the store could not be read: {error}") from error
        return frozenset(Period(row[1]) for row in found)

    def close(self) -> None:
        """Release the file; idempotent."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None
