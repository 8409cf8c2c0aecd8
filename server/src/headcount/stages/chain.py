"""The receiving end of a chain: which entries of a pack a partition takes, and what it lacks.

Takes packs and marks as they come, repeated, out of turn, with holes; gives each entry exactly once
and in its queue's order, and says from when on something is missing. Nothing but positions decides:
no offsets of the log, no ids of messages in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headcount.stages.packs import Pack, PackedEntry, QueuePart
from headcount.stages.tells import RelayMark, queue_text

__all__ = ["Arrival", "Chain", "Hole"]

_GAP_AGAIN_S = 0.5
_TAIL_LOST_S = 2.0
# Under load a partition is always a little behind: it reaches a mark when others have come.
_MARKS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Arrival:
    """An entry that was accepted.

    Attributes:
        origin: who published it.
        queue: the queue that it stands in.
        entry: what of it is for this partition.
    """

    origin: str
    queue: str
    entry: PackedEntry


class Hole(NamedTuple):
    """What is missing of a queue.

    Attributes:
        origin: who publishes the queue.
        upto: the last entry that is missing before the next that was seen; 0 where none was.
    """

    origin: str
    upto: int


@dataclass(slots=True)
class _QueueSeen:
    """What is known of one queue beyond its position."""

    origin: str = ""
    refused_after: int = 0
    refused_last: int = 0
    came_at_s: float = float("-inf")
    asked_at_s: float = float("-inf")
    lacks: bool = False
    is_ended: bool = False
    pieces: list[bytes] = field(default_factory=list)
    piece_id: int = 0

    def refuses(self, after: int) -> None:
        """Note that something is missing before what follows an entry."""
        self.lacks = True
        self.refused_after = min(after, self.refused_after or after)
        self.refused_last = max(after, self.refused_last)

    def has(self, entry: PackedEntry) -> int:
        return sum(map(len, self.pieces)) if self.piece_id == entry.id else 0


@dataclass(slots=True)
class _Promise:
    """A mark as far as it has been heard."""

    round: int
    until_ms: int
    queues: int
    last_ids: dict[str, int]

    def is_whole(self) -> bool:
        return len(self.last_ids) >= self.queues

    def is_reached(self, positions: Mapping[str, int]) -> bool:
        return self.is_whole() and all(
            positions.get(queue, 0) >= last for queue, last in self.last_ids.items()
        )


@dataclass(slots=True)
class _Origin:
    """A node or partition that publishes."""

    epoch: int = 0
    life: int = 0
    until_ms: int | None = None
    reached: int = -1
    promises: deque[_Promise] = field(default_factory=deque)
    queues: frozenset[str] | None = None
    unreached_since_s: float | None = None


class Chain:
    """The chains that end in one partition.

    Args:
        number: of the partition, by which marks say what is for it.
        positions: queue to the last entry that it has counted.

    Attributes:
        positions: the same, as far as entries were given out.
        repeats: how many entries came again.
    """

    def __init__(self, number: int, positions: Mapping[str, int]) -> None:
        self._number = number
        self.positions = dict(positions)
        self.repeats = 0
        self._queues: dict[str, _QueueSeen] = {}
        self._origins: dict[str, _Origin] = {}

    def is_surpassed(self, origin: str, epoch: int) -> bool:
        """Whether a later owner of the partition that something comes from was heard of."""
        known = self._origins.setdefault(origin, _Origin())
        if epoch > known.epoch:
            # The marks of a former owner say nothing of the queue of the next.
            self._origins[origin] = _Origin(epoch)
        return epoch < known.epoch

    def take(self, pack: Pack, now_s: float) -> list[Arrival]:
        """The entries of a pack that were not had before; none behind a gap.

        Args:
            pack: the next one of the log.
            now_s: by a clock that nobody sets.
        """
        if self.is_surpassed(pack.origin, pack.epoch):
            return []
        return [
            arrival for part in pack.queues for arrival in self._of_queue(pack.origin, part, now_s)
        ]

    def _of_queue(self, origin: str, part: QueuePart, now_s: float) -> Iterable[Arrival]:
        position = self.positions.get(part.queue, 0)
        queue = self._queues.setdefault(part.queue, _QueueSeen())
        queue.origin = origin
        if part.previous > position:
            queue.refuses(part.previous)
            return
        for entry in part.entries:
            if entry.id <= position:
                self.repeats += 1
                continue
            whole = self._whole(queue, entry)
            if whole is None:
                if not entry.more:
                    # The last piece of an entry whose first ones are not here.
                    queue.refuses(entry.id)
                return
            position = self.positions[part.queue] = entry.id
            queue.came_at_s, queue.lacks = now_s, False
            yield Arrival(origin, part.queue, whole)

    @staticmethod
    def _whole(queue: _QueueSeen, entry: PackedEntry) -> PackedEntry | None:
        """An entry that is complete with this piece of it; None while it is not."""
        if not entry.offset and not entry.more:
            return entry
        if not entry.offset:
            queue.pieces, queue.piece_id = [], entry.id
        if entry.offset != queue.has(entry) or queue.piece_id != entry.id:
            return None
        queue.pieces.append(entry.data)
        if entry.more:
            return None
        whole = entry._replace(data=b"".join(queue.pieces), offset=0)
        queue.pieces, queue.piece_id = [], 0
        return whole

    def mark(self, mark: RelayMark) -> None:
        """Learn until when all was published, and what the last of it is."""
        if self.is_surpassed(mark.origin, mark.epoch):
            return
        origin = self._origins[mark.origin]
        if mark.life != origin.life:
            origin.life, origin.reached = mark.life, -1
            origin.promises.clear()
        promises = origin.promises
        found = next((each for each in promises if each.round == mark.round), None)
        if found is None:
            if mark.round <= origin.reached:
                return
            found = _Promise(mark.round, mark.until_ms, mark.queues, {})
            promises.append(found)
            if len(promises) > _MARKS_KEPT:
                del promises[_MARKS_KEPT // 2]
        found.last_ids |= {
            queue_text(queue): last_ids[self._number]
            for queue, last_ids in mark.last_ids
            if self._number < len(last_ids)
        }
        if found.is_whole():
            origin.queues = frozenset(found.last_ids)
            for uuid in origin.queues & self._queues.keys():
                self._queues[uuid].is_ended = False

    def look(self, committed: Mapping[str, int], now_s: float) -> None:
        """See which marks are reached, and which are not though nothing comes.

        Args:
            committed: queue to the last entry that is counted for good.
            now_s: by a clock that nobody sets.
        """
        for name, origin in self._origins.items():
            for promise in origin.promises:
                if promise.round > origin.reached and promise.is_reached(committed):
                    origin.reached, origin.until_ms = promise.round, promise.until_ms
            while origin.promises and origin.promises[0].round <= origin.reached:
                origin.promises.popleft()
            self._watch_tail(name, origin, now_s)

    def _watch_tail(self, name: str, origin: _Origin, now_s: float) -> None:
        if not origin.promises:
            origin.unreached_since_s = None
            return
        if origin.unreached_since_s is None:
            origin.unreached_since_s = now_s
        for queue_uuid, last_id in origin.promises[-1].last_ids.items():
            queue = self._queues.setdefault(queue_uuid, _QueueSeen(name))
            silent_since_s = max(origin.unreached_since_s, queue.came_at_s)
            behind = self.positions.get(queue_uuid, 0) < last_id
            if behind and now_s - silent_since_s >= _TAIL_LOST_S:
                queue.lacks = True
            elif not behind and origin.promises[-1].is_whole():
                queue.lacks = False

    def gaps(self, now_s: float) -> list[tuple[str, int]]:
        """Queues of which something is missing, with the last entry that is here; of each at most
        twice a second."""
        found = []
        for uuid, queue in self._queues.items():
            is_due = queue.lacks and not queue.is_ended
            if is_due and now_s - queue.asked_at_s >= _GAP_AGAIN_S:
                queue.asked_at_s = now_s
                found.append((uuid, self.positions.get(uuid, 0)))
        return found

    def _at(self, uuid: str) -> int:
        return self.positions.get(uuid, 0)

    def lacking(self) -> list[str]:
        """Queues of which something is missing now, or was when what follows it came."""
        return [
            uuid
            for uuid, queue in self._queues.items()
            if not queue.is_ended
            and (queue.lacks or (queue.refused_last > 0 and self._at(uuid) <= queue.refused_last))
        ]

    def read_anew(self) -> None:
        """Learn that what follows is the log from its beginning."""
        for queue in self._queues.values():
            queue.refused_after = queue.refused_last = 0

    def hole(self, uuid: str) -> Hole | None:
        """What is missing of a queue, by what came since the log was read anew; None where nobody
        is known to publish it."""
        queue = self._queues.get(uuid)
        if queue is None or queue.origin not in self._origins:
            return None
        upto = queue.refused_after
        return Hole(queue.origin, upto if upto > self._at(uuid) else 0)

    def skip(self, uuid: str, upto: int) -> None:
        """Go on behind a hole that nobody can close."""
        self.positions[uuid] = max(upto, self.positions.get(uuid, 0))
        queue = self._queues.setdefault(uuid, _QueueSeen())
        queue.lacks, queue.pieces = False, []

    def expect_nothing(self, uuid: str) -> None:
        """Wait no more for what was promised of a queue, and take it if it comes all the same."""
        queue = self._queues[uuid]
        queue.lacks = False
        self._origins[queue.origin].promises.clear()

    def is_replaced(self, uuid: str) -> bool:
        """Whether who published a queue says by now that it has others, and not that one."""
        queue = self._queues.get(uuid)
        origin = None if queue is None else self._origins.get(queue.origin)
        return origin is not None and origin.queues is not None and uuid not in origin.queues

    def end(self, uuid: str) -> None:
        """Ask no more for what is missing of a queue that is replaced, until it is named again."""
        self._queues[uuid].is_ended = True

    def queues_of(self, origins: Sequence[str]) -> set[str] | None:
        """All queues that those have who publish; None while one has not said."""
        said = [self._origins[each].queues if each in self._origins else None for each in origins]
        known = [each for each in said if each is not None]
        return set().union(*known) if len(known) == len(origins) else None

    def forget(self, queue: str) -> None:
        """Know nothing of a queue any more."""
        self.positions.pop(queue, None)
        self._queues.pop(queue, None)

    def until_ms(self, origins: Sequence[str]) -> int | None:
        """Until when everything of all that publish is counted; None while one has not said.

        Args:
            origins: all nodes, or all partitions of the stage before.
        """
        moments = [self._moment(origin) for origin in origins]
        known = [moment for moment in moments if moment is not None]
        return min(known, default=None) if len(known) == len(moments) else None

    def _moment(self, origin: str) -> int | None:
        return self._origins[origin].until_ms if origin in self._origins else None

    def waits_for(self, origins: Sequence[str]) -> list[str]:
        """Who has not said anything yet."""
        return [origin for origin in origins if self._moment(origin) is None]
