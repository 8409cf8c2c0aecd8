"""What was acknowledged is known outside of the database that holds it.

Beside each database `X.sqlite` stands a small file `X.confirmed`: which database it is, the number
of the last entry or transaction that was acknowledged, and how many messages that were. It is
written in place after a commit is durable, so it is never ahead of what must be there, and it
survives a process that is killed. A database that is behind it has lost something: its log was cut
off, or an older copy was put in its place. The other way round is normal after a crash.

In a data folder the same stands a second time, in the folder `confirmed` and under the database's
own id. Whoever puts an older copy back takes what lies beside it along, and not what lies there.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from pathlib import Path
from typing import NamedTuple

from isal.isal_zlib import crc32

from headcount.durable import read_small
from headcount.errors import DamagedDataError
from headcount.identity import folder_of, part_name, read_identity
from headcount.wording import number_of

__all__ = [
    "Confirmed",
    "Witness",
    "confirmed_anew",
    "read_confirmed",
    "refuse_if_behind",
    "second_witness_of",
    "witness_of",
]

_MAGIC = b"HCSEEN\0\1"
_FORM = struct.Struct("<8s36sqq")
_CRC = struct.Struct("<I")
_BYTES = _FORM.size + _CRC.size
_SYNC_EVERY_S = 1.0
_APART = "confirmed"


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


def second_witness_of(folder: Path, uuid: str) -> Path:
    """The file in a data folder that confirms the same, apart from the database."""
    return folder / _APART / uuid


def read_confirmed(database: Path) -> Confirmed | None:
    """What was confirmed of a database, in the place that knows more; None where nobody can say."""
    beside = _read(witness_of(database))
    with contextlib.suppress(DamagedDataError, OSError):
        folder = folder_of(database)
        identity = None if folder is None else read_identity(folder)
        if folder is not None and identity is not None:
            uuid = identity.parts.get(part_name(folder, database), "")
            apart = _read(second_witness_of(folder, uuid)) if uuid else None
            if apart is not None and apart.uuid == uuid:
                return beside if _is_later(beside, apart) else apart
    return beside


def _is_later(one: Confirmed | None, other: Confirmed) -> bool:
    return one is not None and one.uuid == other.uuid and one.sequence > other.sequence


def _read(witness: Path) -> Confirmed | None:
    try:
        data = read_small(witness)
    except OSError:
        return None
    if len(data) != _BYTES or _CRC.unpack(data[_FORM.size :])[0] != crc32(data[: _FORM.size]):
        return None
    magic, uuid, sequence, messages = _FORM.unpack(data[: _FORM.size])
    return Confirmed(uuid.decode("ascii"), sequence, messages) if magic == _MAGIC else None


def confirmed_anew(database: Path) -> None:
    """Let what stands beside a database that was rewritten be all that is confirmed of it.

    Raises:
        OSError: the disk refused.
    """
    beside, folder = _read(witness_of(database)), folder_of(database)
    if beside is not None and folder is not None:
        second_witness_of(folder, beside.uuid).unlink(missing_ok=True)


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
        self._synced_at_s = time.monotonic()
        former = read_confirmed(database)
        known = former[1:] if former is not None and former.uuid == uuid else (0, 0)
        places = [witness_of(database)]
        if (folder := folder_of(database)) is not None:
            with contextlib.suppress(OSError):
                (folder / _APART).mkdir(mode=0o700, exist_ok=True)
            places.insert(0, second_witness_of(folder, uuid))
        self._text = self._text_of(*known)
        self._descriptors: list[int] = []
        for place in places:
            begun = _read(place)
            with contextlib.suppress(OSError):
                descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._descriptors.append(descriptor)
                if begun is None or begun.uuid != uuid:
                    os.pwrite(descriptor, self._text, 0)

    def confirm(self, sequence: int, messages: int = 0) -> None:
        """Say that all up to a number is durable; made durable itself about once a second."""
        self._text = self._text_of(sequence, messages)
        # One of the two is always exact, and the other follows once a second: it costs no more
        # than one did, and they are wrong together only if both are put back.
        self._write(self._descriptors[:1])
        now_s = time.monotonic()
        if now_s - self._synced_at_s >= _SYNC_EVERY_S:
            self._synced_at_s = now_s
            self._write(self._descriptors)
            self._sync(self._descriptors[:1])

    def _write(self, descriptors: list[int]) -> None:
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                os.pwrite(descriptor, self._text, 0)

    @staticmethod
    def _sync(descriptors: list[int]) -> None:
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                os.fdatasync(descriptor)

    def close(self) -> None:
        """Make durable what was confirmed; idempotent."""
        self._write(self._descriptors)
        self._sync(self._descriptors)
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _text_of(self, sequence: int, messages: int) -> bytes:
        data = _FORM.pack(_MAGIC, self._uuid, sequence, messages)
        return data + _CRC.pack(crc32(data))


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
