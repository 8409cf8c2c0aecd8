"""Keeping the embedded store's keys in good order: when keys in blocks are worth a run.

Takes the indexes that are in memory, writes their keys to the store's files, part by part between
two batches; decides when. Whatever is abandoned is written again later, and no count hangs on it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping

from headcount.counting.calendar import Period
from headcount.counting.index import FirstSeenIndex
from headcount.counting.keys import MESSAGE, TRACKED, Family
from headcount.errors import StorageUnavailableError
from headcount.meter.limits import MeterLimits
from headcount.meter.merging import RunMerging
from headcount.meter.messages import MessageKeys
from headcount.store.protocol import StoreFiles

__all__ = ["RunUpkeep"]

_log = logging.getLogger(__name__)

_RETRY_AFTER_MS = 60_000
_MERGE_RETRY_AFTER_MS = 600_000

Place = tuple[Period, Family]
Held = Mapping[Place, FirstSeenIndex | MessageKeys]


class _Pause:
    """The time for which nothing is tried again, after the disk has refused.

    Args:
        clock_ms: the time, in milliseconds since 1970.
        lasts_ms: how long.
    """

    def __init__(self, clock_ms: Callable[[], int], lasts_ms: int) -> None:
        self._clock_ms = clock_ms
        self._lasts_ms = lasts_ms
        self._began_at_ms: int | None = None

    def begin(self) -> None:
        """It has just refused."""
        self._began_at_ms = self._clock_ms()

    def lasts(self) -> bool:
        """Whether it is too early to try again; a clock that is set back ends it."""
        began_at_ms = self._began_at_ms
        return began_at_ms is not None and 0 <= self._clock_ms() - began_at_ms < self._lasts_ms


class RunUpkeep:
    """Writes and merges the runs of one store, one of each at a time.

    Args:
        files: whose runs.
        clock_ms: the time, in milliseconds since 1970.
        limits: how many keys may stand outside of runs.
        places: the periods and families that have keys.
        asked_since_day: of a month, from which of its days on live messages are asked of its
            message ids; the number after its last day for none.
    """

    def __init__(
        self,
        files: StoreFiles,
        clock_ms: Callable[[], int],
        limits: MeterLimits,
        places: Iterable[Place],
        asked_since_day: Callable[[Period], int],
    ) -> None:
        self._files = files
        self._limits = limits
        self._writing: tuple[Period, Generator[int, None, None]] | None = None
        self._merging = RunMerging(
            files, (p for p, family in places if family == MESSAGE), asked_since_day
        )
        self._pause = _Pause(clock_ms, _RETRY_AFTER_MS)
        self._merge_pause = _Pause(clock_ms, _MERGE_RETRY_AFTER_MS)

    def step(self, held: Held) -> None:
        """Read a part of a run that nobody has checked; write one part of a run, and one of a
        merged run, if any is due.

        Args:
            held: the indexes that are in memory.

        Raises:
            DamagedDataError: a run is damaged.
        """
        self._files.verify_part()
        if not self._pause.lasts():
            try:
                self._write_part(held)
            except StorageUnavailableError as error:
                _log.error("%s; the keys stay where they are, and it is tried again later", error)
                self.abort_writes()
                return
        if not self._merge_pause.lasts():
            try:
                merged = self._merging.step()
            except StorageUnavailableError as error:
                _log.error("%s; the runs stay as they are, and it is tried again later", error)
                self._merge_pause.begin()
                return
            messages = None if merged is None else held.get((merged, MESSAGE))
            if merged is not None and isinstance(messages, MessageKeys):
                messages.replace_runs(self._files.runs(merged, MESSAGE))

    def _write_part(self, held: Held) -> None:
        if self._writing is None:
            self._writing = self._next_run(held)
        if self._writing is not None and next(self._writing[1], None) is None:
            self._writing = None

    def _next_run(self, held: Held) -> tuple[Period, Generator[int, None, None]] | None:
        # Message ids first: what stands in memory of them is what bounds the process.
        for (period, _), index in held.items():
            if not isinstance(index, MessageKeys):
                continue
            if index.recent_keys > self._limits.message_keys_in_memory_max:
                return period, self._write_messages(period, index)
        for (period, _), index in held.items():
            if isinstance(index, FirstSeenIndex):
                in_blocks = self._files.keys_in_blocks(period, TRACKED)
                if in_blocks > max(self._limits.tracked_keys_in_blocks_max, len(index) // 4):
                    return period, self._write_tracked(period, index)
        return None

    def _write_messages(self, period: Period, messages: MessageKeys) -> Generator[int, None, None]:
        frozen, upto_block = messages.freeze(self._files.newest_block())
        yield from self._files.write_run(
            period, MESSAGE, frozen.blocks(), upto_block, keys=len(frozen), replace_existing=False
        )
        self._merging.look_at(period)
        messages.take_over(self._files.runs(period, MESSAGE))

    def _write_tracked(self, period: Period, tracked: FirstSeenIndex) -> Generator[int, None, None]:
        upto_block = self._files.newest_block()
        yield from self._files.write_run(
            period, TRACKED, tracked.blocks(), upto_block, keys=len(tracked), replace_existing=True
        )

    def abort_writes(self) -> None:
        """Abandon what is being written, which gives its room back, and write no more for now."""
        self.close()
        self._pause.begin()
        self._merge_pause.begin()

    def abandon(self, period: Period) -> None:
        """Abandon what is being written of a period."""
        if self._writing is not None and self._writing[0] == period:
            self._writing[1].close()
            self._writing = None

    def drop(self, period: Period) -> None:
        """Leave a period whose keys are gone alone."""
        self._merging.drop(period)
        self.abandon(period)

    def close(self) -> None:
        """Abandon what is being written; what was committed stands. Idempotent."""
        self._merging.close()
        if self._writing is not None:
            self._writing[1].close()
            self._writing = None
