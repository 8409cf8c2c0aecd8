"""SQLite files that are looked at, or copied, and not changed: for doctor and backup.

Takes the path of a file that others may be writing, gives a connection that stands at one moment;
copies a database as it was then, and says what SQLite finds damaged. Never makes a file that is
missing, and leaves behind what an unclean end has left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from headcount.durable import write_new
from headcount.errors import DamagedDataError, DataFolderError
from headcount.sqlite.opening import (
    REPAIR_OR_RESTORE,
    damage_named,
    refuse_version,
    require_application,
    rows,
)
from headcount.sqlite.unwritable import (
    identity_of,
    is_refusal,
    log_bytes,
    open_for_reading,
    open_unshared,
    require_files,
)

__all__ = ["connect_to_read", "copy_database", "damage", "open_at_one_moment", "refuse_damage"]

_BUSY_TIMEOUT_MS = 10_000
_DAMAGE_LINES_MAX = 3
_PAGES_A_STEP = 4_096


@contextmanager
def open_at_one_moment(
    path: Path, *, version: int, vfs: str | None = None
) -> Iterator[apsw.Connection]:
    """A connection that reads a database as it is when this is entered, whatever others write.

    Args:
        path: the file.
        version: the version that its schema must have.
        vfs: name of the APSW VFS to go through; the system's when None.

    Raises:
        DataFolderError: there is no such file, it cannot be read, or it has another version.
    """
    connection, unshared = None, False
    require_files(path)
    before = identity_of(path)
    try:
        try:
            connection = _begun(path, vfs)
        except apsw.Error as error:
            if not is_refusal(error):
                raise
            connection, unshared = open_unshared(path), True
            connection.execute("BEGIN")
        found = connection.pragma("user_version")
    except apsw.Error as error:
        if connection is not None:
            connection.close()
        raise _unreadable(path, error) from error
    try:
        _check_version(path, found, version)
        yield connection
        if unshared and identity_of(path) != before:
            raise DataFolderError(f"{path} was written to while it was read.", "Try again.")
    finally:
        connection.close()


def connect_to_read(path: Path, *, version: int, application: int | None = None) -> apsw.Connection:
    """A connection that reads a database for long, on a disk that may take no writes.

    Args:
        path: the file.
        version: the version that its schema must have.
        application: the number that marks files of this kind; None where none does.

    Raises:
        DataFolderError: there is no such file, it cannot be read, or it is of another kind or
            version.
    """
    try:
        connection = open_for_reading(path)
    except apsw.Error as error:
        raise _unreadable(path, error) from error
    try:
        if application is not None:
            require_application(path, connection, application)
        _check_version(path, connection.pragma("user_version"), version)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(path: Path, found: int, version: int) -> None:
    if found != version:
        refuse_version(path, found, version)


def _begun(path: Path, vfs: str | None) -> apsw.Connection:
    """A connection in a read transaction, opened as everybody does."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    try:
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.pragma("query_only", True)
        if log_bytes(path):
            # The last to close would move what a killed process left in the log.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.execute("BEGIN")
        connection.pragma("user_version")  # makes the moment
    except BaseException:
        connection.close()
        raise
    return connection


def _unreadable(path: Path, error: apsw.Error) -> DataFolderError:
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return DamagedDataError(
            f"{path} cannot be read: {error}.",
            "Stop the server, then: headcount doctor --repair. What that cannot repair can only be"
            " restored from a backup.",
        )
    return DataFolderError(
        f"{path} cannot be read: {error}.",
        "Check that it is there and that this user may read it; if it is damaged, restore the data"
        " folder from a backup.",
    )


def damage(connection: apsw.Connection) -> str | None:
    """What SQLite finds wrong when it reads the whole database; None when all is well."""
    try:
        found = [
            line for (line,) in rows(connection, f"PRAGMA integrity_check({_DAMAGE_LINES_MAX})")
        ]
    except apsw.Error as error:
        return str(error)
    return None if found == ["ok"] else "; ".join("; ".join(found).splitlines())


def refuse_damage(path: Path, connection: apsw.Connection, table: str) -> None:
    """Hold a table against its structure and its indexes, as SQLite sees them.

    Raises:
        DamagedDataError: they do not agree: a row that its index has lost would be written anew.
    """
    with damage_named(path):
        found = rows(connection, f"PRAGMA integrity_check('{table}')")
    if found != [("ok",)]:
        raise DamagedDataError(
            f"{path} is damaged: {found[0][0]} (table {table}).", REPAIR_OR_RESTORE
        )


def copy_database(source: apsw.Connection, target: Path, copied: Callable[[int], None]) -> None:
    """Copy a database as the source connection sees it; whole and durable when this returns.

    Args:
        source: from `open_at_one_moment`; its moment is what makes the copy one of one moment.
        target: where; must not exist.
        copied: called with the number of bytes that were copied since the call before.

    Raises:
        OSError, apsw.Error: the disk refused, and what was written is of no use.
    """
    # SQLite would make it readable for others, as far as the umask lets it.
    write_new(target, b"")
    page_bytes = source.pragma("page_size")
    written = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        with written.backup("main", source, "main") as backup:
            remaining = None
            while not backup.done:
                backup.step(_PAGES_A_STEP)
                before = backup.page_count if remaining is None else remaining
                remaining = backup.remaining
                copied((before - remaining) * page_bytes)
    finally:
        written.close()
