"""What sources have used, and which of them are refused: a small table of numbers in memory that
the meter and the intake workers of one server share.

The meter writes whom it has no memory for, and how many new ids each source brought this minute;
each worker writes how many messages it took. Everybody reads all of it, which costs a memory
access, so it takes effect at once. Nothing that is counted depends on it: it lies in `run/`, with
its room taken from the start (a full disk cannot refuse it), and ends with the server.

Theory of operation. Every cell is one 64-bit number with a single writer, and is read and written
whole. A minute's use is the minute's number above 32 bits of count, so that a cell of an earlier
minute counts as nothing. Sources share a cell where there are more than the table has columns.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from pathlib import Path

from headcount.durable import write_new

__all__ = ["Allowances", "reserve_allowances"]

_COLUMNS = 8_192
_ROW_BYTES = 8 * _COLUMNS
_STATE, _REFUSED, _NEW_IDS, _FIRST_WORKER = range(4)
_SOME_REFUSED, _ALL_REFUSED = 1, 2
_COUNT_BITS = 32
_COUNT_MAX = (1 << _COUNT_BITS) - 1
MS_PER_MINUTE = 60_000


def reserve_allowances(path: Path, workers: int) -> None:
    """Make the table's file anew, empty; for the supervisor, before any child starts.

    Args:
        path: of the file.
        workers: how many intake processes there are.

    Raises:
        OSError: the disk refused.
    """
    path.unlink(missing_ok=True)
    write_new(path, bytes(_ROW_BYTES * (_FIRST_WORKER + workers)))


class Allowances:
    """The table, as one process of the server has it.

    Args:
        path: the file that `reserve_allowances` made; where it is missing or cannot be shared,
            the table is this process's own.
        worker: whether this process is an intake worker, which gets a row of its own.
    """

    def __init__(self, path: Path | None, *, worker: bool = False) -> None:
        self._descriptor = -1
        self._map = self._shared(path)
        self._cells = memoryview(self._map).cast("Q")
        self._rows = range(_FIRST_WORKER, len(self._map) // _ROW_BYTES)
        self._own = self._claimed_row() if worker else _FIRST_WORKER

    def _shared(self, path: Path | None) -> mmap.mmap:
        if path is not None:
            try:
                self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                return mmap.mmap(self._descriptor, 0)
            except (OSError, ValueError):
                self._close_descriptor()
        return mmap.mmap(-1, (_FIRST_WORKER + 1) * _ROW_BYTES)

    def _claimed_row(self) -> int:
        """The first row that no living process has: a lock ends with the process that holds it."""
        for row in self._rows if self._descriptor >= 0 else ():
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row)
            except OSError:
                continue
            return row
        return _FIRST_WORKER

    # For the meter.

    def begin(self) -> None:
        """Refuse nobody; for a meter that starts."""
        self._cells[: _NEW_IDS * _COLUMNS] = memoryview(bytes(_NEW_IDS * _ROW_BYTES)).cast("Q")

    def refuse(self, source: int) -> None:
        """Say that there is no memory for more ids of a source."""
        self._cells[_REFUSED * _COLUMNS + source % _COLUMNS] = 1
        self._cells[_STATE] = self._cells[_STATE] or _SOME_REFUSED

    def refuse_all(self, *, refused: bool) -> None:
        """Say that there is no memory for anybody, or that there is again."""
        self._cells[_STATE] = _ALL_REFUSED if refused else _SOME_REFUSED

    def add_new_ids(self, source: int, ids: int, now_ms: int) -> None:
        """Count ids that a source brought first this minute."""
        self._add(_NEW_IDS, source, ids, now_ms)

    # For intake.

    def without_memory(self, source: int) -> bool:
        """Whether there is no memory for what a source brings."""
        state = self._cells[_STATE]
        if not state:
            return False
        return bool(state == _ALL_REFUSED or self._cells[_REFUSED * _COLUMNS + source % _COLUMNS])

    def everybody_without_memory(self) -> bool:
        """Whether there is no memory for what anybody brings."""
        return self._cells[_STATE] == _ALL_REFUSED

    def add_messages(self, source: int, messages: int, now_ms: int) -> None:
        """Count messages of a source that this worker takes."""
        self._add(self._own, source, messages, now_ms)

    def messages(self, source: int, now_ms: int) -> int:
        """How many messages of a source all workers took this minute."""
        return sum(self._count(row, source, now_ms) for row in self._rows)

    def new_ids(self, source: int, now_ms: int) -> int:
        """How many ids a source brought first this minute, as far as they are metered."""
        return self._count(_NEW_IDS, source, now_ms)

    def _add(self, row: int, source: int, count: int, now_ms: int) -> None:
        total = min(self._count(row, source, now_ms) + count, _COUNT_MAX)
        minute = now_ms // MS_PER_MINUTE & _COUNT_MAX
        self._cells[row * _COLUMNS + source % _COLUMNS] = minute << _COUNT_BITS | total

    def _count(self, row: int, source: int, now_ms: int) -> int:
        cell = self._cells[row * _COLUMNS + source % _COLUMNS]
        current = cell >> _COUNT_BITS == now_ms // MS_PER_MINUTE & _COUNT_MAX
        return cell & _COUNT_MAX if current else 0

    def close(self) -> None:
        """Leave the table; idempotent."""
        self._cells.release()
        self._map.close()
        self._close_descriptor()

    def _close_descriptor(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
