"""Folding: a batch of facts becomes new keys, changed counts and what to tell the indexes.

Takes facts in metering order and, for each period and family, an index to ask; gives a `Folded`:
the change to commit to a store, and the steps that bring the indexes up to it afterwards. It
changes nothing itself, so a batch whose commit fails has left no trace.

The counting rules, as they are applied here:

1. The day of a fact is the UTC date of `received_at`; its period is the month of that day.
2. Within a period, a (source, messageId) pair is one API call, on its earliest day. A pair that its
   source accepted in another period, on a day at most `window_days` away, is a duplicate that
   leaves nothing else; the delivery metered first counts.
3. Every other fact adds its userId to the identified set and its anonymousId to the anonymous set,
   of its source and of its workspace; an anonymousId seen together with a userId joins the
   anonymous identified set as well, and the previousId of an alias is such an anonymousId.

Facts are folded period by period, in ascending order, which is the metering order when the batch
is sorted by `received_at`: only rule 2 looks across periods, and it sees what earlier periods of
the same batch have changed through `_Overlay`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.facts import FACT_BYTES, IMPORTED
from headcount.counting.index import Probe, Slots
from headcount.counting.keys import (
    MESSAGE,
    NEVER,
    TRACKED,
    U8,
    U32,
    U64,
    Family,
    KeyBlock,
    message_keys,
    tracked_keys,
)
from headcount.counting.usage import (
    ADMITTED,
    ANONYMOUS,
    ANONYMOUS_IDENTIFIED,
    API_CALLS,
    DAYS_MAX,
    IDENTIFIED,
    KINDS,
    Counts,
)

__all__ = ["FACT_DTYPE", "Facts", "Folded", "Index", "Indexes", "facts_from_bytes", "fold"]

FACT_DTYPE = np.dtype(
    [
        ("received_at_ms", "<i8"),
        ("workspace", "<u4"),
        ("source", "<u4"),
        ("tags", "<u4"),
        ("flags", "<u4"),
        ("message", "<u8"),
        ("user", "<u8"),
        ("anonymous", "<u8"),
        ("previous", "<u8"),
    ]
)
assert FACT_DTYPE.itemsize == FACT_BYTES

Facts = npt.NDArray[np.void]


class Index(Protocol):
    """Keys of one period and family with their earliest days; `FirstSeenIndex` is one."""

    def probe(self, fingerprints: U64) -> Probe:
        """What is known of some keys (ascending, each once)."""
        ...

    def learn(self, block: KeyBlock, slots: Slots) -> None:
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


def facts_from_bytes(blocks: Iterable[bytes]) -> Facts:
    """Packed facts in metering order: by time of receipt, then in the order they came."""
    facts = np.frombuffer(b"".join(blocks), FACT_DTYPE)
    times = facts["received_at_ms"]
    if len(times) > 1 and np.any(times[1:] < times[:-1]):
        facts = facts[np.argsort(times, kind="stable")]
    return facts


@dataclass(slots=True)
class Folded:
    """What one batch amounts to.

    Attributes:
        keys: (period, family) to new and lowered keys, for the store.
        counts: (period, workspace, source) to counts to add; source 0 is the workspace itself.
        slots: (period, family) to where the probe found each of those keys, for the index.
        facts: how many facts went in.
        duplicates: how many of them were no further API call when they were folded.
        live_days: days of facts that no import brought, ascending, each once.
    """

    keys: dict[tuple[Period, Family], KeyBlock] = field(default_factory=dict)
    counts: dict[tuple[Period, int, int], Counts] = field(default_factory=dict)
    slots: dict[tuple[Period, Family], Slots] = field(default_factory=dict)
    facts: int = 0
    duplicates: int = 0
    live_days: list[int] = field(default_factory=list)

    def learn(self, indexes: Indexes) -> None:
        """Bring the indexes up to the committed change."""
        for place, block in self.keys.items():
            indexes.of(*place).learn(block, self.slots[place])


def fold(facts: Facts, indexes: Indexes, window_days: int) -> Folded:
    """Fold facts that are sorted by `received_at`.

    Args:
        facts: shape (n,), dtype `FACT_DTYPE`, ascending in `received_at_ms`.
        indexes: what is known already.
        window_days: how far apart two days in different periods may be for one message id to be
            the same message.
    """
    folded = Folded(facts=len(facts))
    if not len(facts):
        return folded
    all_days = facts["received_at_ms"] // MS_PER_DAY
    folded.live_days = np.unique(all_days[(facts["flags"] & IMPORTED) == 0]).tolist()
    overlay = _Overlay(indexes)
    start = 0
    while start < len(facts):
        period = Period.of_day(int(all_days[start]))
        stop = int(np.searchsorted(all_days, period.last_day, side="right"))
        days = (all_days[start:stop] - period.first_day).astype(np.uint8)
        _fold_period(folded, facts[start:stop], days, period, overlay, window_days)
        start = stop
    return folded


class _Overlay:
    """Message keys as they will be once the periods folded so far are committed."""

    def __init__(self, indexes: Indexes) -> None:
        self.indexes = indexes
        self._folded: dict[Period, tuple[U64, U8]] = {}

    def probe(self, period: Period, family: Family, fingerprints: U64) -> Probe:
        """What is committed of some keys."""
        return self.indexes.of(period, family).probe(fingerprints)

    def add(self, period: Period, fingerprints: U64, days: U8) -> None:
        """Remember the message keys of a period that is folded, but not committed yet."""
        self._folded[period] = (fingerprints, days)

    def knows(self, period: Period) -> bool:
        """Whether a period has any message keys."""
        return period in self._folded or self.indexes.knows(period, MESSAGE)

    def days_of(self, period: Period, fingerprints: U64) -> U8:
        """First days (of the month) of message keys, `NEVER` where unknown."""
        days = self.probe(period, MESSAGE, fingerprints).days
        if period in self._folded:
            keys, key_days = self._folded[period]
            at = np.searchsorted(keys, fingerprints)
            at[at == len(keys)] = 0
            same = keys[at] == fingerprints
            days[same] = np.minimum(days[same], key_days[at[same]])
        return days


class _Scopes:
    """The sources and workspaces of one period's facts, as small dense numbers.

    Sources come first, then workspaces; counts are gathered in one array over all of them.
    """

    def __init__(self, facts: Facts) -> None:
        self.sources, first, self.of_fact = np.unique(
            facts["source"], return_index=True, return_inverse=True
        )
        self._source_workspaces = facts["workspace"][first]
        self.workspaces, inverse = np.unique(self._source_workspaces, return_inverse=True)
        self._workspace_of_source = inverse + len(self.sources)
        self.counts = np.zeros((len(self.sources) + len(self.workspaces), DAYS_MAX, len(KINDS)))
        self.counts = self.counts.astype(np.int64)

    def workspace_scope(self, source_scopes: Slots) -> Slots:
        return self._workspace_of_source[source_scopes]

    def add(self, scopes: Slots, days: U8, kind: int, sign: int = 1) -> None:
        """Add `sign` to one kind for each (scope, day)."""
        flat = np.bincount(scopes * DAYS_MAX + days, minlength=len(self.counts) * DAYS_MAX).reshape(
            len(self.counts), DAYS_MAX
        )
        self.counts[:, :, kind] += sign * flat

    def add_from_source(self, scopes: Slots, days: U8, kind: int, sign: int = 1) -> None:
        """The same, for sources and for their workspaces, whose value is the sum."""
        self.add(scopes, days, kind, sign)
        self.add(self.workspace_scope(scopes), days, kind, sign)

    def deliver(self, folded: Folded, period: Period) -> None:
        changed = np.flatnonzero(self.counts.any(axis=(1, 2)))
        for scope in changed.tolist():
            if scope < len(self.sources):
                workspace = int(self._source_workspaces[scope])
                source = int(self.sources[scope])
            else:
                workspace, source = int(self.workspaces[scope - len(self.sources)]), 0
            folded.counts[period, workspace, source] = self.counts[scope]


def _fold_period(
    folded: Folded, facts: Facts, days: U8, period: Period, overlay: _Overlay, window_days: int
) -> None:
    """Fold facts of one period into `folded`; days are days of that month, 0 to 30."""
    scopes = _Scopes(facts)
    scopes.add_from_source(scopes.of_fact, days, ADMITTED)
    fingerprints = message_keys(facts["source"], facts["message"])
    left_out = _accepted_elsewhere(
        facts["workspace"], fingerprints, days, period, overlay, window_days
    )
    if left_out is not None:
        kept = ~left_out
        folded.duplicates += int(left_out.sum())
        facts, days, fingerprints = facts[kept], days[kept], fingerprints[kept]
        scopes.of_fact = scopes.of_fact[kept]
    _fold_messages(folded, fingerprints, days, period, overlay, scopes)
    _fold_tracked(folded, facts, days, period, overlay, scopes)
    scopes.deliver(folded, period)


def _accepted_elsewhere(
    workspaces: U32,
    fingerprints: U64,
    days: U8,
    period: Period,
    overlay: _Overlay,
    window_days: int,
) -> npt.NDArray[np.bool_] | None:
    """Which facts are re-deliveries of a message accepted in another period; None for none."""
    nearest = period.first_day + int(days.min()) - window_days
    furthest = period.first_day + int(days.max()) + window_days
    left_out: npt.NDArray[np.bool_] | None = None
    groups: _Groups | None = None
    for number in range(Period.of_day(nearest).number, Period.of_day(furthest).number + 1):
        other = Period(number)
        if other == period or not overlay.knows(other):
            continue
        groups = groups or _Groups(fingerprints)
        other_days = overlay.days_of(other, groups.fingerprints)
        if (other_days == NEVER).all():
            continue
        other_days = groups.spread(other_days)
        apart = other_days.astype(np.int64) - days + (other.first_day - period.first_day)
        near = (other_days != NEVER) & (np.abs(apart) <= window_days)
        if sealed := overlay.indexes.sealed_workspaces(other):
            near &= ~np.isin(workspaces, sealed)
        if near.any():
            left_out = near if left_out is None else left_out | near
    return left_out


class _Groups:
    """Entries grouped by fingerprint: each distinct key once, ascending."""

    def __init__(self, fingerprints: U64) -> None:
        self.order = np.argsort(fingerprints)
        ascending = fingerprints[self.order]
        self.starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
        self.fingerprints: U64 = ascending[self.starts]
        self.members = self.order[self.starts]
        """One entry of each group, for what all entries of a group share."""

    def earliest(self, days: U8) -> U8:
        """The minimum of each group's days."""
        return np.minimum.reduceat(days[self.order], self.starts)

    def spread(self, days: U8) -> U8:
        """One day a group, given back to each of its entries."""
        spread = np.empty(len(self.order), np.uint8)
        spread[self.order] = np.repeat(days, np.diff(self.starts, append=len(self.order)))
        return spread


