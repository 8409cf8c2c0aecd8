"""Rebuilding the counts of one scope: takes all other counts of the month and how many keys each
day brought, gives counts that follow from them, each to be held against a checksum.

What follows: a workspace with one source has that source's counts. Else API calls and messages of a
workspace are the sum over its sources, and a source's are what the others leave; the tracked keys
of a day are the sum of identified and anonymous ids over all scopes, so what the other scopes leave
is known, but not how it divides into these. That is taken from what is left of the damaged row,
where one of the two may still be right. Pure: knows no store.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from headcount.counting.metrics import STORED, KeyDay
from headcount.counting.usage import Counts
from headcount.store.recount import KeysByDay

__all__ = ["MonthKeys", "candidates"]

_TRIED_MAX = 4_096  # rows: twelve days of which one of two numbers may be wrong


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
    by_keys: dict[KeyDay, list[int]] = {"days": [], "identified_days": []}
    for kind, metric in enumerate(STORED):
        if metric.adds_up:
            added = of_sources[:, kind]
            found[:, kind] = added if workspace is None else workspace[:, kind] - added
        elif metric.keys is not None:
            by_keys[metric.keys.days].append(kind)
    doubts: list[tuple[int, list[int], int]] = []  # a day, which counts it may be, their sum
    for days, given in keys.tracked.by_days().items():
        kinds = by_keys[days]
        left = given - taken[:, kinds].sum(axis=1)
        if len(kinds) == 1:
            found[:, kinds[0]] = left
            continue
        wrong = np.flatnonzero(found[:, kinds].sum(axis=1) != left).tolist()
        doubts += [(day, kinds, int(left[day])) for day in wrong]
    if math.prod(len(kinds) for _, kinds, _ in doubts) > _TRIED_MAX:
        return
    for guess in product(*(kinds for _, kinds, _ in doubts)):
        counts = found.copy()
        for (day, kinds, left_of_day), kind in zip(doubts, guess, strict=True):
            counts[day, kind] += left_of_day - counts[day, kinds].sum()
        if (counts >= 0).all():
            yield counts
