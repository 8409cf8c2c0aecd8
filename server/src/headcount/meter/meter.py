"""One step of metering after the other: take entries, count them, let the journals delete them.

Takes what the journals hold, in order of arrival; hands the store one change a batch, which
`headcount.meter.committing` makes and commits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import NamedTuple

import apsw

from headcount import telemetry
from headcount.counting.alerts import AlertSetup
from headcount.counting.aside import Aside, AsideReason
from headcount.counting.batch import Facts, bytes_of, numbered_facts
from headcount.counting.calendar import Period, day_of_ms
from headcount.counting.folded import Folded
from headcount.counting.hashing import KeyPlan
from headcount.counting.plausible import bounds_of, is_clock_plausible, sorted_out
from headcount.errors import DamagedDataError, StorageUnavailableError
from headcount.journal import MeterSource, MeterSources, refuse_older_store
from headcount.meter.alerts import AlertWatch
from headcount.meter.arrivals import Arrivals, take
from headcount.meter.committing import Committing, report
from headcount.meter.forgetting import Forgetting, IdHashes
from headcount.meter.former_key import is_former_key_done
from headcount.meter.freshness import Freshness
from headcount.meter.limits import MeterLimits
from headcount.meter.notices import Telling
from headcount.meter.overtaken import Overtaken
from headcount.meter.sources import KnownSources
from headcount.store.protocol import Change, MeterStore
from headcount.troubles import Troubles

__all__ = ["Meter", "Step"]

_log = logging.getLogger(__name__)

_PRUNE_EVERY_MS = 500
_MARK_EVERY_MS = 1_000
_TELL_EVERY_MS = 2_000


class Step(NamedTuple):
    """What one step did.

    Attributes:
        facts: how many facts it metered.
        drained: whether every journal was empty behind it.
    """

    facts: int
    drained: bool


class Meter:
    """Meters one data folder.

    Args:
        store: where keys and counts go.
        journals: where facts come from.
        clock_ms: the time, in milliseconds since 1970.
        window_days: how many days apart two deliveries of one message id in different periods
            may be and still be one message.
        limits: bounds on batches and memory; None for the defaults.
        sources: gives the workspace's number by the source's, as the catalog has them at the
            moment; None to believe what most facts say.
        troubles: where it says what is not counted; None to log it only.
        key_plan: which hash key serves which month, at the moment.
        alerts: gives what people want to be told of, the same object while it has not changed;
            None for nothing.

    Attributes:
        counted_facts: how many facts it has metered.

    Raises:
        DataFolderError: the store or a journal cannot be used as it is.
    """

    def __init__(
        self,
        store: MeterStore,
        journals: MeterSources,
        clock_ms: Callable[[], int],
        window_days: int,
        limits: MeterLimits | None = None,
        sources: Callable[[], Mapping[int, int]] | None = None,
        troubles: Troubles | None = None,
        key_plan: Callable[[], KeyPlan] = KeyPlan,
        alerts: Callable[[], AlertSetup] | None = None,
    ) -> None:
        self._key_plan = key_plan
        self._store = store
        self._journals = journals
        self._clock_ms = clock_ms
        self._window_days = window_days
        self._limits = limits or MeterLimits()
        self._open: dict[str, MeterSource] = {}
        self._positions = dict(store.state().positions)
        self._pruned: dict[str, int] = {}
        self._unpruned: set[str] = set()
        self._pruned_at_ms = 0
        self._marked_at_ms = 0
        self._sources = KnownSources(sources)
        troubles = troubles or Troubles(None, "meter", clock_ms)
        self._telling = Telling(store, troubles)
        self._aside_changed = True
        self._told_at_ms = 0
        self.before_step: Callable[[], None] = lambda: None
        self.counted_facts = 0
        if store.files is not None:
            store.files.tidy(clock_ms())
        self._committing = Committing(store, clock_ms, window_days, self._limits, key_plan)
        self.indexes, self._sealing = self._committing.indexes, self._committing.sealing
        self._lookups = (0, 0)
        self._alerts = AlertWatch(store, alerts, clock_ms, troubles)
        self._committing.before_commit = lambda _, change: self._alerts.judge(change)
        self._open_new_journals()
        waiting_ms = take(self._open.values(), self._positions, 0).heads_ms
        self._freshness = Freshness(store, min([clock_ms(), *waiting_ms]))
        self._overtaken = Overtaken()

    @property
    def on_folded(self) -> Callable[[Folded], None]:
        """Called with each batch, once it is committed and the indexes know it."""
        return self._committing.on_folded

    @on_folded.setter
    def on_folded(self, call: Callable[[Folded], None]) -> None:
        self._committing.on_folded = call

    @property
    def counted_until_ms(self) -> int:
        """Until when everything that had come is metered, milliseconds since 1970."""
        return self._freshness.until_ms

    def step(self) -> Step:
        """Meter one batch, if there is anything.

        Raises:
            StorageUnavailableError: nothing was committed; the same step can be tried again.
            DataFolderError: a journal cannot be read as it is.
        """
        # Journals are looked at one after the other, so nothing later than the beginning is sure.
        now_ms = self._clock_ms()
        self._open_new_journals()
        today, last_day = day_of_ms(now_ms), self._last_day()
        taken = self._take()
        drained = not taken.heads_ms
        try:
            self.before_step()
            none_waited = self._meter_confirmed(now_ms)
            drained &= none_waited
            until_ms = self._freshness.looked(
                now_ms,
                taken.least_ms,
                self._waiting_ms(taken),
                plausible=is_clock_plausible(today, last_day),
            )
            if not taken.positions:
                self._mark(now_ms, until_ms)
            else:
                self._meter(taken, until_ms, now_ms, last_day)
            if taken.positions or not none_waited:
                last_day = self._last_day()
            self._tell(now_ms, last_day)
        except StorageUnavailableError:
            # A run that is half written may be what fills the disk.
            self.indexes.abort_writes()
            raise
        self.counted_facts += taken.messages
        if now_ms - self._pruned_at_ms >= _PRUNE_EVERY_MS or now_ms < self._pruned_at_ms:
            self._prune()
            self._pruned_at_ms = now_ms
        self.indexes.upkeep()
        self._alerts.look(drained=drained)
        if drained:
            self._sealing.seal_due()
        return Step(taken.messages, drained)

    def _last_day(self) -> int | None:
        """The latest day that was counted or confirmed."""
        state = self._store.state()
        days = state.last_metered_day, state.trusted_day
        return max((day for day in days if day is not None), default=None)

    def _tell(self, now_ms: int, last_day: int | None) -> None:
        # Adding up what is aside takes a while where much is; it need not be after every batch.
        due = self._aside_changed and abs(now_ms - self._told_at_ms) >= _TELL_EVERY_MS
        self._telling.tell(day_of_ms(now_ms), last_day, changed=due)
        if due:
            self._aside_changed = False
            self._told_at_ms = now_ms

    def _open_new_journals(self) -> None:
        held = {journal.path for journal in self._open.values()}
        for path in self._journals.paths():
            if path not in held:
                journal = self._journals.open(path)
                self._open[journal.uuid] = journal
                refuse_older_store(journal, self._positions.get(journal.uuid, 0))

    def _take(self) -> Arrivals:
        return take(self._open.values(), self._positions, self._limits.facts_a_batch_max)

    def _waiting_ms(self, taken: Arrivals) -> list[int]:
        """Moments before all of which nothing waits behind a batch."""
        if not taken.heads_ms:
            return []
        journals = self._open.values()
        overtaken_ms = self._overtaken.moments(journals, self._positions, taken.positions)
        return [*taken.heads_ms, *overtaken_ms]

    def peek(self) -> list[bytes]:
        """The packed facts that the next step would meter, entry by entry."""
        self._open_new_journals()
        return self._take().facts

    def _meter(
        self, taken: Arrivals, until_ms: int | None, now_ms: int, last_day: int | None
    ) -> None:
        bounds = bounds_of(day_of_ms(now_ms), last_day)
        arrived, attributes = numbered_facts(taken.facts, taken.attributes)
        facts, implausible = sorted_out(arrived, bounds)
        strangers = self._sources.strangers(facts)
        if strangers is not None:
            unknown = Aside(AsideReason.UNKNOWN_SOURCE, bytes_of(facts[strangers]))
            implausible = [*implausible, unknown]
            facts = facts[~strangers]
        change = Change(
            attributes=attributes,
            rejections=taken.rejections,
            libraries=taken.libraries,
            positions=taken.positions,
            counted_until_ms=until_ms,
            aside=[*taken.aside, *implausible],
        )
        self._commit(facts, change, now_ms)
        self._positions.update(taken.positions)

    def _meter_confirmed(self, now_ms: int) -> bool:
        """Count what has waited, a batch of it, once its day is confirmed; whether all is done."""
        rows = self._store.confirmed_aside(self._limits.facts_a_batch_max)
        if rows:
            change = Change(counted_aside=[each.row for each in rows])
            # What their numbers meant stood in their entries.
            facts, _ = numbered_facts([each.facts for each in rows], ())
            self._commit(facts, change, now_ms)
        return not rows

    def _commit(self, facts: Facts, change: Change, now_ms: int) -> None:
        """Count facts with a change that says already what else goes with them."""
        self._alerts.takes(facts)
        folded = self._committing.commit(facts, change, now_ms)
        self._alerts.committed(change)
        self._aside_changed |= bool(change.aside or change.counted_aside)
        report(folded, change)

    def _mark(self, now_ms: int, until_ms: int | None) -> None:
        """Say that there was nothing to meter, about once a second."""
        if 0 <= now_ms - self._marked_at_ms < _MARK_EVERY_MS:
            return
        if until_ms is not None:
            self._store.commit(Change(counted_until_ms=until_ms))
        # A mark that was refused is tried again at once: a step that writes nothing proves nothing.
        self._marked_at_ms = now_ms

    def has_metered(self, last_ids: Mapping[str, int]) -> bool:
        """Whether every journal is metered up to an entry.

        Args:
            last_ids: journal UUID to the id of that entry.
        """
        return all(self._positions.get(uuid, 0) >= last for uuid, last in last_ids.items())

    def forget(
        self,
        hashes: Mapping[int, IdHashes],
        workspaces: Collection[int] | None,
        begins: Callable[[Forgetting], None] = lambda _: None,
    ) -> Forgetting:
        """Put random keys in the place of a person's, as far as is metered.

        Args:
            hashes: number of a hash key to the person's ids under it.
            workspaces: numbers of the workspaces to look in; None for all.
            begins: told what was found, before any of it is changed.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
            OperatorError: a month has a key that the hashes are not of, or keys are damaged.
        """
        forgetting = Forgetting(self._store, self._key_plan(), hashes, workspaces)
        begins(forgetting)
        # First, or a run that is being written of what was known would bring it back.
        for each in forgetting.replaced:
            self.indexes.reload(each.period)
        if forgetting.replaced or forgetting.aside:
            self._store.erasure.replace_keys(forgetting.replaced, forgetting.aside)
        return forgetting

    def forget_replaced(self, periods: Collection[Period]) -> None:
        """Delete what an interrupted `forget` has left of what was replaced in some months.

        Raises:
            StorageUnavailableError: the disk refused.
        """
        self._store.erasure.forget_replaced(periods)

    def erase(self, workspaces: Collection[int]) -> None:
        """Erase what is known of workspaces that were deleted, as far as that can go already.

        Every journal must be drained, so that nothing of theirs comes later.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
        """
        self._sealing.erase(workspaces)

    def is_former_key_done(self) -> bool:
        """Whether nothing is left that was hashed under the former of two keys.

        Every journal must be drained.
        """
        return is_former_key_done(
            self._key_plan(),
            self._store.months(),
            self._store.set_aside(),
            self._store.state().trusted_day,
            day_of_ms(self._clock_ms()),
        )

    def over_quota(self) -> Mapping[int, int]:
        """Sources that have used their quota of the month, and until when they are refused."""
        return self._alerts.over_quota()

    def report_sizes(self) -> None:
        """Set the gauges of index size."""
        for family, (keys, nbytes) in self.indexes.sizes().items():
            telemetry.INDEX_KEYS.labels(family).set(keys)
            telemetry.INDEX_BYTES.labels(family).set(nbytes)
        now = self.indexes.lookups()
        for where, before, count in zip(("tables", "disk"), self._lookups, now, strict=True):
            # Fewer than before, where a month's tables were let go of meanwhile.
            telemetry.MESSAGE_ID_LOOKUPS.labels(where).inc(max(0, count - before))
        self._lookups = now

    def lag_facts(self) -> int:
        """How many facts the journals hold that are not metered yet, as far as can be read."""
        lag = 0
        for journal_uuid, journal in self._open.items():
            with suppress(DamagedDataError):  # what is damaged is set aside in its turn, and said
                lag += journal.lag_facts(self._positions.get(journal_uuid, 0))
        return lag

    def _prune(self) -> None:
        """Delete what is metered and durable; a journal that is busy gets its turn later."""
        for journal_uuid, journal in self._open.items():
            position = self._positions.get(journal_uuid, 0)
            if self._pruned.get(journal_uuid) == position:
                continue
            try:
                if journal.prune(position):
                    self._pruned[journal_uuid] = position
                self._unpruned.discard(journal_uuid)
            except (apsw.Error, DamagedDataError) as error:
                if journal_uuid not in self._unpruned:
                    _log.warning("%s cannot be pruned for now: %s", journal.path, error)
                self._unpruned.add(journal_uuid)

    def close(self) -> None:
        """Close the journals; the store belongs to the caller. Idempotent."""
        self.indexes.close()
        while self._open:
            self._open.popitem()[1].close()
