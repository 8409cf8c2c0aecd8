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

# Of a longer time between two looks, so much is counted: while nobody could ask the registry,
# nobody could tell it anything either, and when it is back those who live need a moment.
_BETWEEN_LOOKS_MOST_S = 2.5 * BEAT_S
_SYNCHRONOUS_S = 20.0


class Watch:
    """For how long each node has been silent, as far as this one has seen.

    A record whose revision is the one of the look before was not written in between, however long
    that was; so a registry that answers slowly does not keep the dead alive.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}
        self._answered_at_s: float | None = None

    def look(self, revisions: Mapping[str, int], asked_s: float, answered_s: float) -> None:
        """Note the records as they stand.

        Args:
            revisions: of each node's record.
            asked_s: by the monotonic clock, from before they were read.
            answered_s: from after: what was found may have been written until then.
        """
        passed_s = 0.0
        if self._answered_at_s is not None:
            passed_s = min(max(0.0, asked_s - self._answered_at_s), _BETWEEN_LOOKS_MOST_S)
        self._answered_at_s = answered_s
        for name, revision in revisions.items():
            former, silent_s = self._seen.get(name, (None, 0.0))
            self._seen[name] = (revision, silent_s + passed_s if former == revision else 0.0)

    def silent_s(self, name: str) -> float:
        """For how long a node has said nothing while this one looked; 0 for one not seen yet."""
        return self._seen[name][1] if name in self._seen else 0.0


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


assert _BETWEEN_LOOKS_MOST_S < TAKEOVER_LEAST_S, "one look after a while must not do"
