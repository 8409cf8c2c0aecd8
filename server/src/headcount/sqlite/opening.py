"""How Headcount opens SQLite: one way, for journals, stores and catalogs alike.

Takes a path and a schema, gives an APSW connection in WAL mode whose schema is the one this
version knows. Turns the errors of a broken or foreign file into `DataFolderError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import apsw

from headcount.errors import DamagedDataError, DataFolderError
from headcount.remedies import remedy_for
from headcount.sqlite.unwritable import log_bytes, require_files

__all__ = [
    "REPAIR_OR_RESTORE",
    "connect",
    "damage_named",
    "limit_log",
    "one_moment",
    "refuse_version",
    "require_application",
    "rows",
    "settle",
    "transaction",
]

REPAIR_OR_RESTORE = (
    "Stop the server and see `headcount doctor`; then repair it with `headcount doctor --repair`,"
    " or restore the data folder from a backup."
)
"""What to do about a database that is damaged."""

_BUSY_TIMEOUT_MS = 10_000
# A number further ahead than this is not one that versions to come will reach soon.
_FORMATS_AHEAD_MAX = 100
_BUSY_RETRY_S = 0.01
# Nearly all transactions of others last for a few milliseconds: whoever waits for one looks often
# at first. SQLite's own way waits longer each time, so that a hundredth of what intake takes in
# came a tenth of a second late.
_LOOK_EVERY_S, _LOOK_SELDOM_S, _LOOK_SELDOM_AFTER_S = 0.0005, 0.005, 0.1
_PAGE_BYTES = 4096
# How long a log may grow before a commit moves its pages into the database.
_LOG_BYTES = 4096 * 1000
# What a log keeps of the disk once it has been longer than that, behind a slow reader.
_LOG_KEPT_BYTES = 4 * _LOG_BYTES
# SQLite's own files take less than 128 KiB at once, and call a disk full that is given more.
_CHUNK_BYTES = 1 << 16


def connect(
    path: Path,
    *,
    schema: str,
    version: int,
    begin: Callable[[apsw.Connection], None] | None = None,
    page_bytes: int = _PAGE_BYTES,
    application: int | None = None,
    vfs: str | None = None,
) -> apsw.Connection:
    """Open a database, making its schema if it is new; what can be read in it is then durable.

    Args:
        path: the file; its folder must exist.
        schema: statements that make the tables of a new file.
        version: version of that schema, kept in the file.
        begin: writes the first rows of a new file, in the transaction that makes its tables.
        page_bytes: size of the pages of a new file, a power of two.
        application: the number that marks files of this kind; in a file that has tables and
            another number nothing is changed, not even its journal mode.
        vfs: name of the APSW VFS to go through; the system's when None.

    Raises:
        DataFolderError: the file is newer than this version, damaged, read-only or no database.
    """
    require_files(path)
    try:
        connection = apsw.Connection(str(path), vfs=vfs)
        connection.set_busy_handler(_Patience())
        if application is not None and connection.pragma("schema_version"):
            require_application(path, connection, application)
        settle(connection)
        if not connection.pragma("page_count"):
            # Only a new file takes these two, and another would write a page, for which a full disk
            # has no room. What is deleted can be given back to the disk then.
            connection.pragma("page_size", page_bytes)
            connection.pragma("auto_vacuum", "incremental")
        _use_log(connection)
        connection.pragma("journal_size_limit", _LOG_KEPT_BYTES)
        limit_log(connection)
        # FULL for every connection of a file: had one of them left a commit unsynced, a sync that
        # fails could lose its part of the log for good, and with it all that was synced after.
        connection.pragma("synchronous", "FULL")
        found = connection.pragma("user_version")
        if found == 0:
            with transaction(connection):
                # Two processes may open a new file at once: the second finds the work done.
                # And one that has tables has a format, whatever it says.
                if connection.pragma("user_version") == connection.pragma("schema_version") == 0:
                    connection.execute(schema)
                    if begin is not None:
                        begin(connection)
                    connection.pragma("user_version", version)
                    if application is not None:
                        connection.pragma("application_id", application)
            # Should its log be lost one day, the file itself still says which one it is.
            with suppress(apsw.FullError, apsw.BusyError):
                connection.wal_checkpoint()
            found = connection.pragma("user_version")
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise DamagedDataError(
            f"{path} cannot be opened: {error}.",
            "Restore the data folder from a backup; `headcount doctor` says what is damaged.",
        ) from error
    except apsw.Error as error:
        raise DataFolderError(f"{path} cannot be opened: {error}.", remedy_for(error)) from error
    if found != version:
        connection.close()
        refuse_version(path, found, version)
    return connection


def require_application(path: Path, connection: apsw.Connection, application: int) -> None:
    """Refuse a database of another program, or of another kind.

    Raises:
        DataFolderError: it is one.
    """
    if connection.pragma("application_id") != application:
        raise DataFolderError(
            f"{path} is not a {path.stem} of Headcount.",
            "Name a folder that Headcount made, or a new one, with --data.",
        )


def limit_log(connection: apsw.Connection) -> None:
    """Let a commit move the log's pages into the database once there are many."""
    connection.wal_autocheckpoint(_LOG_BYTES // connection.pragma("page_size"))


def refuse_version(path: Path, found: int, known: int) -> NoReturn:
    """Say that a database has another format than the one that this version reads.

    Raises:
        DataFolderError: it is of an older folder, or a newer version wrote it; DamagedDataError: no
            version of Headcount counts its formats so far.
    """
    if 0 < found < known:
        raise DataFolderError(
            f"{path} has format {found}, and this version of Headcount reads format {known}.",
            "It is of an older data folder: the next `headcount serve` on that folder upgrades it.",
        )
    if known < found <= known + _FORMATS_AHEAD_MAX:
        raise DataFolderError(
            f"{path} was written by a newer version of Headcount (format {found}; this version"
            f" knows {known}).",
            "Install that version or a later one.",
        )
    raise DamagedDataError(
        f"{path} is damaged: it says that it has format {found}, which no version of Headcount has"
        " made.",
        REPAIR_OR_RESTORE,
    )


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Say of a file that SQLite finds damaged, or whose texts are none, that it is.

    Raises:
        DamagedDataError: in place of SQLite's error.
    """
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, UnicodeDecodeError) as error:
        # A statement of this program finds its tables and columns, unless those are damaged.
        if isinstance(error, apsw.SQLError) and "no such" not in str(error):
            raise
        raise DamagedDataError(
            f"{path} is damaged: {error}.",
            REPAIR_OR_RESTORE,
        ) from error


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
    """Make durable what can be read in a database that was just opened; before anything else.

    A process that is killed before its commit is synced, or whose sync fails, leaves one that the
    next process finds in the log and believes. To sync it then is not enough: the system takes
    pages whose sync has failed for clean, and leaves them out. A power cut would take the commit
    back after it was acted on elsewhere, and what came behind it in the log; or, while its pages
    move into the database, leave half of it there. So the log is written again, byte for byte.

    Raises:
        apsw.Error: the disk refused; nothing was moved.
    """
    path = Path(connection.filename)
    if not log_bytes(path):
        return
    # Whoever is the last to close moves the log into the database.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    with transaction(connection):  # nobody else writes to the log meanwhile
        if log_bytes(path):
            _write_log_again(connection)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)


def _write_log_again(connection: apsw.Connection) -> None:
    # By the flag that may make a file SQLite knows that its folder is to be synced with it.
    flags = [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, 0]
    log = apsw.VFSFile(connection.open_vfs, connection.filename_wal, flags)
    try:
        size = log.xFileSize()
        for at in range(0, size, _CHUNK_BYTES):
            log.xWrite(log.xRead(min(_CHUNK_BYTES, size - at), at), at)
        log.xSync(apsw.SQLITE_SYNC_NORMAL)
    finally:
        log.xClose()


class _Patience:
    """Waits for the transactions of others, for a bounded time; SQLite asks it each time."""

    def __init__(self) -> None:
        self._began_s = 0.0

    def __call__(self, looked: int) -> bool:
        """Whether to look again, after so many times."""
        now_s = time.monotonic()
        if looked == 0:
            self._began_s = now_s
        waited_s = now_s - self._began_s
        if waited_s >= _BUSY_TIMEOUT_MS / 1000:
            return False
        time.sleep(_LOOK_EVERY_S if waited_s < _LOOK_SELDOM_AFTER_S else _LOOK_SELDOM_S)
        return True


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


@contextmanager
def one_moment(connection: apsw.Connection) -> Iterator[None]:
    """All that is read in the block is as it was at one moment, whoever writes meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:  # an error may have ended it
            connection.execute("ROLLBACK")  # which, unlike a commit, damage does not refuse


def rows(
    connection: apsw.Connection, statement: str, bindings: apsw.Bindings | None = None
) -> list[tuple[Any, ...]]:
    """All rows of a query; their types are what the schema says."""
    return connection.execute(statement, bindings).fetchall()
