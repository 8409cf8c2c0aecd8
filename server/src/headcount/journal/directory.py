"""The folder of journals: who may write which file, and which files there are.

Takes a folder, gives a locked journal to a writer and all journals to the meter. A file whose
writer has died is adopted by the next writer; none is ever left unread.
"""

from __future__ import annotations

import fcntl
import logging
import os
import uuid
from collections.abc import Callable
from pathlib import Path

from headcount.errors import DamagedDataError, DataFolderError
from headcount.journal.file import JournalFile
from headcount.remedies import remedy_for

__all__ = ["JournalDirectory"]

_log = logging.getLogger(__name__)


class JournalDirectory:
    """The journals of one data folder.

    Args:
        path: the folder; made when missing.
        vfs: name of the APSW VFS that journals go through; the system's when None.
        on_claim: called with a journal that was just locked, before anybody appends to it.
    """

    def __init__(
        self,
        path: Path,
        *,
        vfs: str | None = None,
        on_claim: Callable[[JournalFile], None] = lambda _: None,
    ) -> None:
        self.path = path
        self._vfs = vfs
        self._on_claim = on_claim
        self._lock_fds: list[int] = []

    def claim(self) -> JournalFile:
        """The first journal that nobody writes to, or a new one, locked for this process.

        The lock lives as long as this object and its process; a killed process leaves none.

        Raises:
            DataFolderError: the folder or the file cannot be used as it is.
        """
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            for path in self.paths():
                if self._lock(path):
                    try:
                        return self._opened(path)
                    except DamagedDataError as error:
                        # Its entries are the meter's matter; what comes now needs a whole file.
                        _log.error("%s Messages go to another journal.", error.problem)
            fresh = self.path / f"{uuid.uuid4()}.sqlite"
            self._lock(fresh)
            return self._opened(fresh)
        except OSError as error:
            raise DataFolderError(
                f"{self.path} cannot be written: {error.strerror}.",
                remedy_for(error),
            ) from error

    def _opened(self, path: Path) -> JournalFile:
        try:
            journal = JournalFile(path, vfs=self._vfs)
            try:
                self._on_claim(journal)
            except BaseException:
                journal.close()
                raise
            return journal
        except BaseException:
            # Whoever tries again must find this very journal, and not leave it to nobody.
            os.close(self._lock_fds.pop())
            raise

    def _lock(self, path: Path) -> bool:
        # The lock has a file of its own: closing a second handle of the database file would
        # silently drop the locks that SQLite holds on it.
        lock_fd = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock_fd)
            return False
        self._lock_fds.append(lock_fd)
        return True

    def paths(self) -> list[Path]:
        """Every journal file, locked or not, in a stable order."""
        return sorted(self.path.glob("*.sqlite"))

    def open(self, path: Path) -> JournalFile:
        """A journal for reading and pruning, whoever holds its lock.

        Raises:
            DataFolderError: the file cannot be used as it is.
        """
        return JournalFile(path, vfs=self._vfs)

    def close(self) -> None:
        """Give up the locks of this object; idempotent."""
        while self._lock_fds:
            os.close(self._lock_fds.pop())
