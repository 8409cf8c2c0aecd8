"""How far a source is delivered, and what the vendor said: one small file, written after every
answer and synced about once a second.

Takes and gives plain numbers. After a kill nothing of it is lost; after a power cut it is a second
old at most, so that what was delivered since then is delivered again, under the same message ids.
"""

from __future__ import annotations

import contextlib
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
    found = [each for name in (_NAME, _SYNCED) if (each := _read(folder / name)) is not None]
    return max(found, key=lambda each: each.sequence, default=DeliveryProgress())


def _read(place: Path) -> DeliveryProgress | None:
    try:
        data = read_small(place)
        return _decode(data[8:]) if int(data[:8], 16) == zlib.crc32(data[8:]) else None
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
        self._synced_at_s = time.monotonic()
        self._is_synced = True
        self.progress = read_progress(folder)

    def write(self) -> None:
        """Keep what has changed."""
        self.progress.sequence += 1
        self._is_synced = False
        if time.monotonic() - self._synced_at_s >= _SYNC_EVERY_S:
            with contextlib.suppress(OSError):
                self.sync()
                return
        # A disk that is full must not end delivery, which makes room: more is delivered twice then.
        with contextlib.suppress(OSError):
            draft = self._folder / f"{_NAME}.draft"
            draft.write_bytes(self._data())
            draft.chmod(0o600)
            draft.replace(self._folder / _NAME)

    def sync(self) -> None:
        """Make it durable, if anything has changed.

        Raises:
            OSError: the disk refused.
        """
        if not self._is_synced:
            put_whole(self._folder / _SYNCED, self._data())
            self._is_synced = True
            self._synced_at_s = time.monotonic()

    def _data(self) -> bytes:
        text = _encode(self.progress)
        return b"%08x" % zlib.crc32(text) + text
