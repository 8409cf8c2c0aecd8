"""When what waits behind a later moment came, where the clock was set back while entries waited.

Takes journals and how far they are counted, gives the least moments. Entries stand in the order in
which they came, and as a rule their moments ascend; after the clock was set back, one with an
earlier moment may stand behind one with a later. To know is to look at them before their turn: each
is looked at once, and only while something waits. What came before 2000 by a clock that was wrong
says nothing, and is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress

from headcount.counting.facts import FIRST_MS
from headcount.errors import DamagedDataError
from headcount.journal import MeterSource

__all__ = ["Overtaken"]

_TOLD_APART_MS = 1_000


class Overtaken:
    """What was looked at in the journals of one meter."""

    def __init__(self) -> None:
        self._journals: dict[str, _Looked] = {}

    def moments(
        self,
        journals: Iterable[MeterSource],
        counted: Mapping[str, int],
        taken: Mapping[str, int],
    ) -> list[int]:
        """The least moment in each journal that has entries with an earlier one than those before.

        Args:
            journals: all of them.
            counted: journal UUID to the id up to which it is counted for good.
            taken: the same for those that are about to be counted, where they differ.
        """
        found = []
        for journal in journals:
            looked = self._journals.setdefault(journal.uuid, _Looked())
            counted_id = counted.get(journal.uuid, 0)
            looked.look(journal, counted_id)
            least_ms = looked.least_ms(counted_id, taken.get(journal.uuid, counted_id))
            if least_ms is not None:
                found.append(least_ms)
        return found


class _Looked:
    """How far one journal was looked at."""

    def __init__(self) -> None:
        self._upto_id = 0
        self._latest_ms = 0
        # Id and moment of those than which none behind them has an earlier one; both ascend.
        self._waiting: deque[tuple[int, int]] = deque()

    def look(self, journal: MeterSource, counted_id: int) -> None:
        """Look at what has come since."""
        with suppress(DamagedDataError):  # it is set aside, and said, in its turn
            for entry_id, at_ms in journal.moments(max(self._upto_id, counted_id)):
                self._upto_id = entry_id
                if at_ms >= self._latest_ms:
                    self._latest_ms = at_ms
                elif at_ms >= FIRST_MS:
                    self._note(entry_id, at_ms)

    def _note(self, entry_id: int, at_ms: int) -> None:
        waiting = self._waiting
        while waiting and waiting[-1][1] >= at_ms:
            waiting.pop()
        # Hours of them may wait: one a second is exact enough.
        if waiting and at_ms - waiting[-1][1] < _TOLD_APART_MS:
            at_ms = waiting.pop()[1]
        waiting.append((entry_id, at_ms))

    def least_ms(self, counted_id: int, taken_id: int) -> int | None:
        """The least moment behind an id; None where there is none."""
        while self._waiting and self._waiting[0][0] <= counted_id:
            self._waiting.popleft()
        return next((at_ms for entry_id, at_ms in self._waiting if entry_id > taken_id), None)
