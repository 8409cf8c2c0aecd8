"""How far a source is delivered, and what the vendor said: one small file, written after every
answer and synced about once a second.

Takes and gives plain numbers. After a kill nothing of it is lost; after a power cut it is a second
old at most, so that what was delivered since then is delivered again, under the same message ids.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from pathlib import Path

import msgspec

from headcount.durable import put_whole, read_small

__all__ = ["OUTCOMES", "DeliveryProgress", "ProgressFile", "Tally", "read_progress"]

OUTCOMES = ("delivered", "refused", "expired", "dropped", "damaged")
"""What can become of a request: the vendor took it; it refused it for good; it waited for longer
than it may; the operator let it go; the spool held other bytes than were written."""

_SYNC_EVERY_S = 1.0
_NAME, _SYNCED = "progress", "progress.synced"
_SLOT_BYTES = 1 << 16
_HEAD_BYTES = 16


class Tally(msgspec.Struct):
    """How many requests, and the messages in them."""

    requests: int = 0
    messages: int = 0


class DeliveryProgress(msgspec.Struct, rename="camel"):
    """How far one source is delivered.

    Attributes:
        sequence: grows with every change.
        tallies: by outcome, one of `OUTCOMES`.
        refused: those that were refused, by the vendor's status.
        delivered: up to which byte each segment that is begun is done with, by its name.
    """

    sequence: int = 0
    tallies: dict[str, Tally] = {}
    refused: dict[int, Tally] = {}
    delivered: dict[str, int] = {}

    def count(self, outcome: str, messages: int, status: int | None = None) -> None:
        """One request more has come to its end.

        Args:
            outcome: which.
            messages: how many were in it.
            status: of a request that was refused, what the vendor answered.
        """
        tally = self.tallies.setdefault(outcome, Tally())
        tally.requests += 1
        tally.messages += messages
        if status is not None:
            of_status = self.refused.setdefault(status, Tally())
            of_status.requests += 1
            of_status.messages += messages


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeliveryProgress).decode


def read_progress(folder: Path) -> DeliveryProgress:
    """What the files of a source say; a new one where they say nothing.

    Args:
        folder: the source's, in the spool.
    """
    places = [(_NAME, 0), (_NAME, _SLOT_BYTES), (_SYNCED, 0)]
    found = [each for name, at in places if (each := _read(folder / name, at)) is not None]
    return max(found, key=lambda each: each.sequence, default=DeliveryProgress())


def _read(place: Path, at: int) -> DeliveryProgress | None:
    try:
        data = read_small(place)[at:]
        text = data[_HEAD_BYTES : _HEAD_BYTES + int(data[8:_HEAD_BYTES], 16)]
        return _decode(text) if int(data[:8], 16) == zlib.crc32(text) else None
    except (OSError, ValueError, msgspec.MsgspecError):
        return None


class ProgressFile:
    """The progress of one source, for the process that delivers.

    Args:
        folder: the source's, in the spool.

    Attributes:
        progress: as it is now; whoever changes it calls `write`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._synced_at_s = time.monotonic()
        self._is_synced = True
        self.progress = read_progress(folder)

    def write(self) -> None:
        """Keep what has changed."""
        self.progress.sequence += 1
        self._is_synced = False
        data = self._data()
        due = time.monotonic() - self._synced_at_s >= _SYNC_EVERY_S
        # A disk that is full must not end delivery, which makes room: more is delivered twice then.
        with contextlib.suppress(OSError):
            if due or len(data) > _SLOT_BYTES:
                self.sync()
            else:
                # In place, and never over what was written last: one of the two is always whole.
                slot = self.progress.sequence % 2
                os.pwrite(self._opened(), data, slot * _SLOT_BYTES)

    def sync(self) -> None:
        """Make it durable, if anything has changed.

        Raises:
            OSError: the disk refused.
        """
        if not self._is_synced:
            put_whole(self._folder / _SYNCED, self._data())
            self._is_synced = True
            self._synced_at_s = time.monotonic()

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._folder / _NAME, flags, 0o600)
        return self._descriptor

    def _data(self) -> bytes:
        text = _encode(self.progress)
        return b"%08x%08x" % (zlib.crc32(text), len(text)) + text
