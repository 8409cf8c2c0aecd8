"""One process's part of the data plane: takes what it hosts and a log, gives steps.

A step lets everything that is hosted do what there is to do, and tells others a few times a second
what stands. Where the log is away, the rest goes on as far as it can without, and the step says so
at its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from headcount.engines import FactLog, Hearer, LogEntry
from headcount.errors import DataFolderError, EngineAwayError, StorageUnavailableError
from headcount.stages.bundles import bundled
from headcount.stages.counts_feed import CountsFeed
from headcount.stages.counts_packs import (
    decode_counts_tells,
    encode_counts_tell,
)
from headcount.stages.mirror import Mirror
from headcount.stages.partition_meter import TAKE_BYTES, PartitionMeter
from headcount.stages.relay import Handing, Relay
from headcount.stages.tells import Tell, decode_tells, encode_tells

__all__ = [
    "COUNTS_FRESH",
    "COUNTS_WANTED",
    "HostedPartition",
    "MirrorHost",
    "PartitionHost",
    "RelayHost",
]

COUNTS_FRESH, COUNTS_WANTED = "counts_fresh", "counts_wanted"
_TELL_EVERY_S = 0.15
_PAGES_A_STEP = 16
_PUBLISHED_TOGETHER_BYTES = 4 << 20


def marks_subject(stage: str) -> str:
    """Where partitions of a stage hear until when all was published for them."""
    return f"{stage}_marks"


def said_subject(stage: str) -> str:
    """Where those who publish for a stage hear what its partitions have and lack."""
    return f"{stage}_said"


class _Host:
    """What is common to all: a log, and when something was told last.

    Once the log did not answer, nothing more is asked of it in that step: thirty partitions would
    each wait for the same answer, and who wants to stop, for all of them.
    """

    def __init__(self, log: FactLog, monotonic_s: Callable[[], float]) -> None:
        self._log = log
        self._monotonic_s = monotonic_s
        self._told_at_s = float("-inf")
        self._away: EngineAwayError | None = None
        self._hearers: dict[str, Hearer] = {}

    def _heard(self, subject: str) -> list[bytes]:
        hearer = self._hearers.get(subject)
        if hearer is None:
            hearer = self._hearers[subject] = self._log.hear(subject)
        if self._away is not None:
            return []
        try:
            return hearer.take()
        except EngineAwayError as error:
            self._away = error
            return []

    def _try(self, act: Callable[[], bool]) -> bool:
        """Do something that may meet that the log is away."""
        if self._away is not None:
            return False
        try:
            return act()
        except EngineAwayError as error:
            self._away = error
            return False

    def _tell(self, told: Sequence[tuple[str, bytes]]) -> None:
        if self._away is not None or not told:
            return
        try:
            self._log.tell_all(told)
        except EngineAwayError as error:
            self._away = error

    def _is_time_to_tell(self) -> bool:
        now_s = self._monotonic_s()
        if now_s - self._told_at_s < _TELL_EVERY_S:
            return False
        self._told_at_s = now_s
        return True

    def _end(self) -> None:
        """Say that the log is away, if it is."""
        away, self._away = self._away, None
        if away is not None:
            raise away

    def close(self) -> None:
        """Hear no more; idempotent."""
        while self._hearers:
            self._hearers.popitem()[1].close()


class RelayHost(_Host):
    """A node's relay.

    Args:
        relay: hands on the node's journals.
        log: as it uses it.
        monotonic_s: a clock that nobody sets.
        stage: whose partitions it publishes for.
    """

    def __init__(
        self,
        relay: Relay,
        log: FactLog,
        monotonic_s: Callable[[], float] = time.monotonic,
        stage: str = "facts",
    ) -> None:
        super().__init__(log, monotonic_s)
        self.relay = relay
        self._stage = stage

    def step(self) -> bool:
        """Hand on what there is; whether there may be more.

        Raises:
            EngineAwayError: the log is away; nothing is lost.
            DataFolderError: a journal cannot be read.
        """
        self.relay.hear(decode_tells(self._heard(said_subject(self._stage))), self._monotonic_s())
        more = self._try(self.relay.step)
        mark = self.relay.mark()
        if mark is not None and self._is_time_to_tell():
            self._tell([(marks_subject(self._stage), data) for data in encode_tells([mark])])
        self.relay.prune(self._monotonic_s())
        self._end()
        return more


@dataclass(frozen=True, slots=True)
class HostedPartition:
    """A partition of this process.

    Attributes:
        meter: counts it.
        feed: says what is counted.
        relay: hands on its outbox; None of a partition of the last stage.
    """

    meter: PartitionMeter
    feed: CountsFeed
    relay: Relay | None = None


class PartitionHost(_Host):
    """The partitions of one process.

    Args:
        partitions: which.
        log: as they use it.
        epoch: the how-manieth owner of a partition (by name) this node is; None where it is none.
        monotonic_s: a clock that nobody sets.
        is_stopping: whether a step is to end before it has come to all partitions.
    """

    def __init__(
        self,
        partitions: Iterable[HostedPartition],
        log: FactLog,
        epoch: Callable[[str], int | None],
        monotonic_s: Callable[[], float] = time.monotonic,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(log, monotonic_s)
        self._is_stopping = is_stopping
        self.partitions = list(partitions)
        self._epoch = epoch
        self._turn = 0
        self._was_away = False

    def step(self) -> bool:
        """Count what there is; whether there is so much that the next step should not wait.

        Raises:
            EngineAwayError: the log is away; nothing is lost.
            StorageUnavailableError: a disk refused; the next step tries the same again.
            DataFolderError: a partition cannot be counted as it is; the others are.
        """
        stages = {each.meter.STAGE for each in self.partitions}
        marks = {stage: decode_tells(self._heard(marks_subject(stage))) for stage in stages}
        said = decode_tells(self._heard(said_subject("keys")))
        wanted = decode_counts_tells(self._heard(COUNTS_WANTED))
        behind = False
        failed: StorageUnavailableError | DataFolderError | None = None
        for each in self.partitions:
            each.meter.hear(marks[each.meter.STAGE])
            each.feed.hear(wanted)
        tells = self._is_time_to_tell()
        for group in self._groups():
            taken = self._taken(group)
            for at, each in enumerate(group):
                if self._is_stopping():
                    return False
                try:
                    self._try(partial(each.meter.step, taken.get(at)))
                    behind |= each.meter.is_behind
                except (StorageUnavailableError, DataFolderError) as error:
                    failed = error  # the other partitions have nothing to do with it
            try:
                self._hand_on(group, said, counts=tells)
            except (StorageUnavailableError, DataFolderError) as error:
                failed = error
        if tells:
            self._say()
        self._was_away = self._away is not None
        if failed is not None:
            raise failed
        self._end()
        return behind

    def _groups(self) -> list[list[HostedPartition]]:
        """All partitions: those that hand something on, and then those that may be given it.

        In each step from another one on, and while the log does not answer one stage also the other
        way round: one that is never answered must not keep those behind it from being counted.
        """
        self._turn += 1
        first = self._turn % len(self.partitions) if self.partitions else 0
        turned = [*self.partitions[first:], *self.partitions[:first]]
        groups = [
            [each for each in turned if each.relay is not None],
            [each for each in turned if each.relay is None],
        ]
        return groups[::-1] if self._was_away and self._turn % 2 else groups

    def _taken(self, group: Sequence[HostedPartition]) -> dict[int, list[LogEntry]]:
        """What the log has for some partitions, by their places: asked for together."""
        if self._away is not None:
            return {}
        wants = {at: each.meter.wants() for at, each in enumerate(group)}
        asked = {at: follower for at, follower in wants.items() if follower is not None}
        try:
            found = self._log.take_all(list(asked.values()), TAKE_BYTES)
        except EngineAwayError as error:
            self._away = error
            return {}
        return dict(zip(asked, found, strict=True))

    def _hand_on(
        self, group: Sequence[HostedPartition], said: Iterable[Tell], *, counts: bool
    ) -> None:
        """Publish what outboxes hold, and what was counted if it is time to, all of it together."""
        failed: StorageUnavailableError | DataFolderError | None = None
        relays = [each.relay for each in group if each.relay is not None]
        for relay in relays:
            relay.hear(said, self._monotonic_s())
        due: list[Handing] = []
        for each in group if counts and not self._away else ():
            try:
                changed = self._changed(each)
            except (StorageUnavailableError, DataFolderError) as error:
                failed = error  # neither what others have counted nor ids have to do with it
            else:
                due += [changed] if changed is not None else []
        waiting = list(relays)
        for _ in range(_PAGES_A_STEP):
            if not (waiting or due) or self._away is not None:
                break
            asked = []
            for relay in waiting:
                try:
                    due += relay.handings()
                    asked.append(relay)
                except DataFolderError as error:
                    failed = error
            if not self._publish(due):
                break
            due = []
            waiting = [relay for relay in asked if relay.end_step()]
        for relay in relays:
            try:
                relay.prune(self._monotonic_s())
            except (StorageUnavailableError, DataFolderError) as error:
                failed = error
        if failed is not None:
            raise failed

    def _changed(self, hosted: HostedPartition) -> Handing | None:
        """What mirrors are to be given of a partition; None for nothing, or by another node."""
        epoch = self._epoch(hosted.meter.name)
        return None if epoch is None else hosted.feed.due(epoch)

    def _publish(self, due: Sequence[Handing]) -> bool:
        """Publish what several have, as far as it fits together; whether all of it is."""
        group: list[Handing] = []
        for at, handing in enumerate(due):
            group.append(handing)
            is_last = at == len(due) - 1
            if not is_last and sum(each.nbytes for each in group) < _PUBLISHED_TOGETHER_BYTES:
                continue
            entries = [entry for each in group for entry in each.entries]
            if entries:
                try:
                    self._log.publish_all(bundled(entries))
                except EngineAwayError as error:
                    self._away = error
                    return False
            for each in group:
                each.published()
            group = []
        return True

    def _say(self) -> None:
        """Tell what stands: to relays what is here and what is not, to mirrors what is counted."""
        if self._away is not None:
            return
        told: dict[str, list[Tell]] = {"facts": [], "keys": []}
        marks: list[Tell] = []
        owned = []
        for each in self.partitions:
            epoch = self._epoch(each.meter.name)
            if epoch is None:
                continue  # another node owns it: what this one counts is seen by nobody
            owned.append((each.feed, epoch))
            told[each.meter.STAGE] += [each.meter.confirmation(epoch), *each.meter.gaps(epoch)]
            if each.relay is not None and (mark := each.relay.mark()) is not None:
                marks.append(mark)
        fresh = [feed.fresh(epoch) for feed, epoch in owned]
        said = [(said_subject(stage), encode_tells(tells)) for stage, tells in told.items()]
        said.append((marks_subject("keys"), encode_tells(marks)))
        known = [each for each in fresh if each is not None]
        said.append((COUNTS_FRESH, encode_counts_tell(known)))
        self._tell([(subject, data) for subject, each in said for data in each])


class MirrorHost(_Host):
    """A node's mirror.

    Args:
        mirror: the mirror.
        log: as it uses it.
        monotonic_s: a clock that nobody sets.
    """

    def __init__(
        self, mirror: Mirror, log: FactLog, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(log, monotonic_s)
        self.mirror = mirror

    def step(self) -> bool:
        """Mirror what there is; whether there is so much that the next step should not wait.

        Raises:
            EngineAwayError: the log is away; nothing is lost.
            StorageUnavailableError: the disk refused.
        """
        behind = self._try(self.mirror.step)
        # After what was published: what is told of it is then known here.
        self.mirror.hear(decode_counts_tells(self._heard(COUNTS_FRESH)))
        wanted = self.mirror.wanted()
        if wanted:
            self._tell([(COUNTS_WANTED, data) for data in encode_counts_tell(wanted)])
        self._end()
        return behind
