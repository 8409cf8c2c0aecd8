"""Keeping the meter within its memory: takes a meter and its limits, tells intake whose posts to
refuse, and the operator that memory is short.
"""

from __future__ import annotations

import time

from headcount.allowances import Allowances
from headcount.clock import now_ms
from headcount.counting.folded import Folded
from headcount.counting.keys import MESSAGE, TRACKED
from headcount.meter import Meter, MeterLimits
from headcount.meter.memory import MemoryLevel, MemoryWatch, bytes_at_start
from headcount.store.protocol import MeterStore
from headcount.troubles import Troubles

__all__ = ["MemoryGuard"]

_KIND = "memory"
_MIB = 1 << 20
_LOOK_EVERY_S = 0.05
_REMEDY = "Give the meter more memory with --memory (HEADCOUNT_MEMORY) and restart."


class MemoryGuard:
    """Guards one meter.

    Args:
        memory_bytes: what the operator allows it.
        allowances: where intake is told.
        troubles: where the operator is told.
        ids_asked: whether each source has a budget of new ids.

    Attributes:
        limits: for the meter.
        level: how much room there was when it looked last.
    """

    def __init__(
        self, memory_bytes: int, allowances: Allowances, troubles: Troubles, *, ids_asked: bool
    ) -> None:
        self.limits = MeterLimits.within(memory_bytes)
        assert self.limits.tables_bytes_max is not None
        self._max = self.limits.tables_bytes_max
        self._watch = MemoryWatch(
            self._max, message_bytes_max=self.limits.message_bytes_max, ids_asked=ids_asked
        )
        self._allowed = f"{memory_bytes / _MIB:,.0f} MiB"
        self._allowances = allowances
        self._troubles = troubles
        self._looked_at_s = 0.0
        self.level = MemoryLevel.PLENTY
        allowances.begin()

    def fits(self, store: MeterStore, window_days: int) -> bool:
        """Whether the tables of a store's months fit; if not, everybody is told.

        A meter that started all the same would be ended by the system, again and again.
        """
        bound = self.limits.filter_bytes_max
        needed = bytes_at_start(store, now_ms(), window_days, bound)
        if needed < self._max:
            return True
        self.level = MemoryLevel.USED_UP
        self._allowances.refuse_all(refused=True)
        self._troubles.begin(
            _KIND,
            f"The meter has {self._allowed} of memory, and the ids of the month need about"
            f" {(needed - self._max) / _MIB:,.0f} MiB more: nothing is counted, and posts are"
            " answered 429. What was acknowledged waits in the journals.",
            _REMEDY,
        )
        return False

    def took(self, folded: Folded) -> None:
        """Learn of a batch that was metered."""
        moment_ms = now_ms()
        for source, ids in self._watch.took(folded).items():
            self._allowances.add_new_ids(source, ids, moment_ms)

    def look(self, meter: Meter) -> None:
        """Look how much is used, and tell; to be called often."""
        moment_s = time.monotonic()
        if moment_s - self._looked_at_s < _LOOK_EVERY_S:
            return
        self._looked_at_s = moment_s
        sizes = meter.indexes.sizes()
        held = sum(nbytes for _, nbytes in sizes.values())
        filters = meter.indexes.filter_bytes()
        # What waits is looked at only where it could matter: that asks every journal.
        waiting = meter.lag_facts() if held > self._max // 4 else 0
        messages = sizes[MESSAGE][1] - filters
        level, refused = self._watch.look(held, waiting, filters, messages, sizes[TRACKED])
        if level is MemoryLevel.PLENTY:
            if self.level is not MemoryLevel.PLENTY:
                self._allowances.begin()
                self._troubles.end(_KIND)
        else:
            for source in refused:
                self._allowances.refuse(source)
            self._allowances.refuse_all(refused=level >= MemoryLevel.FULL)
            if level is not self.level:
                self._tell(level, len(refused), held)
        self.level = level

    def _tell(self, level: MemoryLevel, refused: int, held: int) -> None:
        said = (
            f"The meter uses {held / _MIB:,.0f} of {self._max / _MIB:,.0f} MiB for ids, out of"
            f" {self._allowed} of memory: "
        )
        if level is MemoryLevel.SHORT:
            sources = "the source" if refused == 1 else f"the {refused} sources"
            bring = "brings" if refused == 1 else "bring"
            said += f"posts of {sources} that {bring} new ids fastest are answered 429."
        else:
            said += "all posts are answered 429"
            used_up = level is MemoryLevel.USED_UP
            said += ", and counting waits." if used_up else "; what was acknowledged is counted."
        # One flooded source does not make the server unfit for the others.
        self._troubles.begin(_KIND, said, _REMEDY, hinders=level >= MemoryLevel.FULL)
