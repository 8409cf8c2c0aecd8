"""The file behind the catalog: its tables, how it is opened, and what to say when it fails.

Takes a path, gives a connection that is ready to use; refuses files that are not a catalog and
files that a newer version wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from headcount.errors import DataFolderError
from headcount.sqlite import transaction
from headcount.sqlite_unwritable import open_for_reading

__all__ = ["SCHEMA_VERSION", "errors_named", "open_catalog_file"]

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x48434354  # "HCCT", so that another program's file is not taken for ours
_BUSY_TIMEOUT_MS = 10_000

# AUTOINCREMENT, because a number that stood in facts must never name something else later.
_SCHEMA = """
CREATE TABLE workspace (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL,
    mtu_limit INTEGER,
    api_calls_limit INTEGER
) STRICT;
CREATE TABLE source (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    workspace INTEGER NOT NULL REFERENCES workspace (number),
    write_key TEXT NOT NULL UNIQUE,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at_ms INTEGER NOT NULL,
    UNIQUE (workspace, name)
) STRICT;
CREATE TABLE token (
    id TEXT PRIMARY KEY,
    workspace INTEGER NOT NULL REFERENCES workspace (number),
    scope TEXT NOT NULL CHECK (scope IN ('read', 'admin')),
    secret_hash BLOB NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER
) STRICT;
CREATE INDEX token_workspace ON token (workspace);
CREATE TABLE mark (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
"""


def open_catalog_file(path: Path, *, read_only: bool) -> apsw.Connection:
    """A connection to the catalog's file, whose tables are there.

    Args:
        path: the file; made when missing, unless read_only.
        read_only: never write, not even to make the file.

    Raises:
        DataFolderError: it is not a catalog, or newer than this version of Headcount.
        apsw.Error: SQLite could not open it.
    """
    if read_only:
        connection = open_for_reading(path)
    else:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        connection = apsw.Connection(str(path), flags=flags)
    try:
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.pragma("foreign_keys", True)
        if not read_only:
            _prepare_to_write(connection)
        _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def errors_named(path: Path, what: str) -> Iterator[None]:
    """Turn SQLite's errors into ones that a person can act on.

    Args:
        path: the catalog's file.
        what: what was tried, as a participle: `"opened"`, `"read"` or `"written"`.

    Raises:
        DataFolderError: in place of any `apsw.Error`.
    """
    try:
        yield
    except apsw.Error as error:
        raise DataFolderError(
            f"The catalog {path} could not be {what}: {error}.", _remedy(error)
        ) from error


def _prepare_to_write(connection: apsw.Connection) -> None:
    # The tables come first: in a foreign file, nothing may change, not even its journal mode.
    with transaction(connection):
        if connection.pragma("schema_version") == 0:
            connection.execute(_SCHEMA)
            connection.pragma("application_id", _APPLICATION_ID)
            connection.pragma("user_version", SCHEMA_VERSION)
    # An acknowledged command must survive a power cut, so every commit is synced.
    connection.pragma("synchronous", "FULL")
    if connection.pragma("application_id") == _APPLICATION_ID:
        connection.pragma("journal_mode", "wal")


def _check_version(connection: apsw.Connection, path: Path) -> None:
    if connection.pragma("application_id") != _APPLICATION_ID:
        raise DataFolderError(
            f"{path} is not a catalog of Headcount.",
            "Point --data at a folder that Headcount made, or at a new one.",
        )
    version = connection.pragma("user_version")
    if version > SCHEMA_VERSION:
        raise DataFolderError(
            f"{path} was written by a newer version of Headcount (catalog format {version}; this "
            f"version knows {SCHEMA_VERSION}).",
            "Install that version or a later one.",
        )


def _remedy(error: apsw.Error) -> str:
    match error:
        case apsw.FullError():
            return "Free some disk space and try again; nothing was changed."
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError():
            return "Check that the data folder exists and that this user may read and write it."
        case apsw.NotADBError() | apsw.CorruptError():
            return "Point --data at a folder that Headcount made, or restore it from a backup."
        case apsw.BusyError():
            return "Another process holds it for long; try again in a moment."
        case _:
            return "Check that the disk is not full and that the data folder is writable."
