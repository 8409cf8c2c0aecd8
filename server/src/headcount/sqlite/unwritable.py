"""SQLite files on a disk that takes no writes: full, or mounted for reading only.

Takes a path, gives a connection that reads everything that was committed. A database with a log
wants a file of shared memory beside it, even for reading, and cannot be opened where that cannot be
made; here it is read without one. That is right only while nobody writes: whoever writes has such a
file open, and then the usual way of opening works, so this is tried last.
"""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import quote

import apsw

from headcount.errors import DamagedDataError

__all__ = [
    "Identity",
    "identity_of",
    "is_refusal",
    "log_bytes",
    "open_for_reading",
    "open_unshared",
    "require_files",
]

_BUSY_TIMEOUT_MS = 10_000
_READ_ONE_PAGE = "SELECT count(*) FROM sqlite_schema"
_REFUSALS = (
    OSError,
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.BusyError,
)

Identity = tuple[tuple[int, int, int] | None, ...]
"""What tells that nobody has written to a database: inode, size and time of its files."""


def is_refusal(error: BaseException | None) -> bool:
    """Whether an error says that the disk refuses, rather than that what lies there is damaged."""
    return isinstance(error, _REFUSALS)


def require_files(path: Path) -> None:
    """See that a database, and what SQLite has beside it, are files where they are at all.

    SQLite would wait for the other end of a pipe for ever.

    Raises:
        DamagedDataError: one is something else.
        OSError: it cannot be looked at.
    """
    for end in ("", "-wal", "-shm", "-journal"):
        place = path.with_name(path.name + end)
        try:
            # Once: SQLite takes away what lies beside a database whenever somebody closes it.
            mode = place.stat().st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(mode):
            raise DamagedDataError(
                f"{place} is no file.",
                "Put the file back that belongs there, or restore the data folder from a backup.",
            )


def open_for_reading(path: Path) -> apsw.Connection:
    """Open a database that is not going to be written, wherever it lies.

    Args:
        path: the file.

    Raises:
        apsw.Error: it cannot be read; DamagedDataError: it is no file.
    """
    require_files(path)
    connection = None
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.execute(_READ_ONE_PAGE).fetchall()
    except apsw.Error as error:
        if connection is not None:
            connection.close()
        if not is_refusal(error):
            raise
        return open_unshared(path)
    return connection


def open_unshared(path: Path) -> apsw.Connection:
    """Open a database without shared memory, for reading; nobody must be writing to it.

    Args:
        path: the file.

    Raises:
        apsw.Error: it cannot be read.
    """
    place = f"file:{quote(str(path.absolute()))}"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    if not log_bytes(path):
        # Nothing stands in a log. (One that is missing could not be made here.)
        connection = apsw.Connection(f"{place}?immutable=1", flags=flags)
    else:
        # "immutable" would leave out what stands in the log. Alone with the file, SQLite keeps the
        # index of the log in its own memory; it locks nothing, which a read-only file cannot be.
        connection = apsw.Connection(place, flags=flags, vfs="unix-none")
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.pragma("locking_mode", "exclusive")
        connection.execute(_READ_ONE_PAGE).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def identity_of(path: Path) -> Identity:
    """What of a database changes whenever somebody writes to it."""
    return tuple(_identity(path.with_name(path.name + end)) for end in ("", "-wal"))


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    # A log that is missing and one that is empty are the same.
    return (found.st_ino, found.st_size, found.st_mtime_ns) if found.st_size else None


def log_bytes(path: Path) -> int:
    """How long a database's log is; 0 where it has none."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0
