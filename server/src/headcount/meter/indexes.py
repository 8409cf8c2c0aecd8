"""The indexes of all periods: loaded when they are first asked for, let go when nobody asks.

Takes keys from a store, gives indexes to the fold; owns the memory they take, and decides when
keys in blocks are worth a run. Everything here can be rebuilt from the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator

from headcount.counting.calendar import Period, day_of_ms
from headcount.counting.index import FirstSeenIndex
from headcount.counting.keys import MESSAGE, TRACKED, Family
from headcount.errors import StorageUnavailableError
from headcount.meter.limits import MeterLimits
from headcount.meter.merging import RunMerging
from headcount.meter.messages import MessageKeys
from headcount.store.protocol import MeterStore

__all__ = ["MeterIndexes"]

_log = logging.getLogger(__name__)

_UNUSED_FOR_MS = 60_000
_RETRY_AFTER_MS = 60_000
_MERGE_RETRY_AFTER_MS = 600_000

Place = tuple[Period, Family]


class MeterIndexes:
    """One index for each period and family that holds keys.

    Args:
        store: where keys are read from, and runs are written to.
        clock_ms: the time, in milliseconds since 1970.
        window_days: how far from today message ids are asked for all the time.
        limits: bounds on memory.
    """

    def __init__(
        self,
        store: MeterStore,
        clock_ms: Callable[[], int],
        window_days: int,
        limits: MeterLimits,
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._window_days = window_days
        self._limits = limits
        self._stored: set[Place] = set(store.key_periods())
        self._sealed: dict[Period, list[int]] = {}
        self._tracked: dict[Period, FirstSeenIndex] = {}
        self._messages: dict[Period, MessageKeys] = {}
        self._used_at_ms: dict[Place, int] = {}
        self._writing: tuple[Place, Generator[int, None, None]] | None = None
        self._merging = RunMerging(store, (p for p, family in self._stored if family == MESSAGE))
        self._refused_at_ms: int | None = None
        self._merge_refused_at_ms: int | None = None
        for place in sorted(self._stored):
            if self._is_live(place):
                self.of(*place)

    def _is_live(self, place: Place) -> bool:
        """Whether live messages ask for it: this month, and message ids up to a window away."""
        period, family = place
        today = day_of_ms(self._clock_ms())
        window_days = self._window_days if family == MESSAGE else 0
        return Period.of_day(today - window_days) <= period <= Period.of_day(today + window_days)

    def knows(self, period: Period, family: Family) -> bool:
        """Whether a period and family may hold any key."""
        held = self._tracked if family == TRACKED else self._messages
        return period in held or (period, family) in self._stored

    def sealed_workspaces(self, period: Period) -> list[int]:
        """The workspaces that are done with a period, while another may need its keys."""
        return self._sealed.get(period, [])

    def seal(self, workspace: int, period: Period) -> None:
        """Treat the keys of a workspace in a period as forgotten."""
        self._sealed.setdefault(period, []).append(workspace)

    def of(self, period: Period, family: Family) -> FirstSeenIndex | MessageKeys:
        """The index of a period and family, an empty one when it holds no key yet."""
        self._used_at_ms[period, family] = self._clock_ms()
        return self._tracked_of(period) if family == TRACKED else self._messages_of(period)

    def _tracked_of(self, period: Period) -> FirstSeenIndex:
        if period not in self._tracked:
            index = FirstSeenIndex(TRACKED)
            runs = self._store.key_runs(period, TRACKED)
            in_runs = [block for run in runs for block in run.blocks()]
            index.fill([*in_runs, *self._store.key_blocks(period, TRACKED)])
            self._tracked[period] = index
        return self._tracked[period]

    def _messages_of(self, period: Period) -> MessageKeys:
        if period not in self._messages:
            self._messages[period] = MessageKeys(
                self._store.key_runs(period, MESSAGE), self._store.key_blocks(period, MESSAGE)
            )
        return self._messages[period]

    def sizes(self) -> dict[Family, tuple[int, int]]:
        """Keys and bytes in memory, by family."""
        tracked, messages = self._tracked.values(), self._messages.values()
        return {
            TRACKED: (sum(map(len, tracked)), sum(index.nbytes for index in tracked)),
            MESSAGE: (sum(i.keys for i in messages), sum(i.nbytes for i in messages)),
        }

    def drop(self, period: Period) -> None:
        """Forget a period whose keys the store has dropped."""
        self._merging.drop(period)
        for place in ((period, TRACKED), (period, MESSAGE)):
            if place in self._used_at_ms:
                self._forget(place)
            self._stored.discard(place)

    def upkeep(self) -> None:
        """Write one part of a run, and one of a merged run, if any is due; let go of what nobody
        has asked for."""
        self._store.verify_part()
        self._let_go()
        if not self._refused_lately(self._refused_at_ms, _RETRY_AFTER_MS):
            try:
                self._write_part()
            except StorageUnavailableError as error:
                _log.error("%s; the keys stay where they are, and it is tried again later", error)
                self.give_up()
                return
        if not self._refused_lately(self._merge_refused_at_ms, _MERGE_RETRY_AFTER_MS):
            try:
                merged = self._merging.step()
            except StorageUnavailableError as error:
                _log.error("%s; the runs stay as they are, and it is tried again later", error)
                self._merge_refused_at_ms = self._clock_ms()
                return
            if merged in self._messages:
                self._messages[merged].replace_runs(self._store.key_runs(merged, MESSAGE))

    def _refused_lately(self, refused_at_ms: int | None, pause_ms: int) -> bool:
        return refused_at_ms is not None and 0 <= self._clock_ms() - refused_at_ms < pause_ms

    def give_up(self) -> None:
        """Abandon what is being written, which gives its room back, and write no more for now."""
        self.close()
        self._refused_at_ms = self._merge_refused_at_ms = self._clock_ms()

    def _write_part(self) -> None:
        if self._writing is None:
            self._writing = self._next_run()
        if self._writing is not None and next(self._writing[1], None) is None:
            self._writing = None

    def _next_run(self) -> tuple[Place, Generator[int, None, None]] | None:
        for period, messages in self._messages.items():
            if messages.recent_keys > self._limits.message_keys_in_memory_max:
                return (period, MESSAGE), self._write_messages(period, messages)
        for period, tracked in self._tracked.items():
            in_blocks = self._store.keys_in_blocks(period, TRACKED)
            if in_blocks > max(self._limits.tracked_keys_in_blocks_max, len(tracked) // 4):
                return (period, TRACKED), self._write_tracked(period, tracked)
        return None

    def _write_messages(self, period: Period, messages: MessageKeys) -> Generator[int, None, None]:
        frozen, upto_block = messages.freeze(self._store.newest_block())
        yield from self._store.write_run(
            period, MESSAGE, frozen.blocks(), upto_block, keys=len(frozen), instead_of_all=False
        )
        self._stored.add((period, MESSAGE))
        self._merging.look_at(period)
        messages.take_over(self._store.key_runs(period, MESSAGE))

    def _write_tracked(self, period: Period, tracked: FirstSeenIndex) -> Generator[int, None, None]:
        upto_block = self._store.newest_block()
        yield from self._store.write_run(
            period, TRACKED, tracked.blocks(), upto_block, keys=len(tracked), instead_of_all=True
        )
        self._stored.add((period, TRACKED))

    def _let_go(self) -> None:
        """Forget indexes of past months: those unused for a while, and the oldest of too many."""
        now_ms = self._clock_ms()
        past = [place for place in self._used_at_ms if not self._is_live(place)]
        held_bytes = sum(self._held(place).nbytes for place in past)
        for place in sorted(past, key=self._used_at_ms.__getitem__):
            unused_ms = now_ms - self._used_at_ms[place]
            if unused_ms < _UNUSED_FOR_MS and held_bytes <= self._limits.past_bytes_max:
                break
            held_bytes -= self._held(place).nbytes
            self._forget(place)

    def _held(self, place: Place) -> FirstSeenIndex | MessageKeys:
        period, family = place
        return self._tracked[period] if family == TRACKED else self._messages[period]

    def _forget(self, place: Place) -> None:
        period, family = place
        self._abandon(period)
        # It may hold keys that came after this process had asked what is stored.
        self._stored.add(place)
        del self._used_at_ms[place]
        (self._tracked if family == TRACKED else self._messages).pop(period)

    def _abandon(self, period: Period) -> None:
        if self._writing is not None and self._writing[0][0] == period:
            self._writing[1].close()
            self._writing = None

    def close(self) -> None:
        """Abandon what is being written; what was committed stands."""
        self._merging.close()
        if self._writing is not None:
            self._writing[1].close()
            self._writing = None
