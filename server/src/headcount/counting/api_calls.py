"""The first half of the fold: which messages are API calls, and which facts go on to be counted.

Takes the months of a batch and the indexes of message keys; gives new message keys, counts of
deliveries and API calls, and the facts that are candidates for the sets of tracked ids: all but
those that rule 2 leaves out. Its result depends on the order of the batches, because of two
deliveries in two months the one that is folded first counts; and on nothing but message keys.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from headcount.counting.attributing import MonthOfContributions
from headcount.counting.batch import MonthOfFacts, ScopeCounts, is_wide
from headcount.counting.calendar import Period
from headcount.counting.contributions import OF_SOURCE
from headcount.counting.facts import IMPORTED
from headcount.counting.folded import Folded, Indexes
from headcount.counting.index import Probe
from headcount.counting.keys import (
    MESSAGE,
    NEVER,
    U8,
    U64,
    Groups,
    KeyBlock,
    KeySet,
    message_keys,
)
from headcount.counting.metrics import ADMITTED, API_CALLS

__all__ = ["fold_messages"]


def fold_messages(
    months: Iterable[MonthOfFacts], indexes: Indexes, window_days: int
) -> tuple[Folded, list[MonthOfFacts]]:
    """Apply rules 1 and 2.

    Args:
        months: the months of a batch, in ascending order.
        indexes: the message keys that are known already.
        window_days: how far apart two days in different periods may be for one message id to be
            the same message.

    Returns:
        What the messages amount to; and of each month the facts whose ids are to be counted.
    """
    folded = Folded()
    overlay = _Overlay(indexes)
    candidates = []
    for month in months:
        counts = ScopeCounts(month.scopes)
        counts.add_from_source(month.of_fact, month.days, ADMITTED)
        folded.facts += len(month.facts)
        live = month.days[(month.facts["flags"] & IMPORTED) == 0]
        folded.live_days += (np.flatnonzero(np.bincount(live)) + month.period.first_day).tolist()
        fingerprints = message_keys(month.facts["source"], month.facts["message"])
        left_out = _accepted_elsewhere(month, fingerprints, overlay, window_days)
        if left_out is not None:
            folded.duplicates += int(left_out.sum())
            folded.duplicated.append(month.facts[left_out])
            month, fingerprints = month.without(left_out), fingerprints[~left_out]
        if len(fingerprints):
            _fold_month(folded, month, fingerprints, overlay, counts)
            candidates.append(month)
        folded.add_counts(month.period, counts)
    return folded, candidates


class _Overlay:
    """Message keys as they will be once the periods folded so far are committed."""

    def __init__(self, indexes: Indexes) -> None:
        self.indexes = indexes
        self._folded: dict[Period, tuple[U64, U8]] = {}

    def probe(self, period: Period, fingerprints: U64, since_day: int = 0) -> Probe:
        """What is committed of some keys; of those of days before, it may be nothing."""
        return self.indexes.of(period, MESSAGE).probe(fingerprints, since_day)

    def add(self, period: Period, fingerprints: U64, days: U8) -> None:
        """Remember the message keys of a period that is folded, but not committed yet."""
        self._folded[period] = (fingerprints, days)

    def knows(self, period: Period) -> bool:
        """Whether a period has any message keys."""
        return period in self._folded or self.indexes.knows(period, MESSAGE)

    def days_of(self, period: Period, fingerprints: U64, since_day: int) -> U8:
        """First days (of the month) of message keys, `NEVER` where unknown.

        It may be `NEVER` as well where the day is before `since_day`.
        """
        days = self.probe(period, fingerprints, since_day).days
        if period in self._folded:
            keys, key_days = self._folded[period]
            at = np.searchsorted(keys, fingerprints)
            at[at == len(keys)] = 0
            same = keys[at] == fingerprints
            days[same] = np.minimum(days[same], key_days[at[same]])
        return days


def _accepted_elsewhere(
    month: MonthOfFacts, fingerprints: U64, overlay: _Overlay, window_days: int
) -> npt.NDArray[np.bool_] | None:
    """Which facts are re-deliveries of a message accepted in another period; None for none."""
    period = month.period
    nearest = period.first_day + int(month.days.min()) - window_days
    furthest = period.first_day + int(month.days.max()) + window_days
    left_out: npt.NDArray[np.bool_] | None = None
    groups: list[Groups] = []
    for number in range(Period.of_day(nearest).number, Period.of_day(furthest).number + 1):
        other = Period(number)
        if other == period or not overlay.knows(other):
            continue
        groups = groups or _groups(month, fingerprints)
        other_days = _days_in(other, groups, overlay, nearest - other.first_day)
        if other_days is None:
            continue
        apart = other_days.astype(np.int64) - month.days + (other.first_day - period.first_day)
        near = (other_days != NEVER) & (np.abs(apart) <= window_days)
        if sealed := overlay.indexes.sealed_workspaces(other):
            near &= ~np.isin(month.facts["workspace"], sealed)
        if near.any():
            left_out = near if left_out is None else left_out | near
    return left_out


def _days_in(other: Period, groups: list[Groups], overlay: _Overlay, since_day: int) -> U8 | None:
    """First days in another month of the messages of all facts; None where it has none of them.

    What was first seen before `since_day`, a day of that month, is too far away to matter.

    One group of keys is under the hash key of that month; those of the other are never in there.
    """
    found: U8 | None = None
    for each in groups:
        days = overlay.days_of(other, each.fingerprints, since_day)
        if (days != NEVER).any():
            spread = each.spread(days)
            found = spread if found is None else np.minimum(found, spread)
    return found


def _groups(month: MonthOfFacts, fingerprints: U64) -> list[Groups]:
    """Message keys of a month, and the same under the other hash key where there are two."""
    groups = [Groups(fingerprints)]
    if is_wide(month.facts):
        groups.append(Groups(message_keys(month.facts["source"], month.facts["also"])))
    return groups


def _fold_month(
    folded: Folded,
    month: MonthOfFacts,
    fingerprints: U64,
    overlay: _Overlay,
    counts: ScopeCounts,
) -> None:
    """Rule 2 within the period: a key is one API call, on its earliest day."""
    groups = Groups(fingerprints)
    first_days = groups.earliest(month.days)
    of_key = month.of_fact[groups.members]
    known = overlay.probe(month.period, groups.fingerprints)
    new = known.days == NEVER
    earlier = ~new & (first_days < known.days)
    counts.add_from_source(of_key[new], first_days[new], API_CALLS)
    counts.add_from_source(of_key[earlier], known.days[earlier], API_CALLS, -1)
    counts.add_from_source(of_key[earlier], first_days[earlier], API_CALLS)
    contributions = MonthOfContributions(month)
    first, moving = groups.first(np.flatnonzero(new)), groups.first(np.flatnonzero(earlier))
    contributions.add(first, OF_SOURCE[API_CALLS])
    days = known.days[earlier], first_days[earlier]
    contributions.move(moving, days, OF_SOURCE[API_CALLS])
    folded.add_contributions(month.period, contributions)
    if len(first) < len(fingerprints):
        folded.duplicates += len(fingerprints) - len(first)
        again = np.ones(len(fingerprints), np.bool_)
        # Nor is one that has the call moved to its own day.
        again[first] = again[moving] = False
        folded.duplicated.append(month.facts[again])
    overlay.add(month.period, groups.fingerprints, np.minimum(first_days, known.days))
    folded.add_keys(
        (month.period, MESSAGE),
        KeyBlock(groups.fingerprints, first_days),
        known,
        new | earlier,
        scopes=month.scopes,
        of_key=of_key,
        sets=np.full(len(groups), KeySet.MESSAGES, np.uint8),
    )
