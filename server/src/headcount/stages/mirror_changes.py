"""What a mirror has taken of several partitions, as one change: a commit costs the same for all.

Partitions have no row in common, so that what each adds to the sums is added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from headcount.counting.facts import Rejection
from headcount.stages.counts_packs import CountsStanding
from headcount.store.protocol import Change

__all__ = ["Held", "TakenState", "together"]


class Held(msgspec.Struct, array_like=True):
    """What is held of one partition.

    Attributes:
        standing: the state that the rows are of.
        until_ms: until when everything is counted in that state, as far as was heard.
    """

    standing: CountsStanding
    until_ms: int | None


class TakenState(NamedTuple):
    """A state of one partition that is about to be in the sums.

    Attributes:
        held: that state.
        shown_until_ms: until when the partition was in the sums before.
        change: what it changes.
    """

    held: Held
    shown_until_ms: int | None
    change: Change

    @property
    def name(self) -> str:
        """Of the partition."""
        return self.held.standing.partition

    @property
    def takes_back(self) -> bool:
        """Whether it says that a day was confirmed: all that is beside is of that day then."""
        return self.change.confirmed_day is not None


def together(taken: Sequence[TakenState]) -> Change:
    """The change of some partitions, each of which is there once; none takes anything back unless
    it is the only one."""
    if len(taken) == 1:
        return taken[0].change
    whole = Change()
    tallies: dict[tuple[int, int, int, str], Rejection] = {}
    for each in (one.change for one in taken):
        for place, added in each.counts.items():
            held = whole.counts.get(place)
            whole.counts[place] = added if held is None else held + added
        for tally in each.rejections:
            word = tally.workspace, tally.source, tally.day, tally.reason
            # Each has told how much it is, and how much more than what is here: the most counts.
            if word not in tallies or tallies[word].messages < tally.messages:
                tallies[word] = tally
        for month, day in each.imported.items():
            whole.imported[month] = max(day, whole.imported.get(month, day))
        whole.conflicting = [*whole.conflicting, *each.conflicting]
        whole.sealed = [*whole.sealed, *each.sealed]
        whole.mirrored = [*whole.mirrored, *each.mirrored]
        whole.last_metered_day = _later(whole.last_metered_day, each.last_metered_day)
        whole.trusted_day = _later(whole.trusted_day, each.trusted_day)
    whole.rejections = list(tallies.values())
    return whole


def _later(one: int | None, other: int | None) -> int | None:
    return max((day for day in (one, other) if day is not None), default=None)
