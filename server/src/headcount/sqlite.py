"""How Headcount opens SQLite: one way, for journals, stores and catalogs alike.

Takes a path and a schema, gives an APSW connection in WAL mode whose schema is the one this
version knows. Turns the errors of a broken or foreign file into `DataFolderError`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from headcount.errors import DataFolderError

__all__ = ["connect", "rows", "settle", "transaction"]

_BUSY_TIMEOUT_MS = 10_000
_BUSY_RETRY_S = 0.01
_CHECKPOINT_PAUSE_S = 0.01
_PAGE_BYTES = 4096
# How long a log may grow before a commit moves its pages into the database.
_LOG_BYTES = 4096 * 1000


def connect(
    path: Path,
    *,
    schema: str,
    version: int,
    page_bytes: int = _PAGE_BYTES,
    vfs: str | None = None,
) -> apsw.Connection:
    """Open a database, making its schema if it is new.

    Args:
        path: the file; its folder must exist.
        schema: statements that make the tables of a new file.
        version: version of that schema, kept in the file.
        page_bytes: size of the pages of a new file, a power of two.
        vfs: name of the APSW VFS to go through; the system's when None.

    Raises:
        DataFolderError: the file is newer than this version, damaged, read-only or no database.
    """
    try:
        connection = apsw.Connection(str(path), vfs=vfs)
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        # Only a new file takes these two. What is deleted can then be given back to the disk.
        connection.pragma("page_size", page_bytes)
        connection.pragma("auto_vacuum", "incremental")
        _use_log(connection)
        connection.wal_autocheckpoint(_LOG_BYTES // connection.pragma("page_size"))
        # FULL for every connection of a file: had one of them left a commit unsynced, a sync that
        # fails could lose its part of the log for good, and with it all that was synced after.
        connection.pragma("synchronous", "FULL")
        found = connection.pragma("user_version")
        if found == 0:
            with transaction(connection):
                # Two processes may open a new file at once: the second finds the work done.
                if connection.pragma("user_version") == 0:
                    connection.execute(schema)
                    connection.pragma("user_version", version)
            found = version
    except apsw.Error as error:
        raise DataFolderError(
            f"{path} cannot be opened: {error}.",
            "Check that the file is intact, that its folder is writable and that the disk is"
            " not full.",
        ) from error
    if found != version:
        connection.close()
        raise DataFolderError(
            f"{path} has format {found}, and this version of Headcount knows format {version}.",
            "Run the version of Headcount that wrote it, or a newer one.",
        )
    return connection


def _use_log(connection: apsw.Connection) -> None:
    """Switch to WAL mode, which two processes may do to a new file at once.

    The switch does not wait for the other's lock as everything else does, so it is tried again.
    """
    give_up_at_s = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > give_up_at_s:
                raise
            time.sleep(_BUSY_RETRY_S)
        else:
            return


def settle(connection: apsw.Connection) -> None:
    """Make durable what can be read.

    A process that is killed between writing a commit and syncing it leaves one that the next
    process finds in the log and believes. Whoever is about to act on it elsewhere (count it, or
    delete what it covers) calls this first, lest a power cut takes it back.

    Raises:
        DataFolderError: the disk failed.
    """
    try:
        _checkpoint(connection)
    except apsw.FullError:
        # The log was synced before the database had to grow, so everything is durable there.
        pass
    except apsw.Error as error:
        raise DataFolderError(
            f"{connection.filename} cannot be synced: {error}.", "Check the disk."
        ) from error


def _checkpoint(connection: apsw.Connection) -> None:
    gives_up_at_s = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.wal_checkpoint()
            return
        except apsw.BusyError:
            # Another process is at it; SQLite does not wait for that by itself.
            if time.monotonic() > gives_up_at_s:
                raise
            time.sleep(_CHECKPOINT_PAUSE_S)


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """One write transaction: committed when the block ends well, rolled back when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk or an I/O error may have rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def rows(
    connection: apsw.Connection, statement: str, bindings: apsw.Bindings | None = None
) -> list[tuple[Any, ...]]:
    """All rows of a query; their types are what the schema says."""
    return connection.execute(statement, bindings).fetchall()
