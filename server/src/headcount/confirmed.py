"""What was acknowledged is known outside of the database that holds it.

Beside each database `X.sqlite` stands a small file `X.confirmed`: which database it is, the number
of the last entry or transaction that was acknowledged, and how many messages that were. It is
written in place after a commit is durable, so it is never ahead of what must be there, and it
survives a process that is killed. A database that is behind it has lost something: its log was cut
off, or an older copy was put in its place. The other way round is normal after a crash.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from pathlib import Path
from typing import NamedTuple

from isal.isal_zlib import crc32

from headcount.errors import DamagedDataError
from headcount.wording import number_of

__all__ = ["Confirmed", "Witness", "read_confirmed", "refuse_if_behind", "witness_of"]

_MAGIC = b"HCSEEN\0\1"
_FORM = struct.Struct("<8s36sqq")
_CRC = struct.Struct("<I")
_BYTES = _FORM.size + _CRC.size
_SYNC_EVERY_S = 1.0


class Confirmed(NamedTuple):
    """What was acknowledged.

    Attributes:
        uuid: of which database.
        sequence: the number of its last entry, or of its last transaction.
        messages: how many messages its entries ever held; 0 where it has none.
    """

    uuid: str
    sequence: int
    messages: int


def witness_of(database: Path) -> Path:
    """The file that confirms what a database holds."""
    return database.with_suffix(".confirmed")


def read_confirmed(database: Path) -> Confirmed | None:
    """What was confirmed of a database; None where nobody can say."""
    try:
        data = witness_of(database).read_bytes()
    except OSError:
        return None
    if len(data) != _BYTES or _CRC.unpack(data[_FORM.size :])[0] != crc32(data[: _FORM.size]):
        return None
    magic, uuid, sequence, messages = _FORM.unpack(data[: _FORM.size])
    return Confirmed(uuid.decode("ascii"), sequence, messages) if magic == _MAGIC else None


class Witness:
    """Confirms what one database holds, for as long as this process writes to it.

    Where the disk refuses, it confirms nothing more; the database is then ahead, which harms
    nobody.

    Args:
        database: the database file.
        uuid: which one it is.
    """

    def __init__(self, database: Path, uuid: str) -> None:
        self._uuid = uuid.encode("ascii")
        self._descriptor: int | None = None
        self._synced_at_s = time.monotonic()
        former = read_confirmed(database)
        with contextlib.suppress(OSError):
            self._descriptor = os.open(
                witness_of(database), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            if former is None or former.uuid != uuid:
                self._write(0, 0)

    def confirm(self, sequence: int, messages: int = 0) -> None:
        """Say that all up to a number is durable; made durable itself about once a second."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            self._write(sequence, messages)
            now_s = time.monotonic()
            if now_s - self._synced_at_s >= _SYNC_EVERY_S:
                self._synced_at_s = now_s
                os.fdatasync(self._descriptor)

    def _write(self, sequence: int, messages: int) -> None:
        assert self._descriptor is not None
        data = _FORM.pack(_MAGIC, self._uuid, sequence, messages)
        os.pwrite(self._descriptor, data + _CRC.pack(crc32(data)), 0)

    def close(self) -> None:
        """Make durable what was confirmed; idempotent."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.fdatasync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


def refuse_if_behind(
    database: Path, confirmed: Confirmed | None, uuid: str, sequence: int, messages: int = 0
) -> None:
    """Refuse a database that holds less than was acknowledged.

    Args:
        database: the file.
        confirmed: from `read_confirmed`, read before the database was: others may be writing.
        uuid: which database it says it is.
        sequence: the number of its last entry or transaction.
        messages: how many messages it says it ever held; 0 where it does not count them.

    Raises:
        DamagedDataError: it is behind, or another one.
    """
    if confirmed is None or confirmed.sequence == 0:
        return
    if confirmed.uuid != uuid:
        raise DamagedDataError(
            f"{database} is another file than the one that was written to here: it was replaced.",
            "Put the file back that belongs here, or restore the data folder from a backup;"
            " `headcount doctor` says more.",
        )
    missing = confirmed.sequence - sequence
    if missing <= 0:
        return
    if confirmed.messages:
        lost = max(0, confirmed.messages - messages)
        what = f"{_last(missing, 'entry')} gone, with {number_of(lost, 'acknowledged message')}"
    else:
        what = f"{_last(missing, 'change')} gone"
    raise DamagedDataError(
        f"{database} holds less than was confirmed: {what}. Its log was removed or damaged, or an"
        " older copy was put in its place.",
        "Put the file and its log (-wal) back as they were, or restore the data folder from a"
        " backup. To go on without what is gone: headcount doctor --repair",
    )


def _last(count: int, noun: str) -> str:
    return f"its last {noun} is" if count == 1 else f"its last {number_of(count, noun)} are"
