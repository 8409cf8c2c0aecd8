"""The catalog as it is at one moment: takes its file, gives the numbers that facts and counts
refer to.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import apsw

from headcount.catalog.entities import DatedLimit, HashKeys
from headcount.catalog.hash_keys import hash_keys_of
from headcount.catalog.schema import META, PLAN_LIMIT, SCHEMA_VERSION, TABLES
from headcount.confirmed import Confirmed
from headcount.sqlite.opening import rows
from headcount.sqlite.rows import read_checked
from headcount.sqlite.view import LedgerView, viewed

__all__ = ["CatalogView", "catalog_view"]


class CatalogView(LedgerView):
    """What the catalog held at the moment.

    Raises:
        DamagedDataError: it does not say which catalog it is.
    """

    TABLES = TABLES

    def __init__(
        self, path: Path, connection: apsw.Connection, confirmed: Confirmed | None
    ) -> None:
        super().__init__(path, connection, confirmed)
        _ = self.part  # of one that does not say that, nothing is to be shown

    def workspaces(self) -> dict[int, str]:
        """Workspace number to its name."""
        return dict(rows(self.connection, "SELECT number, name FROM workspace"))

    def sources(self) -> dict[int, int]:
        """Source number to the number of its workspace."""
        return dict(rows(self.connection, "SELECT number, workspace FROM source"))

    def source_names(self) -> dict[int, str]:
        """Source number to its name."""
        return dict(rows(self.connection, "SELECT number, name FROM source"))

    def dated_limits(self) -> dict[int, list[DatedLimit]]:
        """Workspace number to the limits of its plan, for those that have any."""
        found: dict[int, list[DatedLimit]] = {}
        for workspace, *limit in read_checked(self.path, self.connection, PLAN_LIMIT):
            found.setdefault(workspace, []).append(DatedLimit(*limit))
        return found

    def hash_key_fingerprint(self) -> str | None:
        """The fingerprint of the key under which ids are hashed; None before the first start."""
        return self.hash_keys().fingerprint

    def hash_keys(self) -> HashKeys:
        """The keys under which ids are hashed."""
        return hash_keys_of(dict(read_checked(self.path, self.connection, META)))


def catalog_view(path: Path) -> AbstractContextManager[CatalogView]:
    """The catalog as it is when this is entered.

    Raises:
        DataFolderError: it cannot be read, or has another version.
    """
    return viewed(path, SCHEMA_VERSION, CatalogView)
