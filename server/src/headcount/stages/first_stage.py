"""Stage 1: which messages are API calls, and which ids go on.

All copies of a message meet in one partition: rule 2 is exact here, whatever their node and month.
 What is counted depends on the order of the log alone, so that a partition which is built anew
from the log is the same: of two deliveries in two months the first counts, and so entries of one
month are counted together, and one that has several months, or a time that may not be believed,
by itself. Times are compared with when an entry was appended, not with this machine's clock.

What it hands on stands in the change that counts: written before, a crash and other ends of batches
could send ids of a message that is then left out; written after, they could be lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headcount.counting.api_calls import fold_messages
from headcount.counting.aside import Aside, AsideReason
from headcount.counting.batch import FACT_DTYPE, Facts, MonthOfFacts, facts_from_bytes
from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms
from headcount.counting.facts import FACT_BYTES, FIRST_MS, Rejection
from headcount.counting.folded import Folded, Indexes
from headcount.counting.libraries import split_tallies
from headcount.counting.plausible import bounds_of, sorted_out
from headcount.counting.sealing import is_due
from headcount.meter.committing import report
from headcount.meter.digestion import FoldHalf
from headcount.stages.chain import Arrival
from headcount.stages.forget_orders import decoded_order
from headcount.stages.packs import PackedEntry, PartitionOrder, PartitionOrderKind
from headcount.stages.partition_forgetting import FORGOTTEN
from headcount.stages.partition_meter import Item, LogPlace, PartitionMeter
from headcount.stages.tracked_records import TrackedSending
from headcount.store.partition_change import HandedOn
from headcount.store.protocol import Change

__all__ = ["FirstStage", "fold_first"]

_log = logging.getLogger(__name__)


def fold_first(facts: Facts, indexes: Indexes, window_days: int) -> Folded:
    """The first half of `fold`, which says what the other half is to have."""
    folded, left_in = fold_messages(MonthOfFacts.each(facts), indexes, window_days)
    folded.left_in = left_in
    return folded


class FirstStage(PartitionMeter):
    """Counts one partition of messages; the arguments are those of `PartitionMeter`."""

    STAGE = "facts"
    # Of sixteen partitions as many together as one meter remembers.
    RECENT_BITS = 14

    def __init__(self, number: int, *rest: Any, **more: Any) -> None:
        super().__init__(number, *rest, **more)
        self._sending = TrackedSending()
        self._days: list[int | None] | None = None
        self.on_arrivals: Callable[[Sequence[Arrival]], None] = lambda _: None
        self.on_forgotten: Callable[[int], None] = lambda _: None

    def _half(self) -> FoldHalf:
        return fold_first

    def _next_batch(self, items: Sequence[Item]) -> Sequence[Item]:
        batch: list[Item] = []
        month: Period | None = None
        room = self._limits.facts_a_batch_max * FACT_BYTES
        last_day = self._last_day()
        for item in items:
            if isinstance(item, PartitionOrder):
                return batch or [item]
            if not item.entry.data:
                batch.append(item)
                continue
            of_item = _month(item.entry, last_day)
            if of_item is None:
                return batch or [item]
            if room <= 0 or (month is not None and of_item != month):
                return batch
            month = of_item
            room -= len(item.entry.data)
            batch.append(item)
        return batch

    def _last_day(self) -> int | None:
        """The latest day that was counted or confirmed."""
        if self._days is None:
            state = self.store.state()
            self._days = [state.last_metered_day, state.trusted_day]
        return max((day for day in self._days if day is not None), default=None)

    def _committed(self, change: Change) -> None:
        super()._committed(change)
        if change.confirmed_day is not None:
            self._days = None  # they may have been taken back
        elif self._days is not None:
            self._days = [self._last_day(), change.last_metered_day, change.trusted_day]

    def _count(self, batch: Sequence[Item], place: LogPlace) -> None:
        if isinstance(batch[0], PartitionOrder):
            self._obey(batch[0], place)
            return
        arrivals = [item for item in batch if isinstance(item, Arrival)]
        change = self._change(arrivals, place)
        tallies = [Rejection(*each) for a in arrivals for each in a.entry.tallies]
        change.rejections, change.libraries, _ = split_tallies(tallies)
        at_ms = min(arrival.entry.appended_at_ms for arrival in arrivals)
        bounds = bounds_of(day_of_ms(at_ms), self._last_day())
        blocks = [a.entry.data for a in arrivals]
        facts, implausible = sorted_out(facts_from_bytes(blocks), bounds)
        change.aside = [
            *(_aside_of(each) for a in arrivals for each in a.entry.aside),
            *implausible,
        ]
        self.on_arrivals(arrivals)
        self._commit(facts, change)

    def _commit(self, facts: Facts, change: Change) -> None:
        folded = self.committing.commit(facts, change, self._clock_ms())
        self._sending.sent()
        self.counted_facts += folded.facts
        report(folded, change)
        self._committed(change)

    def _complete(self, folded: Folded, change: Change) -> None:
        super()._complete(folded, change)
        records = self._sending.records(folded.left_in)
        if len(records):
            change.outgoing = HandedOn(
                records.tobytes(), self._latest_ms, forgotten=self.forgetting.number
            )

    def _obey(self, order: PartitionOrder, place: LogPlace) -> None:
        """Do what the log says here."""
        change = Change(watermarks=place.watermarks())
        if order.kind == PartitionOrderKind.SEAL:
            period = Period(order.period)
            last_import_day = self.store.import_days().get((order.workspace, period))
            sealing = self.committing.sealing
            # What was imported since it was decided keeps it open.
            due = is_due(period, last_import_day, order.day)
            if due and not sealing.is_sealed(order.workspace, period):
                self._sending.drop(period)
                closed = [(order.workspace, order.period)]
                change.outgoing = HandedOn(b"", self._latest_ms, closed)
                sealing.seal(order.workspace, period, change)
                self._committed(change)
                return
        elif order.kind == PartitionOrderKind.CONFIRM:
            change.confirmed_day = order.day
        elif order.kind == PartitionOrderKind.FORGET:
            self._forget(order.data, change)
            return
        else:
            _log.error("an order of kind %d is not known to this version", order.kind)
        self.store.commit(change)
        self._committed(change)
        self._resume()

    def _forget(self, data: bytes, change: Change) -> None:
        """Forget somebody, and pass the order on behind all that was handed on before."""
        order = decoded_order(data)
        is_new = order is not None and order.number > self.forgetting.number
        if order is not None and is_new:
            marks = self.forgetting.carry_out(order)
            change.watermarks = {**change.watermarks, **marks, FORGOTTEN: order.number}
            change.outgoing = HandedOn(b"", self._latest_ms, forgotten=order.number, forget=[data])
        self.store.commit(change)
        self._committed(change)
        if order is not None and is_new:
            self.forgetting.reload()
            # Whoever comes again is somebody new, and goes on as such.
            self._sending = TrackedSending()
            self.on_forgotten(order.number)

    def _resume(self) -> None:
        """Count what has waited and is confirmed, row by row, before anything else."""
        while rows := self.store.confirmed_aside(1):
            change = Change(counted_aside=[rows[0].row])
            self._commit(facts_from_bytes([rows[0].facts]), change)


def _month(entry: PackedEntry, last_day: int | None) -> Period | None:
    """The month that all facts of an entry are of; None where it must be counted by itself."""
    times = np.frombuffer(entry.data, FACT_DTYPE)["received_at_ms"]
    first_ms, last_ms = int(times.min()), int(times.max())
    latest_day = min(bounds_of(day_of_ms(entry.appended_at_ms), last_day))
    if first_ms < FIRST_MS or last_ms >= (latest_day + 1) * MS_PER_DAY:
        return None
    first, last = (Period.of_day(each // MS_PER_DAY) for each in (first_ms, last_ms))
    return first if first == last else None


def _aside_of(told: tuple[str, bytes, str, int | None]) -> Aside:
    reason, facts, origin, held = told
    return Aside(AsideReason(reason), facts, origin=origin, held=held)
