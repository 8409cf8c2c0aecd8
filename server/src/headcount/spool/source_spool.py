"""Gives what a source has in the spool, one request at a time, in the order in which they became
durable; takes what became of each, and deletes segments that are done with.

Each life of a worker has written one chain of segments, in order. Of the heads of all chains the
one that was written first is due. Two things keep that exact while workers write: what was written
after the look began waits for the next look, since something older may have come to a chain that
was looked at before; and a head of which it is not known yet whether it stands holds up what was
written after it. Not known is that for the time of a commit, or until the journal is asked.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headcount.spool.delivered import ProgressFile
from headcount.spool.letters import Letter, decoded
from headcount.spool.segment_files import (
    SegmentFile,
    folder_of_source,
    open_segment,
    segments_of,
)
from headcount.spool.segments import (
    FIRST_RECORD,
    RECORD_HEAD_BYTES,
    RecordHead,
    SegmentHead,
    associated,
    nonce_of,
    segment_key,
)
from headcount.spool.spool_key import fingerprint_of

__all__ = ["Due", "OtherKey", "SourceSpool", "SpoolBacklog"]

_ASK_AFTER_S = 0.3


class OtherKey(Exception):
    """What is due was sealed under another key than the one that is there."""


class Due(NamedTuple):
    """What is to be delivered next.

    Attributes:
        name: of its segment.
        at, end: the bytes of it.
        record: the head of its record; None where the bytes are damaged.
    """

    name: str
    at: int
    end: int
    record: RecordHead | None


class SpoolBacklog(NamedTuple):
    """What a source has in the spool.

    Attributes:
        messages, bytes: how much of it.
        oldest_ms: when the first of it was received, milliseconds since 1970; None for nothing.
    """

    messages: int
    bytes: int
    oldest_ms: int | None


class SourceSpool:
    """The spool of one source, for the one process that delivers it.

    Args:
        spool: the spool's folder.
        source: the number of the source.
        epoch: which boot of the machine this is.
        journal_end: the id of the last entry of a journal, by its UUID; None where there is no such
            journal any more.

    Attributes:
        progress: how far it is delivered, and what became of it.
    """

    def __init__(
        self, spool: Path, source: int, epoch: int, journal_end: Callable[[str], int | None]
    ) -> None:
        self._folder = folder_of_source(spool, source)
        self._epoch = epoch
        self._journal_end = journal_end
        self._file = ProgressFile(self._folder)
        self.progress = self._file.progress
        self._open: dict[str, SegmentFile] = {}
        self._counts: dict[str, _Count] = {}
        self._unknown_since_s: dict[str, float] = {}

    def due(self) -> Due | None:
        """What is to be delivered next; None where there is nothing, or it is not known yet.

        Raises:
            OSError: the disk refused.
        """
        horizon = (self._epoch, time.monotonic_ns())
        heads = [head for chain in self._chains() if (head := self._head_of(chain)) is not None]
        first = min(heads, key=lambda head: head.order, default=None)
        return None if first is None or first.order >= horizon else first.due

    def letter(self, due: Due, key: bytes) -> Letter | None:
        """What is due, opened; None where it is damaged.

        Raises:
            OtherKey: it was sealed under another key.
            OSError: the disk refused.
        """
        segment = self._segment(due.name)
        head = segment.head
        if due.record is None or head is None:
            return None
        if head.key_id != fingerprint_of(key):
            raise OtherKey
        data = os.pread(segment.descriptor, due.end - due.at, due.at)
        clear, sealed = data[:RECORD_HEAD_BYTES], data[RECORD_HEAD_BYTES:]
        cipher = AESGCM(segment_key(key, head.salt))
        try:
            tied = associated(segment.head_bytes, clear)
            return decoded(cipher.decrypt(nonce_of(due.record.number), sealed, tied))
        except (InvalidTag, msgspec.MsgspecError):
            return None

    def done(self, due: Due, outcome: str, status: int | None = None) -> None:
        """Go on behind what was due, and tally what became of it.

        Args:
            due: from `due`.
            outcome: one of `delivered.OUTCOMES`.
            status: of what was refused, the vendor's.
        """
        messages = 0 if due.record is None else due.record.messages
        self.progress.count(outcome, messages, status)
        self.progress.delivered[due.name] = due.end
        if (count := self._counts.get(due.name)) is not None:
            count.leave(due.end, messages)
        self._file.write()

    def waiting(self) -> SpoolBacklog:
        """How much there is still to deliver.

        Raises:
            OSError: the disk refused.
        """
        messages = nbytes = 0
        oldest: list[int] = []
        for chain in self._chains():
            for name in chain:
                count = self._counted(name)
                messages += count.messages
                nbytes += max(0, count.upto - self._at(name))
                if count.messages and count.oldest_ms is not None:
                    oldest.append(count.oldest_ms)
        return SpoolBacklog(messages, nbytes, min(oldest, default=None))

    def rest(self) -> None:
        """Make what is known durable, and let files go that nothing is read from for now."""
        with contextlib.suppress(OSError):
            self._file.sync()

    def close(self) -> None:
        """Close everything; idempotent."""
        self.rest()
        self._file.close()
        while self._open:
            self._open.popitem()[1].close()

    def _chains(self) -> list[list[str]]:
        chains: dict[str, list[str]] = {}
        for path in segments_of(self._folder):
            chains.setdefault(path.name.rsplit(".", 2)[0], []).append(path.name)
        return list(chains.values())

    def _at(self, name: str) -> int:
        return self.progress.delivered.get(name, FIRST_RECORD)

    def _segment(self, name: str) -> SegmentFile:
        if name not in self._open:
            self._open[name] = open_segment(self._folder / name)
        return self._open[name]

    def _head_of(self, chain: list[str]) -> _Head | None:
        """The first of a chain that is not done with; deletes the segments that are."""
        for name in chain:
            segment = self._segment(name)
            mark, at, size = segment.mark(), self._at(name), segment.size
            if segment.head is None:
                if size < FIRST_RECORD:  # it is being made
                    self._close_segment(name)
                    return None
                if at < size:
                    return _Head((0, 0), Due(name, at, size, None))
            else:
                end = FIRST_RECORD if mark is None else mark.end
                if at < end:
                    return self._standing(segment, segment.head.epoch, at, end)
                if mark is None or not mark.closed:
                    return self._unknown(segment, segment.head, at)
            self._delete(name)
        return None

    def _standing(self, segment: SegmentFile, epoch: int, at: int, end: int) -> _Head:
        """The head of a segment, of which it is known that it stands."""
        name, record = segment.path.name, segment.record_at(at)
        self._unknown_since_s.pop(name, None)
        if record is None:
            return _Head((epoch, 0), Due(name, at, segment.next_record(at + 1, end), None))
        upto = at + RECORD_HEAD_BYTES + record.sealed_bytes
        return _Head((epoch, record.stamp_ns), Due(name, at, upto, record))

    def _unknown(self, segment: SegmentFile, head: SegmentHead, at: int) -> _Head | None:
        """The head of a segment behind its mark; it stands if the journal says so."""
        name, record = segment.path.name, segment.record_at(at)
        if record is None:
            return None
        now_s = time.monotonic()
        since_s = self._unknown_since_s.setdefault(name, now_s)
        if now_s - since_s >= _ASK_AFTER_S:
            self._unknown_since_s[name] = now_s
            last = self._journal_end(head.journal)
            # Read again: it may have been cut off, and another have come under that id.
            record = segment.record_at(at)
            if record is None:
                return None
            if last is None or record.entry <= last:
                upto = at + RECORD_HEAD_BYTES + record.sealed_bytes
                return _Head((head.epoch, record.stamp_ns), Due(name, at, upto, record))
        return _Head((head.epoch, record.stamp_ns), None)

    def _delete(self, name: str) -> None:
        """Delete a segment that is done with, once it is durable that it is."""
        self._file.sync()
        self._close_segment(name)
        (self._folder / name).unlink(missing_ok=True)
        self._counts.pop(name, None)
        self._unknown_since_s.pop(name, None)
        if self.progress.delivered.pop(name, None) is not None:
            self._file.write()

    def _close_segment(self, name: str) -> None:
        self._open.pop(name).close()

    def _counted(self, name: str) -> _Count:
        """What a segment still holds, as far as it stands."""
        count = self._counts.get(name)
        if count is None:
            count = self._counts[name] = _Count(self._at(name))
        if not count.is_whole:
            was_open = name in self._open
            count.read_on(self._segment(name))
            if not was_open:
                self._close_segment(name)
        return count


class _Head(NamedTuple):
    """The first of a chain: its place in the order of all, and what it is, once that is known."""

    order: tuple[int, int]
    due: Due | None


@dataclass(slots=True)
class _Count:
    """What a segment holds, from where it is delivered to where it was counted.

    Attributes:
        upto: the byte up to which it was counted.
        messages: how many of them are not delivered.
        oldest_ms: when the first of those was received, as of when it was counted.
        is_whole: whether nothing more will come.
    """

    upto: int
    messages: int = 0
    oldest_ms: int | None = None
    is_whole: bool = False

    def read_on(self, segment: SegmentFile) -> None:
        """Count what has come since."""
        mark = segment.mark()
        if mark is None:
            return
        while self.upto < mark.end:
            record = segment.record_at(self.upto)
            if record is None:
                self.upto = segment.next_record(self.upto + 1, mark.end)
                continue
            if not self.messages:
                self.oldest_ms = record.received_at_ms
            self.messages += record.messages
            self.upto += RECORD_HEAD_BYTES + record.sealed_bytes
        self.is_whole = mark.closed

    def leave(self, end: int, messages: int) -> None:
        """What ends at a byte is delivered."""
        if end <= self.upto:
            self.messages -= messages
        self.upto = max(self.upto, end)
