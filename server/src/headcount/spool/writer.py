"""Writes to the spool on behalf of one journal: takes what requests of one commit leave to forward,
and makes it durable before the commit is.

    write      records, synced, for the id that the journal's next entry will have
    committed  that entry is durable: the marks say so, and what was written stands
    undo       it is not: the records are cut off again

A segment has one writer, which ends it by a closing mark: when it is large, or has stood for some
seconds, so that it can be deleted once it is delivered. While a vendor is away it stands for
longer, the more of them there are: all are looked at several times a second, so they must stay few.
What a killed writer has left open is settled by the next one of its journal, before that appends
anything.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headcount.durable import sync
from headcount.errors import SpoolUnavailableError, StorageUnavailableError
from headcount.spool.boots import epoch_of
from headcount.spool.letters import Posted
from headcount.spool.segment_files import SEGMENT_SUFFIX, folder_of_source, segments_of
from headcount.spool.segments import (
    FIRST_RECORD,
    MARK_AT,
    Mark,
    RecordHead,
    SegmentHead,
    associated,
    nonce_of,
    pack_head,
    pack_mark,
    pack_record_head,
    segment_key,
)
from headcount.spool.spool_key import fingerprint_of

__all__ = ["SpoolWriter", "lasting_s"]

_SEGMENT_BYTES = 4 << 20
_SEGMENT_S = 2.0
# So many do not matter; of more, each stands longer, for an hour at most.
_FEW_SEGMENTS = 32
_SEGMENT_MOST_S = 3600.0
_COUNT_EVERY_S = 1.0
_TAG_BYTES = 16


class SpoolWriter:
    """Writes the segments of one journal.

    Args:
        spool: the spool's folder; made when missing.
        key: the spool's key.
        journal: the UUID of the journal, whose lock this process holds.

    Raises:
        OSError: the disk refused.
    """

    def __init__(self, spool: Path, key: bytes, journal: str) -> None:
        self._spool = spool
        self._key = key
        self._journal = journal
        self._life = secrets.token_hex(4)
        self._made = 0
        self._open: dict[int, _Segment] = {}
        # Those that the commit under way has written to.
        self._written: list[_Segment] = []
        self._to_undo = False
        self._counted_at_s = float("-inf")
        spool.mkdir(mode=0o700, exist_ok=True)
        self._epoch = epoch_of(spool)

    def write(self, posted: Sequence[Posted], entry: int) -> None:
        """Make records durable that stand once the journal's entry of that id does.

        Raises:
            SpoolUnavailableError: they are not, and nothing of them is kept.
        """
        try:
            self._undo_first()
            for source, of_source in _by_source(posted).items():
                segment = self._segment(source, entry)
                self._written.append(segment)
                segment.write(of_source, entry)
        except OSError as error:
            self._undo_if_possible()
            raise SpoolUnavailableError(
                f"{error.filename or self._spool} did not take what is to be forwarded:"
                f" {error.strerror}"
            ) from error

    def committed(self, entry: int) -> None:
        """Say that the entry is durable which the last records were written for."""
        written, self._written = self._written, []
        for segment in written:
            # Whoever cannot read it in the mark asks the journal.
            with contextlib.suppress(OSError):
                segment.stand(entry)

    def undo(self) -> None:
        """Cut off the last records, whose entry did not become durable.

        Raises:
            StorageUnavailableError: the disk refused; nothing may be appended before it is done.
        """
        self._to_undo = True
        try:
            self._undo_first()
        except OSError as error:
            raise StorageUnavailableError(
                f"{error.filename or self._spool} could not be put back: {error.strerror}"
            ) from error

    def _undo_first(self) -> None:
        if self._to_undo:
            for segment in self._written:
                segment.cut()
            self._written = []
            self._to_undo = False

    def _undo_if_possible(self) -> None:
        self._to_undo = True
        with contextlib.suppress(OSError):
            self._undo_first()

    @property
    def must_undo(self) -> bool:
        """Whether records are left that never counted: another entry would make them stand."""
        return self._to_undo

    def tend(self) -> None:
        """Close the segments that have stood for long enough; to be called every second or so."""
        is_due = time.monotonic() - self._counted_at_s >= _COUNT_EVERY_S
        for source, segment in list(self._open.items()):
            if is_due:
                segment.lasts_s = self._lasting_s(source)
            if segment.is_old and segment not in self._written:
                self._close(source)
        if is_due:
            self._counted_at_s = time.monotonic()

    def _lasting_s(self, source: int) -> float:
        return lasting_s(len(segments_of(folder_of_source(self._spool, source))))

    def close(self) -> None:
        """Close all segments; idempotent."""
        self._undo_if_possible()
        for source in list(self._open):
            self._close(source)

    def _segment(self, source: int, entry: int) -> _Segment:
        segment = self._open.get(source)
        if segment is not None and (segment.is_old or segment.is_full):
            self._close(source)
            segment = None
        if segment is None:
            folder = folder_of_source(self._spool, source)
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
                sync(self._spool)
            self._made += 1
            place = folder / f"{self._journal}.{self._life}.{self._made:08}{SEGMENT_SUFFIX}"
            head = SegmentHead(
                self._journal, source, self._epoch, time.time_ns() // 1_000_000,
                secrets.token_bytes(16), fingerprint_of(self._key),
            )  # fmt: skip
            segment = self._open[source] = _Segment(place, head, self._key, entry - 1)
            segment.lasts_s = self._lasting_s(source)
        return segment

    def _close(self, source: int) -> None:
        segment = self._open.pop(source)
        # One whose closing mark is refused is settled by the next writer.
        with contextlib.suppress(OSError):
            segment.close()


def lasting_s(standing: int) -> float:
    """For how long a segment is written to, in seconds.

    Args:
        standing: how many segments its source has.
    """
    return min(_SEGMENT_S * max(1.0, (standing / _FEW_SEGMENTS) ** 2), _SEGMENT_MOST_S)


class _Segment:
    """A segment that is being written.

    Attributes:
        lasts_s: for how long.
    """

    def __init__(self, path: Path, head: SegmentHead, spool_key: bytes, entry: int) -> None:
        self._path = path
        self._head = pack_head(head)
        self._cipher = AESGCM(segment_key(spool_key, head.salt))
        self._began_s = time.monotonic()
        self.lasts_s = _SEGMENT_S
        self._numbers = 0
        self._entry = entry
        self._standing = self._end = FIRST_RECORD
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        try:
            os.pwrite(self._descriptor, self._head.ljust(FIRST_RECORD, b"\0"), 0)
            self._mark(closed=False)
            os.fsync(self._descriptor)
            sync(path.parent)
        except OSError:
            os.close(self._descriptor)
            path.unlink(missing_ok=True)
            raise

    @property
    def is_old(self) -> bool:
        """Whether it has stood for so long that what is delivered of it should go."""
        return time.monotonic() - self._began_s > self.lasts_s

    @property
    def is_full(self) -> bool:
        """Whether what follows belongs into another one."""
        return self._end >= _SEGMENT_BYTES

    def write(self, posted: Iterable[Posted], entry: int) -> None:
        """Add records behind those that stand; durable when this returns."""
        parts: list[bytes] = []
        stamp_ns = time.monotonic_ns()
        for _, received_at_ms, messages, letter in posted:
            # Counted up whether or not it will stand: its nonce has been used.
            self._numbers += 1
            head = pack_record_head(
                RecordHead(
                    len(letter) + _TAG_BYTES, entry, stamp_ns, received_at_ms, messages,
                    self._numbers,
                )
            )  # fmt: skip
            nonce = nonce_of(self._numbers)
            parts += (head, self._cipher.encrypt(nonce, letter, associated(self._head, head)))
        data = b"".join(parts)
        _write_all(self._descriptor, data, self._end)
        self._end += len(data)
        os.fdatasync(self._descriptor)
        if not os.fstat(self._descriptor).st_nlink:
            # What went into a file that nobody will find again is not acknowledged.
            raise FileNotFoundError(errno.ENOENT, "it was removed", str(self._path))

    def stand(self, entry: int) -> None:
        """Say that all that was written stands."""
        self._standing, self._entry = self._end, entry
        self._mark(closed=False)

    def cut(self) -> None:
        """Take away what was written and does not stand."""
        # Longer than what is known to be there where a write was refused half-way.
        os.ftruncate(self._descriptor, self._standing)
        os.fsync(self._descriptor)
        self._end = self._standing

    def close(self) -> None:
        """Say, durably, that nothing follows."""
        try:
            self._mark(closed=True)
            os.fdatasync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def _mark(self, *, closed: bool) -> None:
        mark = pack_mark(Mark(self._standing, self._entry, closed))
        os.pwrite(self._descriptor, mark, MARK_AT)


def _by_source(posted: Iterable[Posted]) -> dict[int, list[Posted]]:
    found: dict[int, list[Posted]] = {}
    for each in posted:
        found.setdefault(each.source, []).append(each)
    return found


def _write_all(descriptor: int, data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, at)
        rest, at = rest[written:], at + written
