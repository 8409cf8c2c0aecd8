"""A disk that can fail, under the real SQLite: a VFS with a page cache that forgets.

Takes the name under which SQLite is to know it and a seed; keeps, beside each real file, what a
disk would hold of it if the power went now. At moments that its user names it loses unsynced
writes, tears them, refuses to grow files, or fails to sync. It imitates Linux: a page whose sync
failed counts as clean afterwards, so a later sync that succeeds does not bring it to the disk.
Shared memory (the `-shm` files) goes straight to the system and never survives.

Programs that share the disk may be told apart: each file belongs to the program that was running
when it was opened, and one of them can be killed while the others live on.
"""

from __future__ import annotations

import contextlib
import gc
import random
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import apsw

__all__ = ["Ending", "FaultyDisk", "checkpoints_every"]

Ending = Literal["power cut", "kill", "kill one"]
"""Power goes for the whole machine; all programs are killed; or the one whose turn it is."""

_PAGE_BYTES = 4096
_SECTOR_BYTES = 512
# By name: the default may be one of these.
_SYSTEM = "unix"
_LOGS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


@dataclass
class _Cached:
    """What the disk holds of one file, where that differs from what programs read.

    Attributes:
        on_disk: page number to the page as the disk holds it.
        dirty: pages that the next sync writes; the others of `on_disk` are lost to it.
        size_on_disk: the file's size as the disk knows it.
    """

    on_disk: dict[int, bytes] = field(default_factory=dict)
    dirty: set[int] = field(default_factory=set)
    size_on_disk: int = 0


@dataclass(frozen=True)
class _Entry:
    """A change of a folder that is not synced yet: a new file, or a deleted one with its bytes."""

    path: Path
    deleted: bytes | None = field(repr=False)


