"""The message ids of one period: the recent ones in memory, the others in runs.

Takes and gives what a `FirstSeenIndex` does. A busy month has a billion message ids; in
memory stand those since the last run was written, and 1.5 bytes for each older one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from headcount.counting.index import FirstSeenIndex, Probe
from headcount.counting.keys import MESSAGE, U64, KeyBlock, Slots
from headcount.store.protocol import KeyRun

__all__ = ["MessageKeys"]


class MessageKeys:
    """Message ids of one period.

    Args:
        runs: those that stand in runs.
        blocks: the others.
    """

    def __init__(self, runs: Iterable[KeyRun], blocks: Iterable[KeyBlock]) -> None:
        self._runs = list(runs)
        self._recent = FirstSeenIndex(MESSAGE)
        self._frozen: FirstSeenIndex | None = None
        self._frozen_newest_block = 0
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
        return self._recent.nbytes + frozen + sum(run.filter_bytes for run in self._runs)

    def probe(self, fingerprints: U64) -> Probe:
        """What is known of some keys; slots are those of the recent ones."""
        recent = self._recent.probe(fingerprints)
        days = recent.days
        if self._frozen is not None:
            days = np.minimum(days, self._frozen.probe(fingerprints).days)
        for run in self._runs:
            days = np.minimum(days, run.days_of(fingerprints))
        return Probe(recent.slots, days, recent.identified_days)

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
        self._runs = list(runs)
