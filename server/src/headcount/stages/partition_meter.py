"""The meter of one partition: follows its log, takes what the chain accepts, counts it, and says
what it has and what it lacks.

What is common to both stages. A stage says how arrivals become batches and what counting one means;
where a batch ends must change nothing (`headcount.stages.first_stage`). Positions are committed
with what they count, and where in the log to go on with them: that is a hint, and nothing hangs on
it.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from headcount.counting.folded import Folded
from headcount.counting.hashing import KeyPlan
from headcount.engines import FactLog, Follower, LogEntry
from headcount.meter.committing import Committing
from headcount.meter.digestion import FoldHalf
from headcount.meter.limits import MeterLimits
from headcount.stages.bundles import parts_of
from headcount.stages.chain import Arrival, Chain
from headcount.stages.packs import PackError, PartitionOrder, decode_pack
from headcount.stages.partition_forgetting import PartitionForgetting
from headcount.stages.tells import Confirmation, Gap, RelayMark, Tell, queue_bytes
from headcount.store.partition_protocol import PartitionStore
from headcount.store.protocol import Change

__all__ = ["LATEST", "TAKE_BYTES", "LogPlace", "PartitionMeter"]

_log = logging.getLogger(__name__)

_HINT, _HINT_AT, LATEST = "log_hint", "log_hint_at", "latest_appended_ms"
_LOG_LOST = "log_lost_ms"
_SEALING_EVERY_S = 60.0
# What a relay no longer has may still stand in the log, before where it was read.
_READ_AGAIN_AFTER_S, _READ_AGAIN_EVERY_S = 10.0, 60.0
_ACCEPTED_READ_AGAIN_EVERY_S = 2.0
TAKE_BYTES = 4 << 20
# Some thirty thousand messages: no partition is given as many between two steps unless it is late.
_BEHIND_BYTES = 1 << 20

Item = Arrival | PartitionOrder


class LogPlace(NamedTuple):
    """Where in the log something came from; `hint` and `at` as in `LogEntry`."""

    hint: int
    at: int

    def watermarks(self) -> dict[str, int]:
        """What a change says that counts up to here."""
        return {_HINT: self.hint, _HINT_AT: self.at}


class PartitionMeter(ABC):
    """Counts one partition.

    Args:
        number: of the partition.
        store: its store.
        log: where it is fed from.
        clock_ms: the time, in milliseconds since 1970.
        window_days: as `fold` takes it.
        limits: bounds on batches and memory.
        origins: all nodes, or all partitions of the stage before: whoever publishes for it.
        key_plan: which hash key serves which month.
        monotonic_s: a clock that nobody sets.

    Attributes:
        RENEWED: whether queues are replaced by others, in which all comes again that is missing.
        name: such as `facts-3`.
        on_committed: called with each change that is committed.
        confirmable: gives up to which entries queues may let go; as far as they are counted, unless
            told otherwise.
        gone: gives who publishes nothing any more, for good: what is missing of their queues when
            the log was read twice without it never comes, and what follows is taken without it.
        accepted: gives queue to the entry up to which somebody has accepted that it is lost.
        counted_facts: how many facts or records it has counted.
        forgetting: who is to be forgotten here.
        is_behind: whether the last step was given so much that there is likely more.
        log_lost_at_ms: when it was last noticed that the log has lost what was counted here: what
            came before stands in this store alone, until a backup has it; 0 for never.
    """

    STAGE: ClassVar[str]
    RECENT_BITS: ClassVar[int | None] = None
    RENEWED: ClassVar[bool] = False

    def __init__(
        self,
        number: int,
        store: PartitionStore,
        log: FactLog,
        clock_ms: Callable[[], int],
        window_days: int,
        limits: MeterLimits,
        origins: Callable[[], Sequence[str]],
        key_plan: Callable[[], KeyPlan] = KeyPlan,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.number = number
        self.name = f"{self.STAGE}-{number}"
        self.store = store
        self._clock_ms = clock_ms
        self._limits = limits
        self._origins = origins
        self._monotonic_s = monotonic_s
        self.on_committed: Callable[[Change], None] = lambda _: None
        self.confirmable: Callable[[], Mapping[str, int]] = lambda: self.positions
        self.gone: Callable[[], Collection[str]] = frozenset
        self.accepted: Callable[[], Mapping[str, int]] = dict
        self.counted_facts = 0
        if store.files is not None:
            store.files.tidy(clock_ms())
        self.committing = Committing(
            store, clock_ms, window_days, limits, key_plan, self._half(),
            recent_bits=self.RECENT_BITS,
        )  # fmt: skip
        self.committing.before_commit = self._complete
        for workspace, period in store.sealed():
            if not self.committing.sealing.is_sealed(workspace, period):
                self.committing.sealing.close(workspace, period)
        self.forgetting = PartitionForgetting(
            store, key_plan, clock_ms, self.committing.indexes.reload
        )
        self.positions = dict(store.state().positions)
        kept = store.watermarks()
        self._latest_ms = kept.get(LATEST, 0)
        self.log_lost_at_ms = kept.get(_LOG_LOST, 0)
        self.chain = Chain(number, self.positions)
        self._log = log
        self._follower = log.follow(
            f"{self.STAGE}.{number}", kept.get(_HINT), kept.get(_HINT_AT, 0)
        )
        self._place = LogPlace(kept.get(_HINT, 0), kept.get(_HINT_AT, 0))
        self._whole_at_s = self._read_again_at_s = monotonic_s()
        self._was_at_end = False
        self._lacked: dict[str, int] = {}
        self._pending: deque[tuple[Item, LogPlace]] = deque()
        self._sealing_at_s = float("-inf")
        self.unreadable = 0
        self.is_behind = False

    def wants(self) -> Follower | None:
        """Out of what it is to be given the next entries; None while it has some."""
        return None if self._pending else self._follower

    def step(self, taken: Sequence[LogEntry] | None = None) -> bool:
        """Count what the log has for it; whether there was anything.

        Args:
            taken: what `wants` gave; None to ask for it.

        Raises:
            EngineAwayError: the log cannot be asked.
            StorageUnavailableError: the disk refused; the next step tries the same again.
        """
        if taken is None and not self._pending:
            taken = self._follower.take(TAKE_BYTES)
        if taken is not None:
            self._was_at_end |= not taken
            if self._follower.set_backs:
                self._place = LogPlace(0, 0)
            for entry in taken:
                self._read(entry)
        # Behind that: what the log gave, it does not give again when the disk refuses this.
        self._note_set_back()
        self.is_behind = sum(len(entry.data) for entry in taken or ()) >= _BEHIND_BYTES
        self._resume()
        counted = bool(self._pending)
        while self._pending:
            batch = self._next_batch([item for item, _ in self._pending])
            self._count(batch, self._pending[len(batch) - 1][1])
            for _ in batch:
                self._pending.popleft()
        self.chain.look(self.positions, self._monotonic_s())
        self._read_again_if_stuck()
        self._drop_sealed()
        self.committing.indexes.upkeep()
        return counted

    def _note_set_back(self) -> None:
        """Write down that the log has lost what was read of it, before more of it is counted."""
        if not self._follower.set_backs:
            return
        lost_at_ms = self._clock_ms()
        self.store.commit(Change(watermarks=LogPlace(0, 0).watermarks() | {_LOG_LOST: lost_at_ms}))
        self._follower.set_backs = 0
        self.log_lost_at_ms = lost_at_ms
        _log.warning("the log has lost what %s had read of it; it is read anew", self.name)

    def _read_again_if_stuck(self) -> None:
        """Read the log from its beginning where something is missing that nobody sends again."""
        now_s = self._monotonic_s()
        lacking = {queue: self.positions.get(queue, 0) for queue in self.chain.lacking()}
        accepted = self.accepted() if lacking else {}
        # Somebody waits for it then.
        is_accepted = any(accepted.get(queue, 0) > at for queue, at in lacking.items())
        every_s = _ACCEPTED_READ_AGAIN_EVERY_S if is_accepted else _READ_AGAIN_EVERY_S
        if not lacking:
            self._whole_at_s = now_s
            self._lacked = {}
        elif (
            # What is missing may be ahead: days of a log are not read in a minute.
            self._was_at_end
            and now_s - self._whole_at_s >= _READ_AGAIN_AFTER_S
            and now_s - self._read_again_at_s >= every_s
        ):
            self._read_again_at_s = now_s
            self._was_at_end = False
            stuck = [queue for queue, at in lacking.items() if self._lacked.get(queue) == at]
            self._go_on_behind(stuck, accepted)
            self._lacked = lacking
            self.chain.read_anew()
            _log.warning("%s lacks entries: its log is read again from the beginning", self.name)
            self._follower.close()
            self._follower = self._log.follow(f"{self.STAGE}.{self.number}")
            self._place = LogPlace(0, 0)

    def _go_on_behind(self, queues: Iterable[str], accepted: Mapping[str, int]) -> None:
        """Go on behind what nobody has any more of queues of which the whole log brought nothing.

        Never further than to the next entry that the log does hold, in whatever order.
        """
        gone, behind = self.gone(), {}
        for queue in queues:
            hole = self.chain.hole(queue)
            if hole is not None and hole.origin in gone:
                if hole.upto:
                    behind[queue] = hole.upto
                else:
                    self.chain.expect_nothing(queue)
            elif self.RENEWED and self.chain.is_replaced(queue):
                self.chain.end(queue)
            elif (upto := accepted.get(queue, 0)) > self.positions.get(queue, 0):
                behind[queue] = min(upto, hole.upto) if hole is not None and hole.upto else upto
        if not behind:
            return
        change = Change(positions=behind)
        self.store.commit(change)
        for queue, upto in behind.items():
            self.chain.skip(queue, upto)
        self._committed(change)
        _log.warning(
            "%s goes on without what nobody has any more, in %d queues", self.name, len(behind)
        )

    def _read(self, entry: LogEntry) -> None:
        items: list[Item] = []
        for part in parts_of(entry.data):
            try:
                pack = decode_pack(part)
            except PackError as error:
                # What it held is missing in the chain, and comes again.
                self.unreadable += 1
                _log.error("entry %d of %s.%d: %s", entry.hint, self.STAGE, self.number, error)
                continue
            items += [*self.chain.take(pack, self._monotonic_s()), *pack.orders]
        # Whoever goes on from here needs the entry again until all of it is counted.
        before, self._place = self._place, LogPlace(entry.hint, entry.at)
        self._pending.extend((item, before) for item in items[:-1])
        self._pending.extend((item, self._place) for item in items[-1:])

    def _resume(self) -> None:  # noqa: B027 — most have nothing
        """Finish what a life before has begun."""

    @abstractmethod
    def _half(self) -> FoldHalf:
        """The half of the fold that is this stage's."""

    @abstractmethod
    def _next_batch(self, items: Sequence[Item]) -> Sequence[Item]:
        """How many of some items (at least one) to count in one commit, from the first on."""

    @abstractmethod
    def _count(self, batch: Sequence[Item], place: LogPlace) -> None:
        """Count a batch, and commit where in the log it came from."""

    def _complete(self, _folded: Folded, change: Change) -> None:
        """Add to a change what a stage hands on; before its commit."""
        # Which library, version or event brought what is not followed across partitions.
        change.contributions = ()

    def _change(self, arrivals: Iterable[Arrival], place: LogPlace) -> Change:
        """A change that says what arrivals move."""
        positions: dict[str, int] = {}
        for arrival in arrivals:
            positions[arrival.queue] = arrival.entry.id
            self._latest_ms = max(self._latest_ms, arrival.entry.appended_at_ms)
        watermarks = place.watermarks() | {LATEST: self._latest_ms}
        return Change(positions=positions, watermarks=watermarks)

    def _committed(self, change: Change) -> None:
        self.positions.update(change.positions)
        self.on_committed(change)

    def _drop_sealed(self) -> None:
        if self._monotonic_s() - self._sealing_at_s >= _SEALING_EVERY_S:
            self._sealing_at_s = self._monotonic_s()
            self.committing.sealing.drop_done(self._clock_ms())
            self.forgetting.let_go()
            self._let_go()

    def _let_go(self) -> None:  # noqa: B027 — only where queues come and go
        """Let go of what nobody can need any more."""

    def erase(self, workspaces: Collection[int]) -> None:
        """Erase what is known of workspaces that were deleted, as far as that can go already.

        Everything of theirs must be counted, so that nothing comes later.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
        """
        erased = self.committing.sealing.erase(workspaces, self.store.beside_counts(workspaces))
        if erased:
            self._committed(Change(erased=erased))

    def hear(self, marks: Iterable[Tell]) -> None:
        """Learn what those who publish say."""
        for mark in marks:
            if isinstance(mark, RelayMark):
                self.chain.mark(mark)

    def until_ms(self) -> int | None:
        """Until when everything that was acknowledged is counted here; None while nobody knows."""
        return self.chain.until_ms(self._origins())

    @property
    def latest_ms(self) -> int:
        """When the latest of what is counted here was appended."""
        return self._latest_ms

    def waits_for(self) -> list[str]:
        """Who has not said anything since this process began."""
        return self.chain.waits_for(self._origins())

    def confirmation(self, epoch: int) -> Confirmation:
        """What to tell those who publish: what it has on its disk."""
        told = [(queue_bytes(queue), position) for queue, position in self.confirmable().items()]
        return Confirmation(self.number, epoch, told)

    def gaps(self, epoch: int) -> list[Gap]:
        """What it lacks, as it is to be told now."""
        return [
            Gap(self.number, epoch, queue_bytes(queue), position)
            for queue, position in self.chain.gaps(self._monotonic_s())
        ]

    def close(self) -> None:
        """Stop following; the store is closed too. Idempotent."""
        self._follower.close()
        self.committing.indexes.close()
        self.store.close()
