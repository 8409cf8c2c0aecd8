"""The data folder: takes its path, gives the places in it, its hash key and its locks.

A folder is made when first needed, readable by its owner alone, and says in a file which format it
has. Refuses folders that are not Headcount's, that a newer version made or that cannot be written,
another hash key than the one that the counts were made under, and a second server.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headcount.catalog import Catalog
from headcount.errors import DataFolderError, FolderBusyError
from headcount.metering.hashing import HASH_KEY_BYTES, IdHasher

__all__ = [
    "FORMAT_VERSION",
    "DataFolder",
    "FolderLock",
    "load_hash_key",
    "mark_data_folder",
    "open_data_folder",
    "read_hash_key",
]

FORMAT_VERSION = 1
_FORMAT_NAME = "format"
_FORMAT_WORDS = "Headcount data folder, format "
_LOCK_WAIT_S = 10.0
_LOCK_PATIENCE_S = 0.3
_LOCK_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where everything lies.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def catalog(self) -> Path:
        """Workspaces, sources, tokens and limits."""
        return self.path / "catalog.sqlite"

    @property
    def store(self) -> Path:
        """Keys, counts, outcomes and journal positions."""
        return self.path / "store.sqlite"

    @property
    def journals(self) -> Path:
        """The folder of the journals."""
        return self.path / "journals"

    @property
    def hash_key(self) -> Path:
        """The secret key under which ids are hashed, unless the settings place it elsewhere."""
        return self.path / "hash.key"

    @property
    def serve_lock(self) -> Path:
        """Held by the one server, or by a command that does its work while none runs."""
        return self.path / "serve.lock"

    @property
    def meter_lock(self) -> Path:
        """Held by the one process that writes to the store."""
        return self.path / "meter.lock"

    @property
    def metrics(self) -> Path:
        """The folder in which the processes of a running server share their metrics."""
        return self.path / "run" / "metrics"

    @property
    def state(self) -> Path:
        """Which processes of a running server do their work."""
        return self.path / "run" / "state.json"

    @property
    def backlog(self) -> Path:
        """How far the meter of a running server is behind, as of its last look."""
        return self.path / "run" / "backlog.json"

    @property
    def allowances(self) -> Path:
        """What sources have used, and which are refused, in a running server."""
        return self.path / "run" / "allowances"

    @property
    def troubles(self) -> Path:
        """The folder in which the processes of a running server say what hinders them."""
        return self.path / "run" / "troubles"

    @property
    def failures(self) -> Path:
        """The folder in which a process that has failed leaves the trace of it."""
        return self.path / "run" / "failures"

    @property
    def listening(self) -> Path:
        """Where the server that holds the lock listens, as it announced."""
        return self.path / "run" / "listening.json"


def open_data_folder(path: Path, *, create: bool) -> DataFolder:
    """The data folder at a path.

    Args:
        path: the folder.
        create: make it, or take an empty one, when there is none yet; and insist that it can be
            written.

    Raises:
        DataFolderError: there is none (create is False), it is not Headcount's, it is newer than
            this version, or it cannot be read or written.
    """
    folder = DataFolder(path)
    with _errors_named(path):
        found = _found_format(path)
        if found is None:
            if not create:
                raise DataFolderError(
                    f"There is no data folder of Headcount at {path}.",
                    "Name yours with --data or HEADCOUNT_DATA; `headcount serve` and"
                    " `headcount workspace add` make a new one.",
                )
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            mark_data_folder(path)
            found = _found_format(path)
        _check_format(path, found)
        if create:
            folder.journals.mkdir(mode=0o700, exist_ok=True)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return folder


def mark_data_folder(path: Path) -> None:
    """Say in a folder that it is a data folder of this version's format.

    Raises:
        OSError: the disk refused.
    """
    _write_new(path / _FORMAT_NAME, f"{_FORMAT_WORDS}{FORMAT_VERSION}\n".encode())


def load_hash_key(folder: DataFolder, catalog: Catalog, file: Path | None = None) -> bytes:
    """The secret key under which this installation hashes ids; made at the first start.

    Args:
        folder: the data folder.
        catalog: the folder's catalog, which remembers the key's fingerprint.
        file: where the key lies; the folder's `hash.key` when None.

    Raises:
        DataFolderError: the key is missing, unreadable or damaged, or it is another one than the
            counts in this folder were made under.
    """
    place = file or folder.hash_key
    remembered = catalog.hash_key_fingerprint()
    with _errors_named(place):
        if remembered is None and not place.exists():
            _write_new(place, secrets.token_hex(HASH_KEY_BYTES).encode() + b"\n")
    key = read_hash_key(place)
    fingerprint = IdHasher(key).fingerprint
    # Written at the first start only: the disk may be full later, and the catalog open for reading.
    if (remembered or catalog.set_hash_key_fingerprint(fingerprint)) != fingerprint:
        raise DataFolderError(
            f"{place} holds another hash key than the one under which {folder.path} was counted,"
            " and every tracked user would be counted again.",
            "Put the former key back from a backup, or name its place with --hash-key.",
        )
    return key


def read_hash_key(place: Path) -> bytes:
    """The hash key in a file.

    Raises:
        DataFolderError: the file is missing or unreadable, or holds no key.
    """
    with _errors_named(place):
        try:
            text = place.read_bytes()
        except FileNotFoundError:
            raise DataFolderError(
                f"The hash key {place} is missing, and without it ids seen before would be"
                " counted again.",
                "Put it back from a backup, or name its place with --hash-key.",
            ) from None
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
        IdHasher(key)
    except ValueError as error:
        raise DataFolderError(
            f"{place} does not hold a hash key ({2 * HASH_KEY_BYTES} hexadecimal digits).",
            "Put the key back from a backup, or name its place with --hash-key.",
        ) from error
    return key


class FolderLock:
    """A lock on a data folder, held until it is released or its process ends.

    Child processes that inherit its descriptor (`fileno`) hold it as well until they end.

    Args:
        path: the lock file.
        command: who takes it, for the error that others get: `"serve"` or `"import"`.
        wait_s: how long to wait for the children of a holder that is dead.

    Raises:
        FolderBusyError: another process holds it.
        DataFolderError: it cannot be taken.
    """

    def __init__(self, path: Path, command: str, *, wait_s: float = _LOCK_WAIT_S) -> None:
        self._path = path
        with _errors_named(path):
            self._descriptor: int | None = _opened_lock(path)
            try:
                self._take(wait_s)
                # Who holds it is only for the error of others: a full disk may leave it unsaid.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, 0)
                    os.pwrite(self._descriptor, f"{os.getpid()} {command}\n".encode(), 0)
            except BaseException:
                os.close(self._descriptor)
                raise

    def _take(self, wait_s: float) -> None:
        began = time.monotonic()
        while True:
            if _locked(self.fileno()):
                return
            waited_s = time.monotonic() - began
            holder = _holder(self.fileno())
            # Somebody who only looked whether it is held lets go at once, so a first refusal is
            # not believed; and the processes of a dead server may take a moment to end.
            if waited_s >= (_LOCK_PATIENCE_S if holder and _alive(holder[0]) else wait_s):
                raise FolderBusyError(_held_by(holder, self._path), _remedy_for(holder))
            time.sleep(_LOCK_POLL_S)

    def fileno(self) -> int:
        """The descriptor that holds the lock, to be handed to child processes."""
        assert self._descriptor is not None, "the lock was released"
        return self._descriptor

    def release(self) -> None:
        """Let go; idempotent."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @staticmethod
    def held(path: Path) -> bool:
        """Whether some process holds the lock at this moment."""
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return not _locked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)