def _fold_messages(
    folded: Folded, fingerprints: U64, days: U8, period: Period, overlay: _Overlay, scopes: _Scopes
) -> None:
    """Rule 2 within the period: a key is one API call, on its earliest day."""
    if not len(fingerprints):
        return
    groups = _Groups(fingerprints)
    first_days = groups.earliest(days)
    sources = scopes.of_fact[groups.members]
    known = overlay.probe(period, MESSAGE, groups.fingerprints)
    new = known.days == NEVER
    earlier = ~new & (first_days < known.days)
    scopes.add_from_source(sources[new], first_days[new], API_CALLS)
    scopes.add_from_source(sources[earlier], known.days[earlier], API_CALLS, -1)
    scopes.add_from_source(sources[earlier], first_days[earlier], API_CALLS)
    folded.duplicates += len(fingerprints) - int(new.sum())
    overlay.add(period, groups.fingerprints, np.minimum(first_days, known.days))
    block = KeyBlock(groups.fingerprints, first_days, None)
    _emit(folded, period, MESSAGE, block, known.slots, new | earlier)


class _Tracked(NamedTuple):
    """Tracked ids as they stand in facts: one entry for each id, scope and fact."""

    fingerprints: U64
    days: U8
    identified_days: U8
    scopes: Slots
    anonymous: npt.NDArray[np.bool_]


