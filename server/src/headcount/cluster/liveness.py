"""Which nodes live, and whose clock is wrong: takes records as they are seen, gives silences in
seconds and differences of clocks. Trusts no clock but its own machine's monotonic one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping

from headcount.cluster.membership_records import NodeRecord
from headcount.cluster.placement import TAKEOVER_LEAST_S, Partition, Placement
from headcount.cluster.unfit import other_clock
from headcount.errors import ClusterError

__all__ = ["BEAT_S", "CLOCK_OFF_MAX_S", "ClockWatch", "Watch", "heirs"]

BEAT_S = 1.0
"""How often a node says that it lives."""

CLOCK_OFF_MAX_S = 60.0
"""How far clocks of two nodes may be apart: far more than time servers leave."""

# Whoever has not looked for so long may have missed that somebody lived.
_LOOKED_WITHIN_S = 2.5 * BEAT_S
_SYNCHRONOUS_S = 20.0


class Watch:
    """For how long each node has been silent, as far as this one has seen."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked_at_s = float("-inf")

    def look(self, revisions: Mapping[str, int], now_s: float) -> None:
        """Note the records as they stand.

        Args:
            revisions: of each node's record.
            now_s: by the monotonic clock, from before they were read.
        """
        if now_s - self._looked_at_s > _LOOKED_WITHIN_S:
            self._seen.clear()
        self._looked_at_s = now_s
        for name, revision in revisions.items():
            if self._seen.get(name, (None,))[0] != revision:
                self._seen[name] = (revision, now_s)

    def silent_s(self, name: str, now_s: float) -> float:
        """For how long a node has said nothing while this one looked; 0 for one not seen yet."""
        return now_s - self._seen[name][1] if name in self._seen else 0.0


class ClockWatch:
    """Whether this machine's clock is right, as far as others and its own steadiness tell.

    Args:
        clock_ms: the time, milliseconds since 1970.
        monotonic_s: the machine's clock that nobody sets.
    """

    def __init__(self, clock_ms: Callable[[], int], monotonic_s: Callable[[], float]) -> None:
        self._clock_ms = clock_ms
        self._monotonic_s = monotonic_s
        self._agreed_s = self._offset_s()

    def _offset_s(self) -> float:
        return self._clock_ms() / 1000 - self._monotonic_s()

    def refusal(self, fresh: Iterable[NodeRecord], *, starting: bool) -> ClusterError | None:
        """Why this node has to stop; None while its clock may be right.

        Where only one other node lives, neither can know who is wrong: then the one stops whose
        clock was set since the two agreed, or who is only starting.

        Args:
            fresh: records of other nodes that were written a moment ago.
            starting: whether this node is not serving yet.
        """
        others = list(fresh)
        if not others:
            return None
        now_s = self._clock_ms() / 1000
        apart = [now_s - each.clock_ms / 1000 for each in others]
        middle = statistics.median(apart)
        if abs(middle) <= _SYNCHRONOUS_S:
            self._agreed_s = self._offset_s()
        if abs(middle) <= CLOCK_OFF_MAX_S:
            return None
        agreeing = sum(abs(each - middle) <= _SYNCHRONOUS_S for each in apart)
        was_set = abs(self._offset_s() - self._agreed_s) > CLOCK_OFF_MAX_S / 2
        if agreeing >= 2 or starting or was_set:
            return other_clock(middle, " and ".join(f'"{each.name}"' for each in others))
        return None


def heirs(
    placement: Placement, living: Iterable[str], dead: Iterable[str]
) -> dict[str, list[Partition]]:
    """Who takes which partitions of dead nodes over: those that have the fewest, by turns.

    Every node comes to the same result.

    Args:
        placement: as it stands.
        living: nodes that take over.
        dead: nodes whose partitions are to be taken.
    """
    counts = {name: len(placement.owned_by(name)) for name in sorted(living)}
    given: dict[str, list[Partition]] = {name: [] for name in counts}
    if not counts:
        return given
    for name in sorted(dead):
        for partition in sorted(placement.owned_by(name)):
            heir = min(counts, key=lambda each: (counts[each], each))
            given[heir].append(partition)
            counts[heir] += 1
    return given


assert _LOOKED_WITHIN_S < TAKEOVER_LEAST_S, "silence is only seen by who looks more often"