def _found_format(path: Path) -> str | None:
    """What the folder's format file says; None where there is nothing of anybody's yet."""
    try:
        return (path / _FORMAT_NAME).read_text("utf-8", "replace")
    except FileNotFoundError:
        pass
    if not path.exists():
        return None
    # A mounted disk is born with lost+found; "format." begins what an interrupted start left.
    foreign = {entry.name for entry in path.iterdir() if not entry.name.startswith("format.")}
    if foreign - {"lost+found"}:
        raise DataFolderError(
            f"{path} is not a data folder of Headcount, and not empty.",
            "Name a new or an empty folder with --data.",
        )
    return None


def _check_format(path: Path, found: str | None) -> None:
    version = (found or "").removeprefix(_FORMAT_WORDS).strip()
    if not (found or "").startswith(_FORMAT_WORDS) or not version.isdecimal():
        raise DataFolderError(
            f"{path / _FORMAT_NAME} does not say which format the data folder has.",
            "Name a data folder of Headcount with --data, or restore this one from a backup.",
        )
    if version != str(FORMAT_VERSION):
        raise DataFolderError(
            f"{path} was made by a newer version of Headcount (format {version}; this version"
            f" knows {FORMAT_VERSION}).",
            "Install that version or a later one.",
        )


def _write_new(path: Path, content: bytes) -> None:
    """Make a file, whole and durable or not at all; one that is there already stays."""
    draft = path.with_name(f"format.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _opened_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise
    # It need not be written to be held; where there is none, the folder stands for it.
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(path.parent, os.O_RDONLY)


def _locked(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> tuple[int, str] | None:
    """The process id and command in a lock file; None while its holder has not written them."""
    pid, _, command = os.pread(descriptor, 100, 0).decode("ascii", "replace").strip().partition(" ")
    return (int(pid), command) if pid.isdecimal() else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _held_by(holder: tuple[int, str] | None, path: Path) -> str:
    if holder is None:
        return f"Another process holds {path}."
    pid, command = holder
    if _alive(pid):
        return f"Another headcount {command} (pid {pid}) uses {path.parent}."
    return f"Processes of a headcount {command} that ended (pid {pid}) still use {path.parent}."


def _remedy_for(holder: tuple[int, str] | None) -> str:
    if holder and holder[1] != "serve":
        return "Wait until it is done, then try again."
    return "Stop it first, or name another folder with --data."


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Turn what the system refuses into a sentence and a remedy."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT:
                remedy = "Free some disk space, then try again."
            case errno.EACCES | errno.EPERM | errno.EROFS:
                remedy = "Headcount must be able to write there: mend its permissions or mount."
            case errno.ENOTDIR | errno.EISDIR | errno.EEXIST:
                remedy = "Name a folder, not a file."
            case _:
                remedy = "Check the disk and the path, then try again."
        raise DataFolderError(
            f"{place} cannot be used: {error.strerror or error}.", remedy
        ) from error
