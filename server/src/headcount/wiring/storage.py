"""Storage that refuses: takes a folder or an error, says what is wrong and what to do about it."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from headcount.datafolder import DataFolder
from headcount.durable import write_new
from headcount.remedies import Cause, cause_of

__all__ = ["STORAGE", "WatchedDatabases", "WatchedFile", "refusal_to_write"]

STORAGE = "storage"
"""The kind of trouble that a process is in while a disk takes nothing from it."""

# What the files that a start makes anew take, and a little for what comes.
_ROOM_BYTES = 1 << 20


def refusal_to_write(folder: DataFolder) -> str | None:
    """Why nothing can be written to a folder that exists, as a sentence; None where it can.

    A folder that only this user may not write is another matter: permissions can be fixed.
    """
    probe = folder.path / f"format.probe-{os.getpid()}"
    try:
        try:
            probe.unlink(missing_ok=True)
            write_new(probe, bytes(_ROOM_BYTES))
        finally:
            with contextlib.suppress(FileNotFoundError):
                probe.unlink()
    except OSError as error:
        cause = cause_of(error)
        if cause is Cause.FULL:
            return f"The disk of {folder.path} is full: not {_ROOM_BYTES >> 20} MB is free."
        if cause is Cause.READ_ONLY:
            return f"{folder.path} is mounted for reading only."
        if error.errno == errno.EIO:
            return f"{folder.path} cannot be written: {error.strerror}."
    return None


class WatchedFile:
    """One file of a running server, as it is now: its process goes on with it if it is removed.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = _inode(path)

    def fault(self) -> str | None:
        """That it was removed or replaced, as a sentence; None where it is the one that it was."""
        if self._inode is not None and _inode(self._path) == self._inode:
            return None
        return (
            f"{self._path} was removed or replaced while the server ran. Put it back, or stop the"
            " server and see `headcount doctor`."
        )


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


class WatchedDatabases:
    """Whether the databases of a running server are still the files that they were.

    Args:
        folder: the data folder.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._known: dict[Path, WatchedFile] = {}

    def fault(self) -> str | None:
        """What was removed or replaced, as a sentence; None where nothing was."""
        folder = self._folder
        for path in (folder.catalog, folder.store, *folder.journal_files()):
            if path not in self._known and _inode(path) is not None:
                self._known[path] = WatchedFile(path)
        return next(filter(None, (each.fault() for each in self._known.values())), None)