class FaultyDisk:
    """One disk, for all files of one test.

    Args:
        name: the VFS name to open files with.
        rng: decides which unsynced writes survive.
        default: whether files that are opened under no name go through it as well.

    Attributes:
        ended: why nothing works any more; None while it works.
    """

    def __init__(self, name: str, rng: random.Random, *, default: bool = False) -> None:
        self.name = name
        self.ended: Ending | None = None
        self._program: ContextVar[str] = ContextVar(name, default="")
        self._dead: set[str] = set()
        self._rng = rng
        # Intake's thread and the meter's use the disk at the same time.
        self._lock = threading.RLock()
        self._files: dict[Path, _Cached] = {}
        self._entries: list[_Entry] = []
        self._handles = 0
        self._full_for = 0
        self._sync_failures = 0
        self._end_after: tuple[int, Ending] | None = None
        self._counts_syncs = False
        self._vfs = _Vfs(self, default)

    # What a test does to it.

    @contextlib.contextmanager
    def running(self, program: str) -> Iterator[None]:
        """Say whose files are opened, and whose work is done, meanwhile."""
        token = self._program.set(program)
        try:
            yield
        finally:
            self._program.reset(token)

    @property
    def program(self) -> str:
        """Whose turn it is."""
        return self._program.get()

    def kill(self, program: str) -> None:
        """Let nothing more of a program's reach the disk, as after kill -9."""
        self._dead.add(program)

    def is_dead(self, program: str) -> bool:
        """Whether a program was killed, or lost its disk."""
        return self.ended is not None or program in self._dead

    def bury(self, program: str) -> None:
        """Forget a dead program, whose files are all closed: the next of its name may begin."""
        self._dead.discard(program)

    def end_after(self, operations: int, ending: Ending, *, syncs: bool = False) -> None:
        """Stop working within the n-th write, sync, truncation or deletion from now.

        With `syncs`, only syncs are counted: what was written before the n-th is not synced.
        """
        self._end_after = (operations, ending)
        self._counts_syncs = syncs

    def fill_for(self, writes: int) -> None:
        """Refuse the next n writes that would make a file larger."""
        self._full_for = writes

    def fail_syncs(self, syncs: int) -> None:
        """Fail the next n syncs; what they should have written may be lost for good."""
        self._sync_failures = syncs

    def calm(self) -> None:
        """Let nothing more go wrong."""
        self._end_after, self._full_for, self._sync_failures = None, 0, 0

    def restart(self) -> None:
        """Bring the disk up again, as it is after its end; every file must be closed."""
        if self._handles:
            # A connection that failed half-way through its making lives as long as its traceback.
            gc.collect()
        assert self._handles == 0, f"{self._handles} files are still open"
        if self.ended == "power cut":
            self._lose()
        # After a kill the system lives on: what was written stays readable, and unsynced.
        for path in {path.parent for path in self._files}:
            for shared_memory in path.glob("*-shm"):
                shared_memory.unlink()
        self.ended = None
        self._dead.clear()
        self.calm()

    def forget(self) -> None:
        """Unregister the VFS."""
        self._vfs.unregister()

    def _lose(self) -> None:
        kept = self._rng.choice([0.0, 0.5, 0.9])
        for path, cached in self._files.items():
            if path.exists():
                path.write_bytes(self._survives(path.read_bytes(), cached, kept))
        # A folder's changes reach the disk in order, so some of the last are undone.
        undone = self._rng.randint(0, len(self._entries))
        for entry in reversed(self._entries[len(self._entries) - undone :]):
            if entry.deleted is None:
                entry.path.unlink(missing_ok=True)
            else:
                entry.path.write_bytes(entry.deleted)
        self._files.clear()
        self._entries.clear()

    def _survives(self, content: bytes, cached: _Cached, kept: float) -> bytes:
        size = len(content)
        if size != cached.size_on_disk and self._rng.random() >= kept:
            size = cached.size_on_disk
        content = content.ljust(size, b"\0")
        pages = bytearray(content.ljust(-(-len(content) // _PAGE_BYTES) * _PAGE_BYTES, b"\0"))
        for page, old in sorted(cached.on_disk.items()):
            at = page * _PAGE_BYTES
            torn = self._rng.random() < 0.3
            page_kept = self._rng.random() < kept
            for sector in range(at, min(at + _PAGE_BYTES, len(pages)), _SECTOR_BYTES):
                keep = self._rng.random() < kept if torn else page_kept
                if page not in cached.dirty or not keep:
                    pages[sector : sector + _SECTOR_BYTES] = old[
                        sector - at : sector - at + _SECTOR_BYTES
                    ]
        return bytes(pages[:size])

    # What files do to it.

    def random_bytes(self, count: int) -> bytes:
        return self._rng.randbytes(count)

    def opened(self, path: Path, created: bool, size: int) -> None:
        with self._lock:
            self._handles += 1
            if created:
                self._files[path] = _Cached()
                self._entries.append(_Entry(path, None))
            else:
                self._files.setdefault(path, _Cached(size_on_disk=size))

    def closed(self) -> None:
        with self._lock:
            self._handles -= 1

    def check_alive(self, program: str) -> None:
        if self.ended is not None or program in self._dead:
            raise _error(apsw.SQLITE_IOERR, f"the disk is gone: {self.ended or 'kill one'}")

    def step(self, program: str, *, sync: bool = False) -> None:
        """One operation nearer to the end, if one was ordered; raises when it is reached."""
        self.check_alive(program)
        if self._end_after is not None and (sync or not self._counts_syncs):
            left, ending = self._end_after
            self._end_after = (left - 1, ending)
            if left <= 1:
                self._end_after = None
                if ending == "kill one":
                    self._dead.add(program)
                else:
                    self.ended = ending
                self.check_alive(program)

    def takes_growth(self) -> bool:
        """Whether a file may become larger now."""
        self._full_for, was = max(0, self._full_for - 1), self._full_for
        return not was

    def takes_sync(self) -> bool:
        """Whether the next sync succeeds."""
        self._sync_failures, was = max(0, self._sync_failures - 1), self._sync_failures
        return not was

    def write(self, file: _File, data: bytes, offset: int) -> None:
        with self._lock:
            self.check_alive(file.program)
            try:
                self.step(file.program)
            except apsw.Error:
                self._write_partly(file, data, offset, len(data))
                raise
            size = file.size()
            if offset + len(data) > size and not self.takes_growth():
                self._write_partly(file, data, offset, size - offset)
                raise _error(apsw.SQLITE_FULL, "the disk is full")
            self._touch(file, offset, offset + len(data))
            file.raw_write(data, offset)
            self._write_back(file)

    def _write_partly(self, file: _File, data: bytes, offset: int, room: int) -> None:
        """What fails may have got half-way, at whole sectors; a full disk takes what fits."""
        done = self._rng.randrange(0, max(0, room) + 1, _SECTOR_BYTES)
        if done:
            self._touch(file, offset, offset + done)
            file.raw_write(data[:done], offset)

    def truncate(self, file: _File, size: int) -> None:
        with self._lock:
            self.step(file.program)
            self._touch(file, size, max(size, file.size()))
            file.raw_truncate(size)

    def sync(self, file: _File) -> None:
        with self._lock:
            self.step(file.program, sync=True)
            cached = self._files[file.path]
            if not self.takes_sync():
                for page in sorted(cached.dirty):
                    if self._rng.random() < 0.3:
                        del cached.on_disk[page]
                cached.dirty.clear()
                raise _error(apsw.SQLITE_IOERR_FSYNC, "the sync failed")
            for page in cached.dirty:
                del cached.on_disk[page]
            cached.dirty.clear()
            cached.size_on_disk = file.size()
            if file.syncs_folder:
                file.syncs_folder = False
                self._folder_synced(file.path.parent)

    def delete(self, path: Path, sync_folder: bool, unlink: Any) -> None:
        with self._lock:
            self.step(self.program)
            cached = self._files.pop(path, _Cached())
            content = path.read_bytes() if path.exists() else None
            unlink()
            if content is not None:
                old = self._survives(content, cached, kept=0.0)
                self._entries.append(_Entry(path, old))
            if sync_folder:
                self._folder_synced(path.parent)

    def _folder_synced(self, folder: Path) -> None:
        self._entries = [entry for entry in self._entries if entry.path.parent != folder]

    def _touch(self, file: _File, start: int, stop: int) -> None:
        """Remember what the disk holds of the pages that are about to change."""
        cached = self._files[file.path]
        for page in range(start // _PAGE_BYTES, -(-stop // _PAGE_BYTES)):
            if page not in cached.on_disk:
                cached.on_disk[page] = file.raw_read(page * _PAGE_BYTES)
            cached.dirty.add(page)

    def _write_back(self, file: _File) -> None:
        """Now and then a system writes a page out unasked."""
        cached = self._files[file.path]
        if cached.dirty and self._rng.random() < 0.05:
            page = self._rng.choice(sorted(cached.dirty))
            cached.dirty.discard(page)
            del cached.on_disk[page]
            cached.size_on_disk = max(
                cached.size_on_disk, min(file.size(), (page + 1) * _PAGE_BYTES)
            )


class _Vfs(apsw.VFS):
    def __init__(self, disk: FaultyDisk, default: bool) -> None:
        super().__init__(disk.name, _SYSTEM, makedefault=default)
        self._disk = disk

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        self._disk.check_alive(self._disk.program)
        if name is None:
            return apsw.VFSFile(_SYSTEM, name, flags)
        return _File(self._disk, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:
        self._disk.delete(
            _path_of(name), sync_folder, lambda: super(_Vfs, self).xDelete(name, False)
        )

    def xRandomness(self, numbytes: int) -> bytes:
        # SQLite takes the salts of its logs from here; a seed must repeat them too.
        return self._disk.random_bytes(numbytes)


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self.program = disk.program
        name_text = name.filename() if isinstance(name, apsw.URIFilename) else name
        self.path = _path_of(name_text)
        created = not self.path.exists()
        # SQLite on Unix syncs the folder as well when it first syncs a log that it may have made.
        self.syncs_folder = bool(flags[0] & _LOGS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__(_SYSTEM, name, flags)
        disk.opened(self.path, created, self.size())

    def size(self) -> int:
        return super().xFileSize()

    def raw_read(self, offset: int) -> bytes:
        return super().xRead(_PAGE_BYTES, offset).ljust(_PAGE_BYTES, b"\0")

    def raw_write(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)

    def raw_truncate(self, size: int) -> None:
        super().xTruncate(size)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.check_alive(self.program)
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:
        self._disk.write(self, bytes(data), offset)

    def xLock(self, level: int) -> None:
        try:
            super().xLock(level)
        except apsw.IOError as error:
            # A file that was opened for reading takes no lock for writing, which SQLite minds as
            # little as that another has it; out of a VFS in Python, only the latter is no error.
            raise _error(apsw.SQLITE_BUSY, "this lock is not to be had") from error

    def xTruncate(self, newsize: int) -> None:
        self._disk.truncate(self, newsize)

    def xSync(self, flags: int) -> None:
        self._disk.sync(self)

    def xClose(self) -> None:
        super().xClose()
        self._disk.closed()


@lru_cache(64)
def _path_of(name: str) -> Path:
    return Path(name)


def _error(code: int, text: str) -> apsw.Error:
    error = apsw.exception_for(code)
    error.args = (text,)
    return error


def checkpoints_every(pages_max: int) -> Callable[[apsw.Connection], None]:
    """What limits logs in the place of `headcount.sqlite.opening.limit_log`.

    So checkpoints, which move pages from log to database after a commit, are under fire as well.
    SQLite's own are rare in a test this small; and they hide their errors from the commit, which
    stands already, while an exception that a Python VFS raises in them would pass for its failure.
    """

    def after_commit(connection: apsw.Connection, _: str, pages: int) -> int:
        if pages >= pages_max:
            with contextlib.suppress(apsw.Error):
                connection.wal_checkpoint()
        return apsw.SQLITE_OK

    def limit(connection: apsw.Connection) -> None:
        connection.wal_autocheckpoint(0)
        connection.set_wal_hook(after_commit)

    return limit
