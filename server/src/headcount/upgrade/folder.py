"""The order of an upgrade, so that it may be killed at any point.

Each database is copied beside the folder's own, compared, and put in place by one rename, after a
second name was given to the former one; until the folder says that it has the new format, all of
this can be repeated. The former files go last.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import apsw

from headcount.catalog.schema import SCHEMA_VERSION
from headcount.durable import sync
from headcount.errors import DamagedDataError, DataFolderError, FolderBusyError
from headcount.identity import (
    Identity,
    admit_part,
    begin_identity,
    fresh_uuid,
    read_identity,
    require_part,
)
from headcount.journal.schema import JOURNAL_VERSION
from headcount.layout import DataFolder
from headcount.sqlite.opening import refuse_version, rows
from headcount.sqlite.reading import damage
from headcount.sqlite.unwritable import is_refusal, require_files
from headcount.store import sql
from headcount.upgrade.additions import (
    CATALOG_ADDITION,
    STORE_ADDITION,
    Addition,
    add_tables,
)
from headcount.upgrade.databases import AS_IT_WAS, copy_catalog, copy_journal, copy_store

__all__ = ["remove_former", "upgrade_databases", "upgrade_folder"]

# The first format whose databases say whose they are.
_WITH_PARTS = 2
_SPARE_BYTES = 16 << 20
_BUSY_TIMEOUT_MS = 2_000

_PLACES = DataFolder(Path())
_ADDED_TO = {
    _PLACES.catalog.name: CATALOG_ADDITION.former,
    _PLACES.store.name: STORE_ADDITION.former,
}

Copy = Callable[[apsw.Connection, Path], None]


def upgrade_folder(folder: Path, say_format: Callable[[Path], None]) -> None:
    """Bring a data folder to this version's format; nobody else may use it meanwhile.

    Args:
        folder: the folder, whose serve lock the caller holds.
        say_format: says in a folder, durably, that it has this version's format.

    Raises:
        DataFolderError: there is not room enough, or a database is damaged or in use; the folder
            is then as it was, or an upgrade that the next call goes on with.
        OSError: the disk refused; likewise.
    """
    upgrade_databases(folder)
    say_format(folder)
    remove_former(folder)


def remove_former(folder: Path) -> None:
    """Delete the former databases of an upgrade that is done.

    Raises:
        OSError: the disk refused.
    """
    shutil.rmtree(DataFolder(folder).former, ignore_errors=True)
    sync(folder)


def upgrade_databases(folder: Path) -> None:
    """Bring every database of a folder to this version's format; those that have it stay.

    Raises:
        DataFolderError, OSError: as for `upgrade_folder`.
    """
    with _journals_unused(folder):
        _check_room(folder)
        DataFolder(folder).former.mkdir(mode=0o700, exist_ok=True)
        # A folder of a format that has parts has an identity; a backup of one is given it here.
        begin_identity(folder, Identity(_installation_of(DataFolder(folder).catalog)))
        identity = read_identity(folder)
        assert identity is not None, "it was just written"
        # What is to be copied; of the others, today's version says itself what is missing.
        require_part(DataFolder(folder).catalog)
        installation = identity.installation
        places = DataFolder(folder)
        store, catalog = places.store, places.catalog
        _upgrade(
            folder, catalog, SCHEMA_VERSION, _with(copy_catalog, installation), CATALOG_ADDITION
        )
        positions = _positions(store) if store.exists() else {}

        def copied_journal(former: apsw.Connection, place: Path) -> None:
            copy_journal(former, place, installation, lambda uuid: positions.get(uuid, 0))

        for path in DataFolder(folder).journal_files():
            _upgrade(folder, path, JOURNAL_VERSION, copied_journal)
        # After the journals, of which only the store knows how far they are counted.
        _upgrade(folder, store, sql.VERSION, _with(copy_store, installation), STORE_ADDITION)
        for path, table, _ in _databases(folder):
            _register(path, table)


def _installation_of(catalog: Path) -> str:
    """Whose a catalog says it is; a new installation's id where it does not say."""
    if catalog.exists():
        with _opened(catalog) as connection:
            if connection.pragma("user_version") >= _WITH_PARTS:
                for (installation,) in rows(connection, "SELECT installation FROM part"):
                    return str(installation) or fresh_uuid()
    return fresh_uuid()


def _with(copy: Callable[[apsw.Connection, Path, str], None], installation: str) -> Copy:
    return lambda former, place: copy(former, place, installation)


