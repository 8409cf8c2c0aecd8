"""Which sources have stopped forwarding because there was no room: takes a source's folder, says
since when, and of which of its forwarding's changes that is.

Written by the worker that finds no room; it holds until somebody sets the forwarding anew.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from headcount.durable import put_whole, read_small

__all__ = ["Stop", "read_stop", "write_stop"]


class Stop(msgspec.Struct, frozen=True, rename="camel"):
    """That a source forwards no more.

    Attributes:
        changes: the number of changes of the forwarding that it is of; none of another.
        stopped_at_ms: since when, milliseconds since 1970.
    """

    changes: int
    stopped_at_ms: int


def write_stop(folder: Path, stop: Stop) -> None:
    """Say it, durably.

    Args:
        folder: the source's, in the spool, which must exist.

    Raises:
        OSError: the disk refused.
    """
    put_whole(folder / "stopped", msgspec.json.encode(stop))


def read_stop(folder: Path, changes: int) -> Stop | None:
    """What is said of a forwarding as it is after so many changes; None where it goes on."""
    try:
        found = msgspec.json.decode(read_small(folder / "stopped"), type=Stop)
    except (OSError, msgspec.DecodeError):
        return None
    return found if found.changes == changes else None
