"""The relay: hands entries of queues on to the partitions of a stage, and lets queues delete them.

Takes queues in order, publishes to each partition what of them is its own, each pack with the entry
before; sends again from where a partition says that it lacks something; deletes from a queue only
what every partition has confirmed, and writes down with the deletion what each has, which is where
its chain goes on after a restart. Everything it knows beyond that is made anew from the queues.

Its mark says until when everything acknowledged is published. That is known only by the id at which
a queue ends, asked *after* the moment that the mark names: never by a page that was not full.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from headcount.engines import FactLog
from headcount.journal import EntrySource, JournalEntry
from headcount.stages.packs import Pack, PackedEntry, QueuePart, encode_pack
from headcount.stages.partitioning import Split
from headcount.stages.relay_standing import Lost, RelayStanding
from headcount.stages.tells import Confirmation, Gap, RelayMark, Tell, queue_bytes, queue_text

__all__ = ["Handing", "Relay", "packs_of"]

# Whole rows of facts, of 56 bytes, and of tracked records, of 24, in pieces of an entry too.
PACK_BYTES = 199_920
_PAGE_BYTES, _PAGE_ENTRIES = 2 << 20, 4_096
_RESENT_WAIT_S, _RESENT_WAIT_MOST_S = 2.0, 16.0
PRUNE_EVERY_S = 0.5


@dataclass(slots=True)
class _Progress:
    """How far one queue is handed on to one partition.

    Attributes:
        read: everything up to this id was looked at for it.
        sent: the last id that had anything for it, and was published.
        confirmed: the last id that it has on its disk, as it says.
        asked_for: what it had when it last asked, and was sent to again or doubted.
        asked_at_s: when that was.
        sent_again: how often it was sent to again for that.
        lost_upto: up to this id what it asks for is deleted; 0 where nothing of it is.
    """

    read: int
    sent: int
    confirmed: int
    asked_for: int = -1
    asked_at_s: float = float("-inf")
    sent_again: int = 0
    lost_upto: int = 0


@dataclass(slots=True)
class _QueueProgress:
    source: EntrySource
    progress: list[_Progress]
    pruned_at_s: float = float("-inf")
    pruned: tuple[int, tuple[int, ...]] = (0, ())
    end: int = 0

    @classmethod
    def begun(cls, source: EntrySource, partitions: int) -> _QueueProgress:
        pruned_id, chain = source.pruned()[0], source.chain()
        progress = []
        for number in range(partitions):
            has = chain.get(number, 0)
            progress.append(_Progress(max(pruned_id, has), has, has))
        return cls(source, progress)


@dataclass(frozen=True, slots=True)
class _Aim:
    """What has to be published for a mark: also under load that never ends there is one."""

    until_ms: int
    ends: dict[str, int]

    def is_reached(self, queues: Mapping[str, _QueueProgress]) -> bool:
        return all(
            each.read >= end for uuid, end in self.ends.items() for each in queues[uuid].progress
        )


@dataclass(frozen=True, slots=True)
class Handing:
    """What is to be published next, together with that of others if they like.

    Attributes:
        entries: subjects and data.
        published: to be called once all of it is.
    """

    entries: list[tuple[str, bytes]]
    published: Callable[[], None]

    @property
    def nbytes(self) -> int:
        """How much data that is."""
        return sum(len(data) for _, data in self.entries)


@dataclass(slots=True)
class _Owner:
    """The latest owner of a partition that was heard of."""

    epoch: int = 0


class Relay:
    """Hands on the queues of one node, or the outbox of one partition.

    Args:
        origin: the node or partition, as marks name it.
        subject: beginning of the subjects of the partitions, such as `facts`.
        partitions: how many there are.
        log: where to publish.
        sources: the queues that there are now; a queue stays the same object.
        split: gives the parts of entries.
        until_ms: the moment up to which everything acknowledged stands in the queues already; asked
            before they are looked at. None while nobody can say.
        epoch: the how-manieth owner of the partition this is; None where it must not publish.
        prune_every_s: how often queues delete what everybody has.
    """

    def __init__(
        self,
        origin: str,
        subject: str,
        partitions: int,
        log: FactLog,
        sources: Callable[[], Iterable[EntrySource]],
        split: Split,
        until_ms: Callable[[], int | None],
        epoch: Callable[[], int | None] = lambda: 0,
        prune_every_s: float = PRUNE_EVERY_S,
    ) -> None:
        self._prune_every_s = prune_every_s
        self._origin = origin
        self._subject = subject
        self._partitions = partitions
        self._log = log
        self._sources = sources
        self._split = split
        self._until_ms = until_ms
        self._epoch = epoch
        self._queues: dict[str, _QueueProgress] = {}
        self._has_looked = False
        self._owners = [_Owner() for _ in range(partitions)]
        self._life = secrets.randbits(31)
        self._round = 0
        self._marked: RelayMark | None = None
        self._epoch_of_step: int | None = None
        self._aim: _Aim | None = None

    def hear(self, tells: Iterable[Tell], now_s: float) -> None:
        """Learn what partitions have, and what they lack."""
        for tell in tells:
            if isinstance(tell, RelayMark) or not 0 <= tell.partition < self._partitions:
                continue
            owner = self._owners[tell.partition]
            if tell.epoch < owner.epoch:
                continue
            owner.epoch = tell.epoch
            if isinstance(tell, Confirmation):
                for queue, position in tell.positions:
                    if (known := self._queues.get(queue_text(queue))) is not None:
                        progress = known.progress[tell.partition]
                        progress.confirmed = position
                        if position >= progress.lost_upto:
                            progress.lost_upto = 0
            elif (known := self._queues.get(queue_text(tell.queue))) is not None:
                self._send_again(known, tell, now_s)

    def _send_again(self, queue: _QueueProgress, gap: Gap, now_s: float) -> None:
        progress = queue.progress[gap.partition]
        if gap.position != progress.asked_for:
            progress.asked_for, progress.sent_again = gap.position, 0
            if gap.position < progress.confirmed:
                # It may have said so before it got more. Who stays with it was put back.
                progress.asked_at_s = now_s
        wait_s = min(_RESENT_WAIT_S * 2 ** max(0, progress.sent_again - 1), _RESENT_WAIT_MOST_S)
        if now_s - progress.asked_at_s < wait_s:
            return  # what was sent again is under way: more of it would only be in its way
        if gap.position >= progress.sent and progress.read > gap.position:
            return  # it has what there was for it
        progress.asked_at_s = now_s
        progress.sent_again += 1
        progress.confirmed = min(progress.confirmed, gap.position)
        pruned_id = queue.source.pruned()[0]
        had = queue.source.chain().get(gap.partition, 0)
        # What is deleted it had once: where it no longer has, only the log or a backup can help.
        is_lost = gap.position < min(had, pruned_id)
        progress.lost_upto = min(had, pruned_id) if is_lost else 0
        progress.sent = progress.lost_upto if is_lost else gap.position
        progress.read = max(gap.position, pruned_id)

    def step(self) -> bool:
        """Publish what there is, up to some pages; whether more may be there.

        Raises:
            EngineAwayError: what was not acknowledged is published again by the next step.
            DataFolderError: a queue cannot be read.
        """
        for handing in self.handings():
            if handing.entries:
                self._log.publish_all(handing.entries)
            handing.published()
        return self.end_step()

    def handings(self) -> Iterator[Handing]:
        """What a step has to publish; what was not, is given again by the next.

        Raises:
            DataFolderError: a queue cannot be read.
        """
        epoch = self._epoch()
        self._epoch_of_step = epoch
        if epoch is None:
            return
        until_ms = self._until_ms()
        for source in self._sources():
            queue = self._queues.get(source.uuid)
            if queue is None:
                queue = self._queues[source.uuid] = _QueueProgress.begun(source, self._partitions)
            queue.end = source.last_id()
        self._has_looked = True
        if self._aim is None and until_ms is not None:
            ends = {uuid: queue.end for uuid, queue in self._queues.items()}
            self._aim = _Aim(until_ms, ends)
        for queue in self._queues.values():
            yield from self._of_queue(queue, epoch)

    def end_step(self) -> bool:
        """Mark what is published now; whether more is left."""
        epoch = self._epoch_of_step
        if epoch is None:
            return False
        if self._aim is not None and self._aim.is_reached(self._queues):
            self._marked = self._mark(self._aim.until_ms, epoch)
            self._aim = None
        return any(
            each.read < queue.end for queue in self._queues.values() for each in queue.progress
        )

    def _mark(self, until_ms: int, epoch: int) -> RelayMark:
        self._round += 1
        last_ids = [
            (queue_bytes(uuid), [each.sent for each in queue.progress])
            for uuid, queue in self._queues.items()
        ]
        return RelayMark(
            *(self._origin, epoch, self._life, self._round, until_ms),
            *(len(last_ids), last_ids),
        )

    def _of_queue(self, queue: _QueueProgress, epoch: int) -> Iterator[Handing]:
        """A page for those that stand at one place, and so on."""
        by_place: dict[int, list[int]] = {}
        for number, progress in enumerate(queue.progress):
            if progress.read < queue.end:
                by_place.setdefault(progress.read, []).append(number)
        for place, numbers in by_place.items():
            page = list(_page(queue.source, place, queue.end))
            last_id = page[-1].id if page else queue.end
            parts = self._split(page)
            entries = [
                (f"{self._subject}.{number}", encode_pack(pack, self._split.row_bytes))
                for number in numbers
                for pack in self._packs(queue, number, parts.get(number, []), epoch)
            ]
            last_ids = {number: of_part[-1].id for number, of_part in parts.items()}
            yield Handing(entries, partial(_move, queue, numbers, last_id, last_ids))

    def _packs(
        self, queue: _QueueProgress, number: int, entries: Sequence[PackedEntry], epoch: int
    ) -> Iterator[Pack]:
        previous = queue.progress[number].sent
        for group in packs_of(entries):
            part = QueuePart(queue.source.uuid, previous, group)
            previous = previous if group[-1].more else group[-1].id
            yield Pack(self._origin, epoch, [part])

    def mark(self) -> RelayMark | None:
        """What to tell the partitions now; None before the first round is complete."""
        return self._marked

    def prune(self, now_s: float) -> None:
        """Let queues delete what every partition has, now and then.

        Raises:
            DamagedDataError: a queue is damaged.
        """
        for queue in self._queues.values():
            if now_s - queue.pruned_at_s < self._prune_every_s:
                continue
            queue.pruned_at_s = now_s
            upto = min(_had(each) for each in queue.progress)
            chain = tuple(min(each.confirmed, each.sent) for each in queue.progress)
            if queue.pruned == (upto, chain) or upto <= queue.source.pruned()[0]:
                continue
            if queue.source.prune(upto, dict(enumerate(chain))):
                queue.pruned = (upto, chain)

    def handed_on(self) -> dict[str, int]:
        """Queue to the entry up to which everything of it is published."""
        return {
            uuid: min(each.read for each in queue.progress) for uuid, queue in self._queues.items()
        }

    def standing(self) -> RelayStanding:
        """How it stands."""
        lost = [
            Lost(uuid, number, progress.asked_for, progress.lost_upto)
            for uuid, queue in self._queues.items()
            for number, progress in enumerate(queue.progress)
            if progress.lost_upto
        ]
        until_ms = self._marked.until_ms if self._marked is not None else None
        queues = self._queues.values()
        waiting = sum(queue.end - min(map(_had, queue.progress)) for queue in queues)
        unsent = sum(
            queue.source.last_id() - min(each.read for each in queue.progress) for queue in queues
        )
        known = max(0, unsent) if self._has_looked else None
        return RelayStanding(until_ms, lost, max(0, waiting), known)


def _move(
    queue: _QueueProgress, numbers: Sequence[int], last_id: int, last_ids: Mapping[int, int]
) -> None:
    """Note that some partitions were published a page."""
    for number in numbers:
        progress = queue.progress[number]
        progress.read = last_id
        progress.sent = last_ids.get(number, progress.sent)


def _had(progress: _Progress) -> int:
    """Up to which id a partition has everything that is for it."""
    # Where it has all that was sent, the rest of what was looked at is not for it.
    return progress.read if progress.confirmed >= progress.sent else progress.confirmed


def _page(source: EntrySource, after_id: int, upto_id: int) -> Iterator[JournalEntry]:
    """Entries that follow an id, as many as make a page."""
    size = 0
    with closing(source.entries(after_id)) as entries:
        for number, entry in enumerate(entries):
            if entry.id > upto_id or size >= _PAGE_BYTES or number >= _PAGE_ENTRIES:
                return
            size += len(entry.facts)
            yield entry


def packs_of(entries: Sequence[PackedEntry]) -> Iterator[list[PackedEntry]]:
    """Entries in groups that fit into a pack each, one that does not in pieces."""
    group: list[PackedEntry] = []
    size = 0
    for entry in entries:
        if group and size + len(entry.data) > PACK_BYTES:
            yield group
            group, size = [], 0
        if len(entry.data) > PACK_BYTES:
            yield from ([piece] for piece in _pieces(entry))
            continue
        group.append(entry)
        size += len(entry.data)
    if group:
        yield group


def _pieces(entry: PackedEntry) -> Iterator[PackedEntry]:
    bounds = [*range(0, len(entry.data), PACK_BYTES), len(entry.data)]
    for start, stop in pairwise(bounds):
        last = stop == len(entry.data)
        piece = entry._replace(data=entry.data[start:stop], offset=start, more=not last)
        # What goes beside the data is said once, with the last piece.
        yield piece if last else piece._replace(tallies=(), aside=(), sealed=(), forget=())
