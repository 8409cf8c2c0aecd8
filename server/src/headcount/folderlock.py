"""Locks on a data folder, and what to say when the system refuses something in it.

Takes the path of a lock's file, gives a lock that ends with its process; refuses a second server.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headcount.errors import DataFolderError, FolderBusyError
from headcount.machine import lives
from headcount.remedies import Cause, cause_of, remedy_for

__all__ = ["FolderLock", "errors_named"]

_LOCK_WAIT_S = 10.0
_LOCK_PATIENCE_S = 0.3
_LOCK_POLL_S = 0.05


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
        with errors_named(path):
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
            if waited_s >= (_LOCK_PATIENCE_S if holder and lives(holder[0]) else wait_s):
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
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        try:
            return not _locked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)


def _opened_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        if cause_of(error) not in (Cause.READ_ONLY, Cause.FULL):
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


def _held_by(holder: tuple[int, str] | None, path: Path) -> str:
    if holder is None:
        return f"Another process holds {path}."
    pid, command = holder
    if lives(pid):
        return f"Another headcount {command} (pid {pid}) uses {path.parent}."
    return f"Processes of a headcount {command} that ended (pid {pid}) still use {path.parent}."


def _remedy_for(holder: tuple[int, str] | None) -> str:
    if holder and holder[1] != "serve":
        return "Wait until it is done, then try again."
    return "Stop it first, or name another folder with --data."


@contextmanager
def errors_named(path: Path) -> Iterator[None]:
    """Turn what the system refuses into a sentence and a remedy."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        raise DataFolderError(
            f"{place} cannot be used: {error.strerror or error}.", remedy_for(error)
        ) from error