def _tracked_entries(facts: Facts, days: U8, scopes: _Scopes) -> _Tracked:
    """Rule 3: which ids join which sets."""
    with_user = facts["user"] != 0
    never = np.full(len(facts), NEVER, np.uint8)
    joins = (
        # ids, whether they are anonymous, and the day on which they were seen with a userId
        (facts["user"], False, never),
        (facts["anonymous"], True, np.where(with_user, days, never)),
        (facts["previous"], True, days),
    )
    entries = []
    for hashes, anonymous, identified_days in joins:
        present = np.flatnonzero(hashes != 0)
        if not len(present):
            continue
        sources = scopes.of_fact[present]
        for workspace in (False, True):
            numbers = facts["workspace" if workspace else "source"][present]
            entries.append(
                _Tracked(
                    tracked_keys(
                        numbers, hashes[present], workspace=workspace, anonymous=anonymous
                    ),
                    days[present],
                    identified_days[present],
                    scopes.workspace_scope(sources) if workspace else sources,
                    np.full(len(present), anonymous),
                )
            )
    if not entries:
        return _Tracked(
            np.empty(0, np.uint64), days[:0], days[:0], scopes.of_fact[:0], with_user[:0]
        )
    return _Tracked(*(np.concatenate(column) for column in zip(*entries, strict=True)))


