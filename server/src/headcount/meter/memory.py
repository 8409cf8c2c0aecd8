"""The meter's memory: takes what its tables hold and what waits, says whose posts to refuse.

Message ids go to disk as they become many, so what grows without end are the tracked ids of the
month. They must be in memory, and what was acknowledged must be counted: so intake is told to
answer 429 before the room is used up, while there is still a reserve for what waits in journals.

    plenty       nobody is refused
    short        the sources that bring new ids fastest: as few as bring half of them; and again
                 as many of the others each time that a twentieth more is used
    full         everybody
    used up      counting pauses too, so that this process is not ended by the system and what
                 waits stays in the journals; usage can be read all the time
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from headcount.counting.calendar import Period, day_of_ms
from headcount.counting.folded import Folded
from headcount.counting.keys import MESSAGE, TRACKED
from headcount.counting.metrics import STORED, KeyDays
from headcount.store.protocol import MeterStore

__all__ = ["MemoryLevel", "MemoryWatch", "bytes_at_start"]

_NEAR, _SHORT, _STEP, _FULL, _RELEASE = 0.5, 0.75, 0.05, 0.9, 0.03
_RECENT_FACTS = 200_000
_IDS = [column for column, metric in enumerate(STORED) if metric.keys == KeyDays(TRACKED)]
# A table that was just laid out for ascending keys: nine bytes a slot, ten with identified days.
_TRACKED_KEY_BYTES, _MESSAGE_KEY_BYTES = 18, 16


class MemoryLevel(IntEnum):
    """How much room there is."""

    PLENTY = 0
    SHORT = 1
    FULL = 2
    USED_UP = 3


class Verdict(NamedTuple):
    """What follows from one look.

    Attributes:
        level: how much room there is.
        refused: numbers of the sources whose posts are to be refused; those of all when FULL.
    """

    level: MemoryLevel
    refused: frozenset[int]


class MemoryWatch:
    """Follows one meter.

    Args:
        tables_bytes_max: how much memory its tables may take.
        message_bytes_max: how much of it is left to message ids that have not gone to disk.
        ids_asked: whether new ids by source are asked for however much room there is.
    """

    def __init__(
        self, tables_bytes_max: int, *, message_bytes_max: int = 0, ids_asked: bool = False
    ) -> None:
        self._max = tables_bytes_max
        self._message_bytes_max = message_bytes_max
        self._ids_asked = ids_asked
        self._facts = 0
        self._new_keys = 0.0
        self._new_ids: dict[int, float] = {}
        self._refused: set[int] = set()
        self._steps = 0
        self._level = MemoryLevel.PLENTY
        self._near = False

    def took(self, folded: Folded) -> dict[int, int]:
        """Learn what a batch brought that was not known.

        Returns:
            New tracked ids by source, of those that brought any; empty far from the bound, where
            nobody asks.
        """
        self._fade()
        self._facts += folded.facts
        self._new_keys += sum(
            len(block) for (_, family), block in folded.keys.items() if family == TRACKED
        )
        if not (self._near or self._ids_asked):
            return {}
        scopes = [scope for scope in folded.counts if scope[2]]
        if not scopes:
            return {}
        counts = np.stack([folded.counts[scope] for scope in scopes])
        ids = counts[:, :, _IDS].sum(axis=(1, 2)).tolist()
        brought: dict[int, int] = {}
        for (_, _, source), new in zip(scopes, ids, strict=True):
            if new > 0:
                brought[source] = brought.get(source, 0) + new
                self._new_ids[source] = self._new_ids.get(source, 0) + new
        return brought

    def _fade(self) -> None:
        """Let what was long ago count less."""
        if self._facts < _RECENT_FACTS:
            return
        self._facts //= 2
        self._new_keys /= 2
        self._new_ids = {s: ids / 2 for s, ids in self._new_ids.items() if ids >= 2}

    def look(
        self,
        held_bytes: int,
        waiting_facts: int,
        filter_bytes: int = 0,
        message_bytes: int = 0,
        tracked: tuple[int, int] = (0, 0),
    ) -> Verdict:
        """Whose posts to refuse now.

        Args:
            held_bytes: memory of the tables.
            waiting_facts: acknowledged and not metered; room for their ids is as good as taken.
            filter_bytes: how much of the memory filters of message ids take. They have a bound of
                their own, and refusing posts frees none of it: what matters is the rest.
            message_bytes: how much of it message ids take that have not gone to disk. They come and
                go with each run that is written, so their room is left to them all the time.
            tracked: how many tracked ids there are, and the memory of their tables, which grow in
                leaps: what waits goes into their free slots first.
        """
        keys_a_fact = self._new_keys / self._facts if self._facts else 0.0
        keys, keys_bytes = tracked
        wanted_bytes = (keys + waiting_facts * keys_a_fact) * _TRACKED_KEY_BYTES
        expected = held_bytes + max(0.0, wanted_bytes - keys_bytes)
        of_messages = min(message_bytes, self._message_bytes_max)
        room = self._max - filter_bytes - self._message_bytes_max
        used = (expected - filter_bytes - of_messages) / max(1, room)
        self._near = used >= _NEAR
        if held_bytes >= self._max:
            self._level = MemoryLevel.USED_UP
        elif used >= _FULL - (_RELEASE if self._level >= MemoryLevel.FULL else 0):
            self._level = MemoryLevel.FULL
        elif used >= _SHORT - (_RELEASE if self._level >= MemoryLevel.SHORT else 0):
            self._level = MemoryLevel.SHORT
        else:
            self._level = MemoryLevel.PLENTY
            self._refused.clear()
            self._steps = 0
        if self._level >= MemoryLevel.SHORT:
            steps = 1 + int(max(0.0, used - _SHORT) / _STEP)
            while self._steps < steps:
                self._steps += 1
                self._refuse_fastest()
        return Verdict(self._level, frozenset(self._refused))

    def _refuse_fastest(self) -> None:
        """Refuse the sources that bring half of the new ids of those that are not refused yet."""
        left = {s: ids for s, ids in self._new_ids.items() if s not in self._refused}
        half = sum(left.values()) / 2
        for source in sorted(left, key=left.__getitem__, reverse=True):
            if half <= 0:
                break
            half -= left[source]
            self._refused.add(source)


def bytes_at_start(
    store: MeterStore, now_ms: int, window_days: int, filter_bytes_max: int | None = None
) -> int:
    """How much memory the tables of a meter take that starts on a store, about.

    Args:
        store: the store.
        now_ms: the time, in milliseconds since 1970.
        window_days: how far from today message ids are asked for.
        filter_bytes_max: how much of it filters of message ids may take; None for no bound.
    """
    today = day_of_ms(now_ms)
    total = filters = 0
    for period, family in store.state().key_periods:
        days = window_days if family == MESSAGE else 0
        if not Period.of_day(today - days) <= period <= Period.of_day(today + days):
            continue
        since_day = today - days - period.first_day
        in_runs, of_runs = 0, 0
        if store.files is None:
            elsewhere = sum(map(len, store.keys(period, family)))
        else:
            elsewhere = store.files.keys_in_blocks(period, family)
            runs = store.files.runs(period, family)
            in_runs = sum(run.keys for run in runs)
            of_runs = sum(run.filter_bytes for run in runs if run.last_day >= since_day)
        if family == TRACKED:
            total += _TRACKED_KEY_BYTES * (elsewhere + in_runs)
        else:
            total += _MESSAGE_KEY_BYTES * elsewhere
            filters += of_runs
    return total + (filters if filter_bytes_max is None else min(filters, filter_bytes_max))
