"""Rebuilding the counts of one scope: takes all other counts of the month and how many keys each
day brought, gives counts that follow from them, each to be held against a checksum.

What follows: a workspace with one source has that source's counts. Else API calls and messages of a
workspace are the sum over its sources, and a source's are what the others leave; the tracked keys
of a day are the sum of identified and anonymous ids over all scopes, so what the other scopes leave
is known, but not how it divides into the two. That is taken from what is left of the damaged row,
where one of the two may still be right. Pure: knows no store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from headcount.counting.usage import (
    ADMITTED,
    ANONYMOUS,
    ANONYMOUS_IDENTIFIED,
    API_CALLS,
    IDENTIFIED,
    Counts,
)
from headcount.doctor.recount import KeysByDay

__all__ = ["MonthKeys", "candidates"]

_DOUBTS_MAX = 12  # days of which one number may be wrong and one right: 4,096 rows to try


@dataclass(frozen=True, slots=True)
class MonthKeys:
    """The keys of a month, where they are all there.

    Attributes:
        messages: keys of messages.
        tracked: keys of tracked ids.
    """

    messages: KeysByDay
    tracked: KeysByDay


def candidates(
    damaged: Counts,
    workspace: Counts | None,
    sources: Sequence[Counts],
    others: Sequence[Counts],
    keys: MonthKeys | None,
) -> Iterator[Counts]:
    """Counts that a scope may have had, none of them without a reason.

    Args:
        damaged: what stands in the row, of the right shape.
        workspace: the counts of the scope's workspace; None where the scope is the workspace.
        sources: the counts of all (other) sources of that workspace.
        others: the counts of all scopes of all other workspaces.
        keys: the month's keys; None where they are gone, or damaged themselves.
    """
    if workspace is None and len(sources) == 1:
        yield sources[0].copy()
    if workspace is not None and not sources:
        yield workspace.copy()
    if keys is None:
        return
    known = [*sources, *others, *([] if workspace is None else [workspace])]
    taken = np.sum(known, axis=0) if known else np.zeros_like(damaged)
    found = damaged.copy()
    of_sources = np.sum(sources, axis=0) if sources else np.zeros_like(damaged)
    for kind in (API_CALLS, ADMITTED):
        whole = of_sources[:, kind] if workspace is None else workspace[:, kind]
        found[:, kind] = whole if workspace is None else whole - of_sources[:, kind]
    found[:, ANONYMOUS_IDENTIFIED] = keys.tracked.identified - taken[:, ANONYMOUS_IDENTIFIED]
    both = keys.tracked.first - taken[:, IDENTIFIED] - taken[:, ANONYMOUS]
    doubtful = np.flatnonzero(found[:, IDENTIFIED] + found[:, ANONYMOUS] != both).tolist()
    if len(doubtful) > _DOUBTS_MAX:
        return
    for wrong in product((IDENTIFIED, ANONYMOUS), repeat=len(doubtful)):
        counts = found.copy()
        for day, kind in zip(doubtful, wrong, strict=True):
            right = ANONYMOUS if kind == IDENTIFIED else IDENTIFIED
            counts[day, kind] = both[day] - counts[day, right]
        if (counts >= 0).all():
            yield counts
