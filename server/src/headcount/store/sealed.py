"""Which months of a workspace are closed, out of the embedded store's file: takes the file, gives
periods, for a process that imports and does not meter. Loads no NumPy and writes nothing.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.metering.calendar import Period
from headcount.sqlite import connect, rows
from headcount.sqlite_unwritable import is_refusal
from headcount.store import sql

__all__ = ["SealedMonths"]


class SealedMonths:
    """The closed months of every workspace, each time as they then are.

    Args:
        path: the store's database file; as long as there is none, no month is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: apsw.Connection | None = None

    def of(self, workspace: int) -> frozenset[Period]:
        """The closed months of a workspace, by its number.

        Raises:
            DataFolderError: the store cannot be used as it is.
            StorageUnavailableError: it could not be read.
        """
        if self._db is None:
            if not self._path.exists():
                return frozenset()
            try:
                self._db = connect(self._path, schema=sql.SCHEMA, version=sql.VERSION)
            except DataFolderError as error:
                if is_refusal(error.__cause__):
                    raise StorageUnavailableError(error.problem) from error
                raise
        try:
            found = rows(self._db, sql.SEALED_OF_WORKSPACE, (workspace,))
        except apsw.Error as error:
            raise StorageUnavailableError(f"the store could not be read: {error}") from error
        return frozenset(Period(number) for (number,) in found)

    def close(self) -> None:
        """Release the file; idempotent."""
        if self._db is not None:
            self._db.close()
            self._db = None
