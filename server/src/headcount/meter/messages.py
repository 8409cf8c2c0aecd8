"""The message ids of one period: the recent ones in memory, the others in runs.

Takes and gives what a `FirstSeenIndex` does. A busy month has a billion message ids and more; in
memory stand those since the last run was written, and of the runs that live messages are asked of
their filters. A filter rules out nearly every id that is not in its run; the others are looked for
in the file.

What is too old to be a copy of a live message is not asked for one, and its filter stands on disk
only: it is read there when an import or a late message of that month asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from headcount.counting.index import FirstSeenIndex, Probe
from headcount.counting.keys import MESSAGE, NEVER, U64, KeyBlock, Slots
from headcount.store.protocol import KeyRun

__all__ = ["ALL_DAYS", "MessageKeys"]

ALL_DAYS = 0
"""The first day of a month, counted as days of keys are."""


class MessageKeys:
    """Message ids of one period.

    Args:
        runs: those that stand in runs.
        blocks: the others.
        has_room: whether so many bytes of memory may be taken for a filter more.
    """

    def __init__(
        self,
        runs: Iterable[KeyRun],
        blocks: Iterable[KeyBlock],
        has_room: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self._has_room = has_room
        self._runs = _largest_first(runs)
        self._recent = FirstSeenIndex(MESSAGE)
        self._frozen: FirstSeenIndex | None = None
        self._frozen_newest_block = 0
        self._held_since_day = ALL_DAYS
        self._asked = 0
        # A run may have been asked before it came here.
        self._looks_elsewhere = sum(run.looks for run in self._runs)
        self._recent.fill(list(blocks))

    @property
    def recent_keys(self) -> int:
        """How many keys a run could take over."""
        return len(self._recent) if self._frozen is None else len(self._frozen)

    def __len__(self) -> int:
        """How many keys it holds; one that stands in memory and in a run counts twice."""
        frozen = 0 if self._frozen is None else len(self._frozen)
        return len(self._recent) + frozen + sum(run.keys for run in self._runs)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        frozen = 0 if self._frozen is None else self._frozen.nbytes
        return self._recent.nbytes + frozen + self.filter_bytes

    @property
    def filter_bytes(self) -> int:
        """Bytes of it that filters take; those of a start are read once a key is asked for."""
        return sum(run.held_bytes for run in self._runs)

    @property
    def lookups(self) -> tuple[int, int]:
        """How many keys it was asked for, and how often one was looked for in the file of a run."""
        return self._asked, sum(run.looks for run in self._runs) - self._looks_elsewhere

    def keep_filters(self, since_day: int) -> None:
        """Keep the filters of runs that have keys of a day or later in memory, and no others.

        Args:
            since_day: a day of the month, or the number after its last one for none.
        """
        if since_day == self._held_since_day:
            return
        self._held_since_day = since_day
        for run in self._runs:
            if run.last_day < since_day:
                run.release()

    def probe(self, fingerprints: U64, since_day: int = ALL_DAYS, /) -> Probe:
        """What is known of some keys; slots are those of the recent ones.

        Args:
            fingerprints: ascending, each once.
            since_day: what was first seen on an earlier day of the month need not be known.
        """
        self._asked += len(fingerprints)
        recent = self._recent.probe(fingerprints)
        days = recent.days
        if self._frozen is not None:
            days = np.minimum(days, self._frozen.probe(fingerprints).days)
        passed_over = []
        for run in self._runs:
            if run.last_day < since_day:
                passed_over.append(run)
                continue
            self._hold(run)
            days = np.minimum(days, run.days_of(fingerprints))
        if passed_over:
            # A key that is known may have an earlier day there, and it is the earliest that counts.
            known = np.flatnonzero(days != NEVER)
            for run in passed_over if len(known) else ():
                days[known] = np.minimum(days[known], run.days_of(fingerprints[known]))
        return Probe(recent.slots, days, recent.identified_days)

    def _hold(self, run: KeyRun) -> None:
        """Have the filter of a run in memory, if it is to be there and there is room for it."""
        is_asked_often = run.last_day >= self._held_since_day
        if is_asked_often and not run.held_bytes and self._has_room(run.filter_bytes):
            run.hold()

    def upsert(self, keys: KeyBlock, slots: Slots) -> None:
        """Take in keys as they are now, with the slots that the probe just before gave."""
        # An earlier day for a key in a run is a recent key: the minimum over both is its day.
        self._recent.upsert(keys, slots)

    def freeze(self, newest_block: int) -> tuple[FirstSeenIndex, int]:
        """The recent keys, which from now on stand still until a run has taken them over.

        Args:
            newest_block: the newest block that any of them stands in.

        Returns:
            The frozen keys and the newest block of theirs: of this call, or of an earlier one
            whose run was not finished.
        """
        if self._frozen is None:
            self._frozen, self._recent = self._recent, FirstSeenIndex(MESSAGE)
            self._frozen_newest_block = newest_block
        return self._frozen, self._frozen_newest_block

    def take_over(self, runs: Iterable[KeyRun]) -> None:
        """Let go of the frozen keys, which are in these runs with all older ones."""
        self.replace_runs(runs)
        self._frozen = None

    def replace_runs(self, runs: Iterable[KeyRun]) -> None:
        """Ask these runs from now on, which hold what those before did."""
        runs = _largest_first(runs)
        self._looks_elsewhere += sum(run.looks for run in runs)
        self._looks_elsewhere -= sum(run.looks for run in self._runs)
        self._runs = runs


def _largest_first(runs: Iterable[KeyRun]) -> list[KeyRun]:
    """Runs in the order in which their filters get room: the small ones are quickly read."""
    return sorted(runs, key=lambda run: run.filter_bytes, reverse=True)
