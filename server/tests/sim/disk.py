"""The disk of a simulated machine: SQLite's files as `FaultyDisk` has them, and all plain files.

Takes the data folder and a seed. Plain files (runs of keys, and whatever else is written without
SQLite) lie in the folder as they are; beside them is kept what each of them, and each folder, held
when it was last synced. When the power goes, a file is what it was at its last sync, what it is
now, or a mixture by sectors; a name that came or went since its folder was synced is there or not.
Sooner lost than on most disks: a rename that is not synced may lose both names.

Not imitated: folders themselves survive, a failed sync of a plain file does not clean its pages,
and `run/`, where processes tell one another, and locks are left alone.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Any

import apsw

from support.faulty_vfs import FaultyDisk

__all__ = ["SimDisk", "content_of", "is_plain"]

_SECTOR_BYTES = 512
_NOT_PLAIN = (".sqlite", "-wal", "-shm", "-journal", ".lock")


def is_plain(name: str) -> bool:
    """Whether a file is written without SQLite, and matters."""
    return not name.endswith(_NOT_PLAIN)


def content_of(path: str) -> bytes:
    """What a file holds, by the shortest way: this is done thousands of times a history."""
    with FileIO(path) as file:
        return file.readall()


_unlink = os.unlink


class SimDisk(FaultyDisk):
    """One disk under one data folder.

    Args:
        name: the VFS name; every SQLite file that is opened without another goes through it.
        rng: decides what survives.
        folder: the data folder.
    """

    def __init__(self, name: str, rng: random.Random, folder: Path) -> None:
        super().__init__(name, rng, default=True)
        self._folder = str(folder)
        self._dice = rng
        self._synced: dict[int, bytes] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._numbers: dict[int, int] = {}
        self._fresh = count()
        self.settle_plain()

    # What a disk holds of plain files.

    def settle_all(self) -> None:
        """Take all that is there, SQLite's files too, as being on the disk; all are closed."""
        self._files.clear()
        self._entries.clear()
        self.settle_plain()

    def settle_plain(self) -> None:
        """Take all that is there as being on the disk."""
        self._synced.clear()
        self._names.clear()
        for folder in self._folders():
            self._names[folder] = self._listed(folder)
            for name, number in self._names[folder].items():
                self._synced[number] = content_of(f"{folder}/{name}")

    def _folders(self) -> list[str]:
        return [
            path
            for path, _, _ in sorted(os.walk(self._folder))
            if f"{self._folder}/run" not in path
        ]

    def _listed(self, folder: str) -> dict[str, int]:
        return {
            entry.name: self._number(entry.inode())
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
            if entry.is_file() and is_plain(entry.name)
        }

    def _number(self, inode: int) -> int:
        # A system gives an inode again to another file.
        if inode not in self._numbers:
            self._numbers[inode] = next(self._fresh)
        return self._numbers[inode]

    def _forget_inode(self, path: str) -> None:
        try:
            inode = Path(path).stat().st_ino
        except OSError:
            return
        self._numbers.pop(inode, None)

    def _lose(self) -> None:
        super()._lose()
        self._lose_plain()

    def _lose_plain(self) -> None:
        """Undo some of what was not synced: the power went."""
        for folder in sorted({*self._folders(), *self._names}):
            before = self._names.get(folder, {})
            now = self._listed(folder)
            for name in sorted({*before, *now}):
                number = now.get(name)
                if before.get(name) != number and self._dice.random() < 0.5:
                    number = before.get(name)
                self._put(Path(folder, name), number, stays=number == now.get(name))
        self.settle_plain()

    def _put(self, path: Path, number: int | None, *, stays: bool) -> None:
        if number is None:
            _remove(path)
            return
        synced = self._synced.get(number, b"")
        content = path.read_bytes() if stays else synced
        if content == synced and stays:
            return
        modified_ns = path.stat().st_mtime_ns if path.exists() else None
        if stays:
            content = self._dice.choice([synced, content, self._mixed(synced, content)])
        _remove(path)
        path.write_bytes(content)
        if modified_ns is not None:
            os.utime(path, ns=(modified_ns, modified_ns))

    def _mixed(self, synced: bytes, written: bytes) -> bytes:
        length = max(len(synced), len(written))
        parts = [
            self._dice.choice([synced, written])[at : at + _SECTOR_BYTES]
            for at in range(0, length, _SECTOR_BYTES)
        ]
        return b"".join(parts)

    # What programs do to them, by the functions of the system.

    @contextmanager
    def under_the_system(self) -> Iterator[None]:
        """Let syncs, renames and deletions of the folder's plain files go through this disk."""
        real: dict[str, Callable[..., Any]] = {
            name: getattr(os, name)
            for name in ("fsync", "fdatasync", "rename", "replace", "unlink", "link")
        }

        def synced(sync: Callable[..., Any]) -> Callable[[int], None]:
            def call(descriptor: int) -> None:
                path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
                if self._is_mine(path):
                    self._sync(path)
                else:
                    sync(descriptor)

            return call

        def moved(move: Callable[..., Any]) -> Callable[..., None]:
            def call(source: Any, *rest: Any, **more: Any) -> None:
                if self._is_mine(os.fspath(source)):
                    self._touch_plain()
                    gone = rest[0] if rest else source
                    if move is not real["link"]:
                        self._forget_inode(os.fspath(gone))
                move(source, *rest, **more)

            return call

        try:
            for name in ("fsync", "fdatasync"):
                setattr(os, name, synced(real[name]))
            for name in ("rename", "replace", "unlink", "link"):
                setattr(os, name, moved(real[name]))
            yield
        finally:
            for name, function in real.items():
                setattr(os, name, function)

    def _is_mine(self, path: str) -> bool:
        path = str(path)
        inside = path.startswith(self._folder) and not path.startswith(f"{self._folder}/run")
        return inside and is_plain(path)

    def _touch_plain(self, *, sync: bool = False) -> None:
        try:
            self.step(self.program, sync=sync)
        except apsw.Error as error:
            raise OSError(errno.EIO, "the disk is gone") from error

    def _sync(self, path: str) -> None:
        self._touch_plain(sync=True)
        if not self.takes_growth():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if not self.takes_sync():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if Path(path).is_dir():
            self._names[path] = self._listed(path)
        else:
            inode = Path(path).stat().st_ino
            self._synced[self._number(inode)] = content_of(path)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        _unlink(path)
