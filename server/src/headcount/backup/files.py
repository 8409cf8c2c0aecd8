"""Folders and files of a backup: claims a folder that is new or empty, copies into it, checks what
was written, and leaves nothing behind when that fails."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import apsw

from headcount.durable import opened_new
from headcount.errors import DataFolderError
from headcount.layout import DataFolder
from headcount.remedies import Cause, cause_of, remedy_for

__all__ = [
    "Progress",
    "check_room",
    "checksum_of",
    "copy_stream",
    "fresh_folder",
    "is_within",
]

_CHUNK_BYTES = 1 << 20
_SPARE_BYTES = 1 << 20  # SQLite keeps small files beside the one that it opens
_NOT_OURS = {"lost+found"}  # a mounted disk is born with it


class Progress(Protocol):
    """Who hears how far a copy is."""

    def begins(self, what: str, total_bytes: int) -> None:
        """A stage begins, with so many bytes ahead of it."""
        ...

    def advanced(self, done_bytes: int) -> None:
        """So many bytes more are done."""
        ...


def is_within(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it, whatever links lead there."""
    return path.resolve().is_relative_to(folder.resolve())


def check_room(path: Path, total_bytes: int) -> None:
    """See that a disk has room for a copy, before any of it is written.

    Args:
        path: a folder on the disk.
        total_bytes: how large the copy is.

    Raises:
        DataFolderError: it has not.
    """
    free_bytes = shutil.disk_usage(path).free
    if total_bytes + _SPARE_BYTES > free_bytes:
        raise DataFolderError(
            f"The copy takes about {total_bytes:,} bytes, and {path} has room for {free_bytes:,}.",
            "Free some disk space there, or name a folder on another disk.",
        )


@contextmanager
def fresh_folder(path: Path, what: str) -> Iterator[None]:
    """Claim a folder, made when missing; on any failure, whatever came into it is removed.

    Args:
        path: a folder that is not there or empty. A folder `journals` in it is the claim.
        what: for errors, `"backup"` or `"restore"`.

    Raises:
        DataFolderError: it is no folder or not empty, or the disk or a file refused.
    """
    made = not path.exists()
    if not made and not path.is_dir():
        raise DataFolderError(f"{path} is not a folder.", "Name a new or an empty folder.")
    with _errors_named(path, what):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if {entry.name for entry in path.iterdir()} - _NOT_OURS:
            raise DataFolderError(
                f"{path} is not empty, and a {what} never writes over anything.",
                "Name a new or an empty folder.",
            )
        path.chmod(0o700)
        try:
            DataFolder(path).journals.mkdir(mode=0o700)
        except FileExistsError:
            raise DataFolderError(
                f"Another command is writing to {path}.", "Name another folder."
            ) from None
        unfinished = DataFolder(path).unfinished
        try:
            unfinished.touch(mode=0o600)
            yield
            unfinished.unlink()
        except BaseException:
            for entry in path.iterdir():
                if entry.name not in _NOT_OURS:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            if made:
                path.rmdir()
            raise


@contextmanager
def _errors_named(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, apsw.Error) as error:
        if cause_of(error) is Cause.FULL:
            said = "the disk is full"
        elif isinstance(error, OSError):
            said = error.strerror or str(error)
        else:
            # SQLite keeps no text for an error of a copy.
            said = f"SQLite reports {type(error).__name__}"
        raise DataFolderError(
            f"The {what} to {path} failed, and what was written of it is removed: {said}.",
            remedy_for(error),
        ) from error


def copy_stream(source: BinaryIO, target: Path, copied: Callable[[int], None]) -> str:
    """Copy a file from where it stands to its end; durable when this returns.

    Returns:
        The checksum of what was copied.

    Raises:
        OSError: the disk refused.
    """
    checksum = hashlib.blake2b(digest_size=32)
    with opened_new(target) as file:
        while chunk := source.read(_CHUNK_BYTES):
            checksum.update(chunk)
            file.write(chunk)
            copied(len(chunk))
    return checksum.hexdigest()


def checksum_of(path: Path, read: Callable[[int], None]) -> str:
    """The checksum of a file as it now is on the disk.

    Raises:
        OSError: the disk refused.
    """
    checksum = hashlib.blake2b(digest_size=32)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum.update(chunk)
            read(len(chunk))
    return checksum.hexdigest()
