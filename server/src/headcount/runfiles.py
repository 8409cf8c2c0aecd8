"""Small files by which the processes of a running server tell one another, and commands beside it,
how they are. They are not durable, and nothing that is counted depends on them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from headcount.durable import read_small

__all__ = ["ChildState", "read_whole", "write_whole"]

T = TypeVar("T")


class ChildState(msgspec.Struct, frozen=True):
    """One process of a server, as its supervisor describes it.

    Attributes:
        role: `"intake"`, `"meter"`, `"api"` or `"forward"`.
        ready: whether it does its work.
        endings: how often it has ended without having been told to, since it last lived for a
            while.
        said: how often, since when and why, as sentences; empty when it has not.
    """

    role: str
    ready: bool
    endings: int = 0
    said: str = ""


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
