"""Stage 2: which tracked ids are in which sets, of the ids that are this partition's.

It only takes unions and minima: it does not matter in which order records come, whether they come
again, and where a batch ends. A month is closed here when it is closed in every partition of
stage 1 that hands records on: then nothing of it can come that was not here before.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from headcount.counting.batch import Facts, MonthOfFacts
from headcount.counting.calendar import Period
from headcount.counting.folded import Folded, Indexes
from headcount.counting.tracked_ids import fold_tracked
from headcount.meter.digestion import FoldHalf
from headcount.stages.chain import Arrival
from headcount.stages.forget_orders import decoded_order
from headcount.stages.gone_queues import GoneQueues
from headcount.stages.packs import PartitionOrder, PartitionOrderKind
from headcount.stages.partition_meter import Item, LogPlace, PartitionMeter
from headcount.stages.tracked_records import TRACKED_DTYPE, TrackedRecords, facts_of_records

__all__ = ["SecondStage", "fold_second"]

_log = logging.getLogger(__name__)


def fold_second(facts: Facts, indexes: Indexes, _window_days: int) -> Folded:
    """The second half of `fold`."""
    return fold_tracked(MonthOfFacts.each(facts), indexes)


_BITS = 62
"""Partitions of stage 1 that one watermark tells of: SQLite's integers have 63 bits, and a sign."""


class SecondStage(PartitionMeter):
    """Counts one partition of ids; `origins` are all partitions of stage 1, the other arguments
    those of `PartitionMeter`."""

    STAGE = "keys"
    # As outboxes are where a partition of messages did not end well, or was put back.
    RENEWED = True

    def __init__(self, number: int, *rest: Any, **more: Any) -> None:
        super().__init__(number, *rest, **more)
        # Outboxes become other queues; a journal stays one for ever.
        self.gone_queues = GoneQueues(self.store, self.chain, self._clock_ms)
        self._closing = {
            name: bits for name, bits in self.store.watermarks().items() if name.startswith("seal ")
        }

    def _half(self) -> FoldHalf:
        return fold_second

    def _let_go(self) -> None:
        if gone := self.gone_queues.look(self.positions, self._origins()):
            _log.info("%s lets %d positions in queues go that are no more", self.name, len(gone))

    def _next_batch(self, items: Sequence[Item]) -> Sequence[Item]:
        room = self._limits.facts_a_batch_max * TRACKED_DTYPE.itemsize
        batch: list[Item] = []
        for item in items:
            # Who is forgotten is so between what came before and what comes behind.
            forgets = not isinstance(item, PartitionOrder) and item.entry.forget
            if room <= 0 or (forgets and batch):
                break
            if forgets:
                return [item]
            room -= 0 if isinstance(item, PartitionOrder) else len(item.entry.data)
            batch.append(item)
        return batch

    def _count(self, batch: Sequence[Item], place: LogPlace) -> None:
        arrivals = [item for item in batch if isinstance(item, Arrival)]
        change = self._change(arrivals, place)
        for item in batch:
            if isinstance(item, PartitionOrder) and item.kind == PartitionOrderKind.CONFIRM:
                change.confirmed_day = item.day
        closing, closed = self._closed_with(arrivals)
        forgets = [data for arrival in arrivals for data in arrival.entry.forget]
        marks = self._forget(arrivals[0].origin, forgets) if forgets else {}
        change.watermarks = {**change.watermarks, **closing, **marks}
        change.sealed = closed
        facts = self._of_open_months(facts_of_records(self._records(arrivals)))
        self.committing.commit(facts, change, self._clock_ms())
        self._closing.update(closing)
        for workspace, period in closed:
            self.committing.sealing.close(workspace, period)
        if forgets:
            self.forgetting.reload()
        self.counted_facts += len(facts)
        self._committed(change)

    def _records(self, arrivals: Sequence[Arrival]) -> TrackedRecords:
        """What arrivals bring, those forgotten under their other names."""
        if not self.forgetting.orders:
            data = b"".join(arrival.entry.data for arrival in arrivals)
            return np.frombuffer(data, TRACKED_DTYPE)
        return np.concatenate(
            [
                self.forgetting.renamed(
                    np.frombuffer(arrival.entry.data, TRACKED_DTYPE), arrival.entry.forgotten
                )
                for arrival in arrivals
            ]
        )

    def _forget(self, origin: str, forgets: Sequence[bytes]) -> dict[str, int]:
        """Forget who is to be, once; and note that a partition of stage 1 has."""
        marks: dict[str, int] = {}
        for order in filter(None, map(decoded_order, forgets)):
            if order.number not in self.forgetting.orders:
                if order.expires_at_ms <= self._clock_ms():
                    continue  # it is carried out for good, and comes again out of an old copy
                marks |= self.forgetting.carry_out(order)
                marks |= self.forgetting.kept(order)
            marks |= self.forgetting.passed(order, origin, self._origins())
        return marks

    def _of_open_months(self, facts: Facts) -> Facts:
        """Those that can be new: what comes of a closed month is sent again, and was counted."""
        kept, _late = self.committing.sealing.split(facts)
        return kept

    def _closed_with(
        self, arrivals: Sequence[Arrival]
    ) -> tuple[dict[str, int], list[tuple[int, Period]]]:
        """Which partitions have closed which months by now, as bits; and what is closed by all."""
        places = {origin: divmod(at, _BITS) for at, origin in enumerate(self._origins())}
        words = range(-(-len(places) // _BITS))
        closing: dict[str, int] = {}
        closed = []

        def bits(name: str) -> int:
            return closing.get(name, self._closing.get(name, 0))

        for arrival in arrivals:
            word, bit = places.get(arrival.origin, (0, None))
            for workspace, number in arrival.entry.sealed:
                names = [
                    f"seal {workspace} {number}" + (f" {each}" if each else "") for each in words
                ]
                if bit is not None:
                    closing[names[word]] = bits(names[word]) | 1 << bit
                by_all = sum(bits(name).bit_count() for name in names) == len(places)
                period = Period(number)
                is_new = not self.committing.sealing.is_sealed(workspace, period)
                if by_all and is_new and (workspace, period) not in closed:
                    closed.append((workspace, period))
        return closing, closed
