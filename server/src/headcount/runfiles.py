"""Small files by which the processes of a running server tell one another, and commands beside it,
how they are. They are not durable, and nothing that is counted depends on them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from headcount.durable import read_small

__all__ = ["ChildState", "WholeFile", "read_whole", "write_whole"]

T = TypeVar("T")
_SETTLED_NS = 100_000_000


class ChildState(msgspec.Struct, frozen=True):
    """One process of a server, as its supervisor describes it.

    Attributes:
        role: `"intake"`, `"meter"`, `"api"` or `"forward"`.
        ready: whether it does its work.
        endings: how often it has ended without having been told to, since it last lived for a
            while.
        said: how often, since when and why, as sentences; empty when it has not.
        passes: whether it was only ended from outside, a few times, and is started again.
    """

    role: str
    ready: bool
    endings: int = 0
    said: str = ""
    passes: bool = False


def write_whole(path: Path, value: object) -> bool:
    """Write a file, so that readers find the former one or all of the new.

    Returns:
        Whether it was written: a full disk must not end whoever tells.
    """
    draft = path.with_suffix(".draft")
    try:
        draft.write_bytes(msgspec.json.encode(value))
        draft.replace(path)
    except OSError:
        return False
    return True


def read_whole(path: Path, kind: type[T]) -> T | None:
    """What a file says; None when there is none that can be read."""
    try:
        return msgspec.json.decode(read_small(path), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


class WholeFile(Generic[T]):
    """What a file says, for one who asks many times a second: read anew where it was written anew.

    Args:
        path: the file, which is only ever written by `write_whole`.
        kind: of what it says.
    """

    def __init__(self, path: Path, kind: type[T]) -> None:
        self._path = path
        self._kind = kind
        self._seen: tuple[int, ...] = ()
        self._said: T | None = None

    def read(self) -> T | None:
        """As `read_whole`."""
        try:
            found = self._path.stat()
        except OSError:
            self._seen = ()
            return None
        seen = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
        if seen != self._seen:
            # Should it be written meanwhile, it is read once more the next time. And two files that
            # were written within one turn of the kernel's clock may look the same.
            is_settled = time.time_ns() - found.st_mtime_ns > _SETTLED_NS
            self._said = read_whole(self._path, self._kind)
            self._seen = seen if is_settled else ()
        return self._said
