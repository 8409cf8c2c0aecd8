"""The second half of the fold: which tracked ids join which sets, and on which day.

Takes the months of facts that the first half has left in, and the indexes of tracked ids; gives
new keys and counts. It only ever takes unions and minima, so that the order of the batches, what
comes twice and where a batch ends change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.attributing import MonthOfContributions
from headcount.counting.batch import MonthOfFacts, ScopeCounts
from headcount.counting.contributions import OF_SOURCE, OF_WORKSPACE
from headcount.counting.folded import Folded, Indexes
from headcount.counting.keys import (
    NEVER,
    TRACKED,
    U8,
    U64,
    Groups,
    KeyBlock,
    KeySet,
    Slots,
    tracked_keys,
)
from headcount.counting.metrics import ANONYMOUS, ANONYMOUS_IDENTIFIED, IDENTIFIED

__all__ = ["fold_tracked"]


def fold_tracked(months: Iterable[MonthOfFacts], indexes: Indexes) -> Folded:
    """Apply rule 3: add each tracked id to its sets, on its earliest days.

    Args:
        months: facts by month; none of them is a duplicate of a message of another month.
        indexes: the tracked ids that are known already.
    """
    folded = Folded()
    for month in months:
        entries = _entries(month)
        if entries is None:
            continue
        counts = ScopeCounts(month.scopes)
        _fold_month(folded, month, entries, indexes, counts)
        folded.add_counts(month.period, counts)
    return folded


class _Entries(NamedTuple):
    """Tracked ids as they stand in facts: one entry for each id, scope and fact."""

    fingerprints: U64
    days: U8
    identified_days: U8
    scopes: Slots
    sets: U8
    of_fact: Slots
    of_workspace: npt.NDArray[np.bool_]


def _entries(month: MonthOfFacts) -> _Entries | None:
    """Rule 3: which ids join which sets; None where there are no ids."""
    facts, days = month.facts, month.days
    never = np.full(len(facts), NEVER, np.uint8)
    joins = (
        # ids, the set that they join, and the day on which they were seen with a userId
        (facts["user"], KeySet.IDENTIFIED, never),
        (facts["anonymous"], KeySet.ANONYMOUS, np.where(facts["user"] != 0, days, never)),
        (facts["previous"], KeySet.ANONYMOUS, days),
    )
    entries = []
    for hashes, key_set, identified_days in joins:
        present = np.flatnonzero(hashes != 0)
        if not len(present):
            continue
        of_source = month.of_fact[present]
        for scopes in (of_source, month.scopes.workspace_scopes(of_source)):
            workspace = scopes is not of_source
            numbers = facts["workspace" if workspace else "source"][present]
            anonymous = key_set is KeySet.ANONYMOUS
            entries.append(
                _Entries(
                    tracked_keys(
                        numbers, hashes[present], workspace=workspace, anonymous=anonymous
                    ),
                    days[present],
                    identified_days[present],
                    scopes,
                    np.full(len(present), key_set, np.uint8),
                    present,
                    np.full(len(present), workspace, np.bool_),
                )
            )
    if not entries:
        return None
    return _Entries(*(np.concatenate(column) for column in zip(*entries, strict=True)))


def _fold_month(
    folded: Folded,
    month: MonthOfFacts,
    entries: _Entries,
    indexes: Indexes,
    counts: ScopeCounts,
) -> None:
    groups = Groups(entries.fingerprints)
    of_key, sets = entries.scopes[groups.members], entries.sets[groups.members]
    anonymous: npt.NDArray[np.bool_] = sets == KeySet.ANONYMOUS
    known = indexes.of(month.period, TRACKED).probe(groups.fingerprints)
    first_days = np.minimum(groups.earliest(entries.days), known.days)
    identified_days = np.minimum(groups.earliest(entries.identified_days), known.identified_days)
    earlier = first_days < known.days
    identified_earlier = identified_days < known.identified_days
    attributed = _Attributed(month, entries, groups)
    for kind, changed, before, after in (
        (IDENTIFIED, earlier & ~anonymous, known.days, first_days),
        (ANONYMOUS, earlier & anonymous, known.days, first_days),
        (ANONYMOUS_IDENTIFIED, identified_earlier & anonymous,
         known.identified_days, identified_days),
    ):  # fmt: skip
        moved = changed & (before != NEVER)
        counts.add(of_key[moved], before[moved], kind, -1)
        counts.add(of_key[changed], after[changed], kind)
        attributed.add(kind, changed & ~moved, moved, before, after)
    folded.add_contributions(month.period, attributed.contributions)
    folded.add_keys(
        (month.period, TRACKED),
        KeyBlock(groups.fingerprints, first_days, identified_days),
        known,
        earlier | identified_earlier,
        scopes=month.scopes,
        of_key=of_key,
        sets=sets,
    )


class _Attributed:
    """Attributes what is new of some keys to the facts that brought it first."""

    def __init__(self, month: MonthOfFacts, entries: _Entries, groups: Groups) -> None:
        self.contributions = MonthOfContributions(month)
        self._entries = entries
        self._groups = groups
        self._of_workspace = entries.of_workspace[groups.members]

    def add(
        self,
        kind: int,
        new: npt.NDArray[np.bool_],
        moved: npt.NDArray[np.bool_],
        before: U8,
        after: U8,
    ) -> None:
        """Take what is new in one set, and what came there on an earlier day than was known."""
        if not (new.any() or moved.any()):
            return
        of_fact = self._facts_of(kind)
        for columns, which in (
            (OF_SOURCE, ~self._of_workspace),
            (OF_WORKSPACE, self._of_workspace),
        ):
            keys, column = np.flatnonzero(new & which), columns[kind]
            self.contributions.add(self._groups.first(keys, of_fact), column)
            keys = np.flatnonzero(moved & which)
            days = before[keys], after[keys]
            self.contributions.move(self._groups.first(keys, of_fact), days, column)

    def _facts_of(self, kind: int) -> Slots:
        """Which fact each entry is of; beyond all of them where it does not bring the kind."""
        entries = self._entries
        if kind != ANONYMOUS_IDENTIFIED:
            return entries.of_fact
        never = entries.identified_days == NEVER
        return np.where(never, len(entries.of_fact), entries.of_fact)
