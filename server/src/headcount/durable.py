"""Files that are durable when a call returns: takes paths and bytes, gives files that only their
owner can read. Of a file that is put in place, others find the former one or all of the new one.
Reads small ones as well, and refuses what only looks like a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "DRAFT_PREFIX",
    "open_file",
    "opened_new",
    "put_new",
    "put_whole",
    "read_small",
    "sync",
    "write_new",
]

DRAFT_PREFIX = "format."
"""What the names of drafts begin with, which an interrupted process leaves behind."""


_SMALL_BYTES = 4 << 20


def open_file(path: Path) -> int:
    """Open a file for reading; gives its descriptor.

    Raises:
        OSError: it cannot be read, or is something else than a file, such as a pipe, for whose
            other end nobody is to wait.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no file", str(path))


def read_small(path: Path) -> bytes:
    """What a small file holds, and no more than 4 MB of it.

    Raises:
        OSError: as for `open_file`.
    """
    descriptor = open_file(path)
    try:
        return os.read(descriptor, _SMALL_BYTES)
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable.

    Raises:
        OSError: the disk refused.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened_new(path: Path) -> Iterator[BinaryIO]:
    """A file that is not there yet, to be written; durable at the end, its name once its folder is.

    Raises:
        OSError: the disk refused, or there is such a file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet; its name is durable once its folder is.

    Raises:
        OSError: the disk refused, or there is such a file.
    """
    with opened_new(path) as file:
        file.write(content)


def put_whole(path: Path, content: bytes) -> None:
    """Write a file anew, whole and durable or not at all.

    Raises:
        OSError: the disk refused.
    """
    with _drafted(path, content) as draft:
        draft.replace(path)


def put_new(path: Path, content: bytes) -> None:
    """Make a file, whole and durable or not at all; one that is there already stays.

    Raises:
        OSError: the disk refused.
    """
    with _drafted(path, content) as draft, contextlib.suppress(FileExistsError):
        os.link(draft, path)


@contextlib.contextmanager
def _drafted(path: Path, content: bytes) -> Iterator[Path]:
    """A durable draft beside a file, to be put in its place, which is then durable too."""
    draft = path.with_name(f"{DRAFT_PREFIX}{secrets.token_hex(8)}")
    try:
        write_new(draft, content)
        yield draft
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)