def _databases(folder: Path) -> list[tuple[Path, str, int]]:
    """The databases there are, each with the table that says which one it is, and the version of
    today's.
    """
    places = DataFolder(folder)
    found = [(places.catalog, "part", SCHEMA_VERSION), (places.store, "part", sql.VERSION)]
    found += [(path, "journal", JOURNAL_VERSION) for path in places.journal_files()]
    return [each for each in found if each[0].exists()]


@contextmanager
def _journals_unused(folder: Path) -> Iterator[None]:
    """Hold the lock of every journal: an import of the former version may be writing to one."""
    with ExitStack() as stack:
        for path in DataFolder(folder).journal_files():
            descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderBusyError(
                    f"Another process writes to {path}, and the data folder is to be upgraded.",
                    "Wait until it is done, then try again.",
                ) from None
        yield


def _check_room(folder: Path) -> None:
    found = [(path, _version(path), version) for path, _, version in _databases(folder)]
    changing = [(path, held) for path, held, version in found if 0 < held < version]
    needed = sum(
        _size(path) + _size(path.with_name(path.name + "-wal"))
        for path, held in changing
        # Of those that only lack tables no copy is made.
        if held != _ADDED_TO.get(path.name)
    )
    free = shutil.disk_usage(folder).free
    if changing and needed + needed // 4 + _SPARE_BYTES > free:
        raise DataFolderError(
            f"Upgrading {folder} to this version's format takes about"
            f" {needed + needed // 4 + _SPARE_BYTES:,} bytes for a while, and {free:,} are free.",
            "Free some disk space, then try again; nothing was changed.",
        )


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


@contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    require_files(path)
    try:
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
            connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
            connection.pragma("synchronous", "FULL")
            yield connection
    except apsw.BusyError as error:
        raise FolderBusyError(
            f"Another process uses {path}, and the data folder is to be upgraded.",
            "Stop it, then try again.",
        ) from error
    except apsw.Error as error:
        if is_refusal(error):
            raise DataFolderError(
                f"{path} cannot be upgraded to this version's format: {error}.",
                "Make room on the disk, or let the data folder be written, then try again; what is"
                " there still counts.",
            ) from error
        raise DamagedDataError(
            f"{path} cannot be upgraded: {error}.",
            AS_IT_WAS,
        ) from error


def _version(path: Path) -> int:
    with _opened(path) as connection:
        # To look is not to change: what lies in its log stays there.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return int(connection.pragma("user_version"))


def _positions(store: Path) -> dict[str, int]:
    with _opened(store) as connection:
        return dict(rows(connection, "SELECT journal, entry FROM position"))


def _upgrade(
    folder: Path, path: Path, version: int, copy: Copy, addition: Addition | None = None
) -> None:
    """Bring one database to a version, if it is of a former one.

    One that only lacks tables is given these where it is; of any other a copy takes its place.
    """
    if not path.exists():
        return
    former = DataFolder(folder).former
    draft = former / f"{path.name}.new"
    for left in former.glob(f"{path.name}.*"):
        left.unlink()
    with _opened(path) as connection:
        found = connection.pragma("user_version")
        if found == version:
            return
        if found > version:
            refuse_version(path, found, version)
        if found == 0 and not connection.pragma("schema_version"):
            return  # a start was interrupted before it had made its tables
        # Brings what its log holds into the file, which is all there is of it from then on.
        if connection.pragma("journal_mode", "delete") != "delete":
            raise FolderBusyError(
                f"Another process uses {path}, and the data folder is to be upgraded.",
                "Stop it, then try again.",
            )
        if fault := damage(connection):
            raise DamagedDataError(
                f"{path} is damaged, and cannot be upgraded: {fault}.",
                AS_IT_WAS,
            )
        if addition is not None and found == addition.former:
            add_tables(path, connection, addition)
            return
        copy(connection, draft)
    draft.chmod(0o600)
    sync(draft)
    kept = former / path.name
    kept.unlink(missing_ok=True)
    os.link(path, kept)
    sync(former)
    draft.replace(path)
    sync(path.parent)
    for left in former.glob(f"{path.name}.*"):
        left.unlink()


def _register(path: Path, table: str) -> None:
    with _opened(path) as connection:
        if connection.pragma("user_version"):
            found = rows(connection, f"SELECT uuid, installation FROM {table}")  # noqa: S608
            for uuid, installation in found:
                admit_part(path, uuid, installation, register=True)
