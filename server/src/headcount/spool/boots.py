"""Which boot of the machine this is: takes the spool's folder, gives a number that grows.

Records are ordered by a clock that never steps back and that all processes share, and that begins
anew when the machine does. A number for each boot, kept in the spool, puts what an earlier one has
left before what came since.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from headcount.durable import put_whole, read_small

__all__ = ["epoch_of"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Boot(msgspec.Struct, frozen=True):
    boot: str
    epoch: int


def epoch_of(spool: Path) -> int:
    """The number of this boot; written, durably, by the first process that asks.

    Args:
        spool: the spool's folder, which must exist.

    Raises:
        OSError: the disk refused.
    """
    place, boot = spool / "boot", _boot_id()
    descriptor = os.open(spool / "boot.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        known = _read(place)
        if known is not None and known.boot == boot:
            return known.epoch
        epoch = 1 if known is None else known.epoch + 1
        put_whole(place, msgspec.json.encode(_Boot(boot, epoch)))
        return epoch
    finally:
        os.close(descriptor)


def _read(place: Path) -> _Boot | None:
    try:
        return msgspec.json.decode(read_small(place), type=_Boot)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""  # another system: its processes share the clock all the same