def _fold_tracked(
    folded: Folded, facts: Facts, days: U8, period: Period, overlay: _Overlay, scopes: _Scopes
) -> None:
    """Add each tracked id to its sets, on its earliest days."""
    entries = _tracked_entries(facts, days, scopes)
    if not len(entries.fingerprints):
        return
    groups = _Groups(entries.fingerprints)
    of_key = entries.scopes[groups.members]
    anonymous = entries.anonymous[groups.members]
    known = overlay.probe(period, TRACKED, groups.fingerprints)
    new = known.days == NEVER
    first_days = np.minimum(groups.earliest(entries.days), known.days)
    identified_days = np.minimum(groups.earliest(entries.identified_days), known.identified_days)
    for kind, of_kind, before, after in (
        (IDENTIFIED, ~anonymous, known.days, first_days),
        (ANONYMOUS, anonymous, known.days, first_days),
        (ANONYMOUS_IDENTIFIED, anonymous, known.identified_days, identified_days),
    ):
        changed = of_kind & (after < before)
        moved = changed & (before != NEVER)
        scopes.add(of_key[moved], before[moved], kind, -1)
        scopes.add(of_key[changed], after[changed], kind)
    lowered = ~new & ((first_days < known.days) | (identified_days < known.identified_days))
    block = KeyBlock(groups.fingerprints, first_days, identified_days)
    _emit(folded, period, TRACKED, block, known.slots, new | lowered)


def _emit(
    folded: Folded,
    period: Period,
    family: Family,
    block: KeyBlock,
    slots: Slots,
    changed: npt.NDArray[np.bool_],
) -> None:
    """Hand over the keys that are new or have an earlier day than the index knows."""
    if changed.any():
        folded.keys[period, family] = block.chosen(changed)
        folded.slots[period, family] = slots[changed]
