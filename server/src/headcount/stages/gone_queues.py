"""Positions in queues that are no more: takes which queues those have who publish, lets others go.

A partition of messages whose end was unclean hands on as another queue, so the partitions of ids
would keep one position more for each such end, and tell all of them five times a second. Nobody
hands on under the former one again: who publishes names its queues in every mark, and a renewed
outbox never takes its former name. But the log may still hold what was handed on under it. So a
position is let go only when everybody has said which queues they have, it was in none of them all
the while, and the log can hold nothing of before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headcount.counting.calendar import MS_PER_DAY
from headcount.stages.chain import Chain
from headcount.store.partition_protocol import PartitionStore
from headcount.store.protocol import Change

__all__ = ["GONE_KEPT_DAYS", "GoneQueues"]

GONE_KEPT_DAYS = 7
"""How long positions are kept at least, where nobody says how long the log holds entries."""

_GONE = "gone "


class GoneQueues:
    """Watches over the positions of one partition.

    Args:
        store: the partition's.
        chain: what its publishers say.
        clock_ms: the time, in milliseconds since 1970.

    Attributes:
        kept_ms: for how long a queue must have been gone: longer than the log holds entries.
    """

    def __init__(self, store: PartitionStore, chain: Chain, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._chain = chain
        self._clock_ms = clock_ms
        self.kept_ms = GONE_KEPT_DAYS * MS_PER_DAY

    def look(self, positions: dict[str, int], origins: Sequence[str]) -> list[str]:
        """Note which queues are gone, and let positions go that were for long enough.

        Args:
            positions: queue to the last entry that is counted; those that go are taken out.
            origins: whoever publishes for this partition.

        Returns:
            The queues whose positions were let go.

        Raises:
            StorageUnavailableError: the disk refused; nothing is let go.
        """
        living = self._chain.queues_of(origins)
        if living is None:
            return []
        now_ms = self._clock_ms()
        noted = {
            name.removeprefix(_GONE): since_ms
            for name, since_ms in self._store.watermarks().items()
            if name.startswith(_GONE)
        }
        gone = positions.keys() - living
        fresh = gone - noted.keys()
        due = sorted(each for each in gone & noted.keys() if now_ms - noted[each] > self.kept_ms)
        if fresh or due:
            marks = {f"{_GONE}{each}": now_ms for each in fresh}
            self._store.commit(Change(watermarks=marks, queues_gone=due))
        for each in due:
            del positions[each]
            self._chain.forget(each)
        # After the positions: what is noted of a queue that is not there is of no matter.
        for each in noted.keys() - (gone - set(due)):
            self._store.drop_watermarks(f"{_GONE}{each}")
        return due
