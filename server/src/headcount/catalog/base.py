"""The catalog's file as its rooms share it: takes a path, gives checked rows and transactions.

Any number of processes may use one file at once; a change is durable and visible to all of them
when its method returns. Refuses files that are not a catalog and files that a newer version wrote.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw

from headcount.catalog.schema import TABLES, errors_named, open_catalog_file
from headcount.catalog.shared_contents import (
    NO_VERSION,
    Contents,
    SharedContents,
    Version,
    apply_contents,
    contents_of,
    digest_of,
    keep_version,
    kept_before,
    kept_version,
)
from headcount.sqlite.reading import refuse_damage
from headcount.sqlite.rows import Table

__all__ = ["CatalogFile"]


class CatalogFile:
    """An open catalog, without its entities.

    Safe to share between threads; every process opens its own.

    Args:
        path: the file; made when missing, unless read_only.
        read_only: never write, not even to make the file.
        shared: where the cluster has its catalog, of which this file is a copy; then a change is
            made there as well, or not at all.

    Raises:
        DataFolderError: the file is missing (read_only), unreadable, not a catalog, or newer than
            this version of Headcount.
    """

    def __init__(
        self, path: Path, *, read_only: bool = False, shared: SharedContents | None = None
    ) -> None:
        self._path = path
        self._shared = shared
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

    def _empty_log(self) -> None:
        """Let go of what the write-ahead log still holds of rows that were written over."""
        with self._lock, suppress(apsw.Error):  # somebody who reads on; another time then
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _read(self, table: Table, clause: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, errors_named(self._path, "read"):
            return self._ledger.read(table, clause, values)

    @contextmanager
    def _transaction(self, *, own: bool = False) -> Iterator[None]:
        """One change, made in the cluster's catalog before it is durable here.

        Args:
            own: it is of no matter to other nodes, and made here alone.
        """
        shared = None if own else self._shared
        with self._lock, errors_named(self._path, "written"):
            if shared is not None:
                self._catch_up(shared)
            with self._ledger.transaction():
                former = b"" if shared is None else contents_of(self._ledger)
                yield
                if shared is not None:
                    after = contents_of(self._ledger)
                    if after != former:
                        held = kept_version(self._ledger)
                        version = shared.publish(held, after)
                        before = [*kept_before(self._ledger), held.digest]
                        keep_version(self._ledger, version, before)
            self._own_commits += 1

    def catch_up(self) -> bool:
        """Become a copy of the cluster's catalog as it is now.

        Returns:
            Whether it was not.

        Raises:
            DataFolderError: the cluster's catalog cannot be asked for, or the file not be written.
        """
        assert self._shared is not None, "this is no cluster's catalog"
        with self._lock, errors_named(self._path, "written"):
            return self._catch_up(self._shared)

    def _catch_up(self, shared: SharedContents) -> bool:
        contents = shared.newer(kept_version(self._ledger))
        if contents is None:
            return False
        # Rows come in the order of their tables, those that they refer to maybe later.
        self._connection.pragma("foreign_keys", False)
        try:
            with self._ledger.transaction():
                apply_contents(self._ledger, contents)
        finally:
            self._connection.pragma("foreign_keys", True)
        self._own_commits += 1
        return True

    def begin_sharing(self, *, anew: bool = False) -> Contents:
        """Make what this file holds the first version of a cluster's catalog, if it is of none.

        Args:
            anew: also where it is of one, which no cluster has yet.
        """
        with self._transaction(own=True):
            if anew or kept_version(self._ledger) == NO_VERSION:
                data = contents_of(self._ledger)
                keep_version(self._ledger, Version(1, digest_of(data)), [])
        return self.shared_contents()

    def shared_version(self) -> Version:
        """Of which version of the cluster's catalog this file is a copy."""
        with self._lock, errors_named(self._path, "read"):
            return kept_version(self._ledger)

    def shared_contents(self) -> Contents:
        """What this file holds, and of which version of the cluster's catalog it is a copy."""
        with self._lock, errors_named(self._path, "read"):
            version, before = kept_version(self._ledger), kept_before(self._ledger)
            return Contents(version, contents_of(self._ledger), before)
