"""What folding asks and what it gives: indexes of known keys, and what one batch amounts to.

Plain data and two protocols between the halves of the fold, the store's change and the meter's
indexes. Nothing here decides what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from headcount.counting.attributing import MonthOfContributions
from headcount.counting.batch import Facts, MonthOfFacts, ScopeCounts, Scopes
from headcount.counting.calendar import Period
from headcount.counting.contributions import DayOfContributions
from headcount.counting.index import Probe
from headcount.counting.keys import U8, U64, Family, KeyBlock, NewKeys, Slots
from headcount.counting.usage import Counts

__all__ = ["Folded", "Index", "Indexes"]


class Index(Protocol):
    """Keys of one period and family with their earliest days; `FirstSeenIndex` is one."""

    def probe(self, fingerprints: U64, since_day: int = 0, /) -> Probe:
        """What is known of some keys (ascending, each once).

        One whose first day in the month is before `since_day` may or may not be known.
        """
        ...

    def upsert(self, keys: KeyBlock, slots: Slots) -> None:
        """Take in keys as they are now, with the slots that the probe just before gave."""
        ...


class Indexes(Protocol):
    """What is known already: the first-seen indexes of all periods."""

    def knows(self, period: Period, family: Family) -> bool:
        """Whether a period and family hold any key."""
        ...

    def sealed_workspaces(self, period: Period) -> Sequence[int]:
        """The workspaces whose keys of a period are as good as forgotten."""
        ...

    def of(self, period: Period, family: Family) -> Index:
        """The index of a period and family, an empty one when it holds no key yet."""
        ...


@dataclass(slots=True)
class Folded:
    """What one batch amounts to.

    Attributes:
        keys: (period, family) to new and lowered keys and whose they are, for the store.
        counts: (period, workspace, source) to counts to add; source 0 is the workspace itself.
        contributions: of each month what messages contributed, by source and day, once or twice.
        slots: (period, family) to where the probe found each of those keys, for the index.
        facts: how many facts went in.
        duplicates: how many of them were no further API call when they were folded.
        duplicated: those of them that were not, where there are any; several arrays of facts.
        live_days: days of facts that no import brought, ascending, each once.
        left_in: of the first half by itself, the facts whose ids the second half is to have.
    """

    keys: dict[tuple[Period, Family], NewKeys] = field(default_factory=dict)
    counts: dict[tuple[Period, int, int], Counts] = field(default_factory=dict)
    contributions: list[tuple[Period, DayOfContributions]] = field(default_factory=list)
    slots: dict[tuple[Period, Family], Slots] = field(default_factory=dict)
    facts: int = 0
    duplicates: int = 0
    duplicated: list[Facts] = field(default_factory=list)
    live_days: list[int] = field(default_factory=list)
    left_in: Sequence[MonthOfFacts] = ()

    def add_keys(
        self,
        place: tuple[Period, Family],
        keys: KeyBlock,
        probe: Probe,
        changed: npt.NDArray[np.bool_],
        *,
        scopes: Scopes,
        of_key: Slots,
        sets: U8,
    ) -> None:
        """Take those of some keys that are new or have an earlier day than the index knows.

        Args:
            place: their period and family.
            keys: that were probed, as they are from now on; n of them.
            probe: what it gave.
            changed: which are new or lowered, shape (n,).
            scopes: of the facts that they come from.
            of_key: the scope of each, shape (n,).
            sets: the set of each, shape (n,).
        """
        if not changed.any():
            return
        of_changed = of_key[changed]
        self.keys[place] = NewKeys(
            keys.chosen(changed),
            scopes.workspaces[of_changed],
            scopes.sources[of_changed],
            sets[changed],
        )
        self.slots[place] = probe.slots[changed]

    def add_counts(self, period: Period, counts: ScopeCounts) -> None:
        """Take the counts of a month."""
        for workspace, source, of_scope in counts.changed():
            self.counts[period, workspace, source] = of_scope

    def add_contributions(self, period: Period, gathered: MonthOfContributions) -> None:
        """Take the contributions of a month."""
        self.contributions += [(period, of_day) for of_day in gathered.days()]

    def joined(self, other: Folded) -> Folded:
        """Both halves of one batch together: their families differ, their counts add up."""
        counts = dict(self.counts)
        for place, added in other.counts.items():
            held = counts.get(place)
            counts[place] = added if held is None else held + added
        return Folded(
            keys=self.keys | other.keys,
            counts=counts,
            contributions=[*self.contributions, *other.contributions],
            slots=self.slots | other.slots,
            facts=self.facts + other.facts,
            duplicates=self.duplicates + other.duplicates,
            duplicated=[*self.duplicated, *other.duplicated],
            live_days=sorted({*self.live_days, *other.live_days}),
        )

    def apply_to(self, indexes: Indexes) -> None:
        """Bring the indexes up to the committed change."""
        for place, new in self.keys.items():
            indexes.of(*place).upsert(new.keys, self.slots[place])
