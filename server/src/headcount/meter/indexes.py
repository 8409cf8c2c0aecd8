"""The indexes of all periods: loaded when they are first asked for, evicted when nobody asks.

Takes keys from a store, gives indexes to the fold; owns the memory they take. Everything here can
be rebuilt from the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headcount.counting.calendar import Period, day_of_ms
from headcount.counting.index import FirstSeenIndex
from headcount.counting.keys import MESSAGE, TRACKED, Family
from headcount.meter.limits import MeterLimits
from headcount.meter.messages import ALL_DAYS, MessageKeys
from headcount.meter.upkeep import RunUpkeep
from headcount.store.protocol import MeterStore

__all__ = ["MeterIndexes"]

_UNUSED_FOR_MS = 60_000

Place = tuple[Period, Family]


@dataclass(slots=True)
class _IndexState:
    """How a period and family stands that may have keys. There are three states:

    ========================  ===============================================================
    no state at all           there is no key of it anywhere
    a state without index     its keys are in the store alone, and loaded once asked for
    a state with an index     all its keys are in the index, committed or about to be
    ========================  ===============================================================

    Attributes:
        index: its keys in memory, or None.
        used_at_ms: when the index was last asked for.
    """

    index: FirstSeenIndex | MessageKeys | None = None
    used_at_ms: int = 0


class MeterIndexes:
    """One index for each period and family that holds keys.

    Args:
        store: where keys are read from.
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
        places = store.state().key_periods
        self._states = {place: _IndexState() for place in places}
        self._sealed: dict[Period, list[int]] = {}
        self._upkeep = (
            RunUpkeep(store.files, clock_ms, limits, places, self._asked_since_day)
            if store.files
            else None
        )
        for place in places:
            if self._is_live(place):
                self.of(*place)

    def _is_live(self, place: Place) -> bool:
        """Whether live messages ask for it: this month, and message ids up to a window away."""
        period, family = place
        today = day_of_ms(self._clock_ms())
        window_days = self._window_days if family == MESSAGE else 0
        return Period.of_day(today - window_days) <= period <= Period.of_day(today + window_days)

    def _asked_since_day(self, period: Period) -> int:
        """From which day of a month on a live message is asked of its message ids, and therefore
        their filters are in memory; the number after its last day where it is asked of none."""
        if not self._is_live((period, MESSAGE)):
            return period.length
        today = day_of_ms(self._clock_ms())
        return max(ALL_DAYS, today - self._window_days - period.first_day)

    def knows(self, period: Period, family: Family) -> bool:
        """Whether a period and family may hold any key."""
        return (period, family) in self._states

    def sealed_workspaces(self, period: Period) -> list[int]:
        """The workspaces that are done with a period, while another may need its keys."""
        return self._sealed.get(period, [])

    def seal(self, workspace: int, period: Period) -> None:
        """Treat the keys of a workspace in a period as forgotten."""
        self._sealed.setdefault(period, []).append(workspace)

    def of(self, period: Period, family: Family) -> FirstSeenIndex | MessageKeys:
        """The index of a period and family, an empty one when it holds no key yet."""
        state = self._states.get((period, family)) or _IndexState()
        index = self._loaded(period, family) if state.index is None else state.index
        if isinstance(index, MessageKeys):
            index.keep_filters(self._asked_since_day(period))
        state.index = index
        state.used_at_ms = self._clock_ms()
        self._states[period, family] = state
        return index

    def _loaded(self, period: Period, family: Family) -> FirstSeenIndex | MessageKeys:
        store, files = self._store, self._store.files
        if family == TRACKED:
            index = FirstSeenIndex(TRACKED)
            index.fill(list(store.keys(period, TRACKED)))
            return index
        if files is None:
            return MessageKeys([], store.keys(period, MESSAGE))
        runs, blocks = files.runs(period, MESSAGE), files.blocks(period, MESSAGE)
        return MessageKeys(runs, blocks, self._has_room)

    def _has_room(self, nbytes: int) -> bool:
        """Whether a filter of so many bytes may be kept in memory besides those that are."""
        bound = self._limits.filter_bytes_max
        return bound is None or self.filter_bytes() + nbytes <= bound

    def filter_bytes(self) -> int:
        """Bytes of memory that filters of message ids take."""
        return sum(
            index.filter_bytes for _, index in self._held() if isinstance(index, MessageKeys)
        )

    def _held(self) -> Iterator[tuple[Place, FirstSeenIndex | MessageKeys]]:
        for place, state in self._states.items():
            if state.index is not None:
                yield place, state.index

    def sizes(self) -> dict[Family, tuple[int, int]]:
        """Keys and bytes in memory, by family."""
        sizes: dict[Family, tuple[int, int]] = {TRACKED: (0, 0), MESSAGE: (0, 0)}
        for (_, family), index in self._held():
            keys, nbytes = sizes[family]
            sizes[family] = keys + len(index), nbytes + index.nbytes
        return sizes

    def lookups(self) -> tuple[int, int]:
        """How many message ids were asked of the months in memory, and how many on disk."""
        asked = looked = 0
        for _, index in self._held():
            if isinstance(index, MessageKeys):
                asked, looked = asked + index.lookups[0], looked + index.lookups[1]
        return asked, looked

    def drop(self, period: Period) -> None:
        """Forget a period whose keys the store has dropped."""
        if self._upkeep is not None:
            self._upkeep.drop(period)
        self._states.pop((period, TRACKED), None)
        self._states.pop((period, MESSAGE), None)

    def reload(self, period: Period) -> None:
        """Load the tracked ids of a period anew when they are asked for next."""
        if self._upkeep is not None:
            self._upkeep.abandon(period)
        if (state := self._states.get((period, TRACKED))) is not None:
            state.index = None

    def upkeep(self) -> None:
        """Evict what nobody has asked for; write a part of the store's runs, if any is due."""
        self._evict_idle()
        if self._upkeep is not None:
            self._upkeep.step(dict(self._held()))

    def abort_writes(self) -> None:
        """Abandon what is being written, which gives its room back, and write no more for now."""
        if self._upkeep is not None:
            self._upkeep.abort_writes()

    def _evict_idle(self) -> None:
        """Evict indexes of past months: those unused for a while, and the oldest of too many."""
        now_ms = self._clock_ms()
        past = [(place, index) for place, index in self._held() if not self._is_live(place)]
        held_bytes = sum(index.nbytes for _, index in past)
        for place, index in sorted(past, key=lambda each: self._states[each[0]].used_at_ms):
            state = self._states[place]
            if now_ms - state.used_at_ms < _UNUSED_FOR_MS and (
                held_bytes <= self._limits.past_bytes_max
            ):
                break
            held_bytes -= index.nbytes
            if self._upkeep is not None:
                self._upkeep.abandon(place[0])
            state.index = None

    def close(self) -> None:
        """Abandon what is being written; what was committed stands."""
        if self._upkeep is not None:
            self._upkeep.close()
