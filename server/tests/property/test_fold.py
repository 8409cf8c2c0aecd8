"""The fold alone, without a disk: thousands of histories, and in each the oracle's counts.

Messages come again, late, out of order, across months, and are cut into batches anywhere. What
holds for one fold must hold for its halves, each with keys of its own, and for many of both.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.counting.api_calls import fold_messages
from headcount.counting.batch import FACT_DTYPE, Facts, MonthOfFacts, facts_from_bytes
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.fold import fold
from headcount.counting.folded import Folded
from headcount.counting.index import FirstSeenIndex
from headcount.counting.keys import Family, KeyBlock, KeySet, message_keys, tracked_keys
from headcount.counting.metrics import (
    ADMITTED,
    ANONYMOUS,
    ANONYMOUS_IDENTIFIED,
    API_CALLS,
    IDENTIFIED,
    KINDS,
)
from headcount.counting.tracked_ids import fold_tracked
from headcount.counting.usage import DAYS_MAX, Counts
from support.oracle import Oracle, PlainFact
from support.rig import HASHER, pack

FIRST_DAY = parse_period("2026-02-01").first_day
Place = tuple[Period, int, int]

IDS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d", "1", "\ud800"]))
# Around three ends of months, and as far apart as a window is wide, or a day more.
DAYS = st.sampled_from([-3, -1, 0, 1, 9, 26, 27, 28, 29, 34, 35, 36, 57, 58, 59, 60, 66])


@st.composite
def plain_facts(draw: st.DrawFn, days: st.SearchStrategy[int] = DAYS) -> PlainFact:
    """A fact of one of two workspaces with three sources each, with ids that come again."""
    source = draw(st.integers(1, 6))
    user = draw(IDS)
    return PlainFact(
        (FIRST_DAY + draw(days)) * MS_PER_DAY + draw(st.sampled_from([0, MS_PER_DAY - 1])),
        workspace=1 + source % 2,
        source=source,
        message=draw(st.sampled_from(["m1", "m2", "m3", "m4", "m5"])),
        user=user,
        anonymous=draw(IDS),
        previous=draw(IDS) if user is not None else None,
        imported=draw(st.booleans()),
    )


Batch = list[PlainFact]
HISTORIES = st.lists(st.lists(plain_facts(), min_size=1, max_size=8), min_size=1, max_size=6)
IN_ONE_MONTH = st.lists(plain_facts(st.integers(0, 27)), min_size=1, max_size=30)


class Known:
    """First-seen indexes in memory, and the counts that go with them."""

    def __init__(self) -> None:
        self._indexes: dict[tuple[Period, Family], FirstSeenIndex] = {}
        self.counts: dict[Place, Counts] = defaultdict(_zeros)

    def knows(self, period: Period, family: Family) -> bool:
        return (period, family) in self._indexes

    def sealed_workspaces(self, period: Period) -> Sequence[int]:
        return []

    def of(self, period: Period, family: Family) -> FirstSeenIndex:
        return self._indexes.setdefault((period, family), FirstSeenIndex(family))

    def take(self, folded: Folded) -> Folded:
        """What a commit does, and what comes after it."""
        for place, added in folded.counts.items():
            self.counts[place] = self.counts[place] + added
        folded.apply_to(self)
        return folded


def _zeros() -> Counts:
    return np.zeros((DAYS_MAX, len(KINDS)), np.int64)


def in_metering_order(batch: Batch) -> Batch:
    return sorted(batch, key=lambda fact: fact.received_at_ms)


def packed(batch: Batch) -> Facts:
    return facts_from_bytes(map(pack, batch))


def counted(batches: Sequence[Batch], window_days: int) -> Known:
    """What one fold after the other makes of batches."""
    known = Known()
    for batch in batches:
        known.take(fold(packed(batch), known, window_days))
        assert_invariants(known.counts)
    return known


def told(batches: Sequence[Batch], window_days: int) -> Oracle:
    oracle = Oracle(window_days)
    for batch in batches:
        for fact in in_metering_order(batch):
            oracle.meter(fact, fact.day)
    return oracle


def assert_invariants(counts: dict[Place, Counts]) -> None:
    """No count is negative, and the largest source <= the workspace <= the sum of its sources."""
    for (period, workspace, source), whole in counts.items():
        assert (whole >= 0).all()
        if source:
            continue
        parts = [part for (p, w, s), part in counts.items() if (p, w) == (period, workspace) and s]
        running = np.cumsum(parts, axis=1)
        for kind in (IDENTIFIED, ANONYMOUS, ANONYMOUS_IDENTIFIED):
            of_workspace = np.cumsum(whole[:, kind])
            assert (running[:, :, kind].max(axis=0) <= of_workspace).all()
            assert (of_workspace <= running[:, :, kind].sum(axis=0)).all()
        for kind in (API_CALLS, ADMITTED):
            assert (whole[:, kind] == np.sum(parts, axis=0)[:, kind]).all()


def assert_oracles(counts: dict[Place, Counts], oracle: Oracle) -> None:
    """Every count of every scope, at every day on which anything could have changed it."""
    scopes = {("workspace", w, w, 0) for w in oracle.workspace_of.values()}
    scopes |= {("source", s, w, s) for s, w in oracle.workspace_of.items()}
    for period in oracle.periods():
        days = {day for _, day in oracle.admitted if Period.of_day(day) == period}
        for kind, number, workspace, source in scopes:
            running = np.cumsum(counts.get((period, workspace, source), _zeros()), axis=0)
            for day in days | {period.last_day}:
                found = dict(zip(KINDS, running[day - period.first_day].tolist(), strict=True))
                assert found == oracle.counts(period, kind, number, day), (kind, number, day)


def same(one: dict[Place, Counts], other: dict[Place, Counts]) -> bool:
    def rows(counts: dict[Place, Counts]) -> dict[Place, list[list[int]]]:
        return {place: each.tolist() for place, each in counts.items() if each.any()}

    return rows(one) == rows(other)


@settings(max_examples=1_500)
@given(batches=HISTORIES, window_days=st.sampled_from([0, 1, 34, 35]))
def test_counts_are_the_oracles_wherever_batches_end(
    batches: list[Batch], window_days: int
) -> None:
    assert_oracles(counted(batches, window_days).counts, told(batches, window_days))


@settings(max_examples=500)
@given(facts=IN_ONE_MONTH, seed=st.integers(0, 2**32))
def test_within_a_month_neither_order_nor_batches_nor_repeats_change_a_count(
    facts: Batch, seed: int
) -> None:
    rng = random.Random(seed)
    other_order = rng.sample(facts, len(facts))
    ends = sorted(rng.sample(range(len(facts) + 1), rng.randrange(min(6, len(facts)))))
    cut = [other_order[a:b] for a, b in zip([0, *ends], [*ends, len(facts)], strict=True)]
    known = counted([facts], 35)
    assert same(known.counts, counted(cut, 35).counts)
    # All of it once more leaves nothing but its deliveries.
    again = fold(packed(facts), known, 35)
    assert again.duplicates == again.facts == len(facts)
    assert again.keys == {}
    for counts in again.counts.values():
        assert not np.delete(counts, ADMITTED, axis=1).any()


class Owner(NamedTuple):
    workspace: int
    source: int
    key_set: KeySet


def owners(fact: PlainFact) -> Iterator[tuple[Period, int, Owner]]:
    """Each key that a fact may leave, by its fingerprint, and whose it is."""
    period = Period.of_day(fact.day)
    hashes = {
        KeySet.IDENTIFIED: [fact.user],
        KeySet.ANONYMOUS: [fact.anonymous, fact.previous],
    }

    def number(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        return np.frombuffer(data, "<u8")

    of_source = np.array([fact.source], np.uint32)
    [key] = message_keys(of_source, number(HASHER.message(fact.message))).tolist()
    yield period, key, Owner(fact.workspace, fact.source, KeySet.MESSAGES)
    for key_set, ids in hashes.items():
        for each in ids:
            for source in (fact.source, 0) if each is not None else ():
                scope = of_source if source else np.array([fact.workspace], np.uint32)
                anonymous = key_set is KeySet.ANONYMOUS
                [key] = tracked_keys(
                    scope, number(HASHER.tracked(each)), workspace=not source, anonymous=anonymous
                ).tolist()
                yield period, key, Owner(fact.workspace, source, key_set)


@settings(max_examples=300)
@given(batches=HISTORIES)
def test_each_new_key_says_whose_it_is(batches: list[Batch]) -> None:
    known = Known()
    for batch in batches:
        whose = {(period, key): owner for f in batch for period, key, owner in owners(f)}
        folded = known.take(fold(packed(batch), known, 35))
        for (period, _), new in folded.keys.items():
            columns = (new.keys.fingerprints, new.workspaces, new.sources, new.sets)
            for key, *owner in zip(*(column.tolist() for column in columns), strict=True):
                assert whose[period, key] == Owner(*owner)


def in_parts(facts: Facts, by: Callable[[Facts], np.ndarray], count: int) -> Iterator[Facts]:
    part_of = by(facts) % np.uint64(count)
    for part in range(count):
        yield facts[part_of == part]


def records(facts: Facts) -> Facts:
    """Each id of some facts as a fact of its own: what one half would send to another machine."""
    found = []
    with_user = facts["user"] != 0
    for column, to, which in (
        ("user", "user", with_user),
        ("anonymous", "anonymous", (facts["anonymous"] != 0) & ~with_user),
        ("anonymous", "previous", (facts["anonymous"] != 0) & with_user),
        ("previous", "previous", facts["previous"] != 0),
    ):
        sent = np.zeros(int(which.sum()), FACT_DTYPE)
        for kept in ("received_at_ms", "workspace", "source"):
            sent[kept] = facts[which][kept]
        sent[to] = facts[which][column]
        found.append(sent)
    joined = np.concatenate(found)
    return joined[np.argsort(joined["received_at_ms"], kind="stable")]


@settings(max_examples=300)
@given(
    batches=HISTORIES,
    window_days=st.sampled_from([0, 35]),
    first_halves=st.integers(1, 3),
    second_halves=st.integers(1, 3),
)
def test_halves_with_keys_of_their_own_add_up_to_the_whole(
    batches: list[Batch], window_days: int, first_halves: int, second_halves: int
) -> None:
    firsts = [Known() for _ in range(first_halves)]
    seconds = [Known() for _ in range(second_halves)]

    def of_message(facts: Facts) -> np.ndarray:
        return message_keys(facts["source"], facts["message"])

    def of_id(sent: Facts) -> np.ndarray:
        return sent["user"] ^ sent["anonymous"] ^ sent["previous"]

    for batch in batches:
        for first, facts in zip(
            firsts, in_parts(packed(batch), of_message, first_halves), strict=True
        ):
            messages, left = fold_messages(MonthOfFacts.each(facts), first, window_days)
            first.take(messages)
            if not left:
                continue
            sent = records(np.concatenate([month.facts for month in left]))
            for second, ids in zip(seconds, in_parts(sent, of_id, second_halves), strict=True):
                second.take(fold_tracked(MonthOfFacts.each(ids), second))
    summed: dict[Place, Counts] = defaultdict(_zeros)
    for known in (*firsts, *seconds):
        for place, counts in known.counts.items():
            summed[place] = summed[place] + counts
    assert same(summed, counted(batches, window_days).counts)
    assert_oracles(summed, told(batches, window_days))


def test_folding_changes_neither_its_facts_nor_its_indexes() -> None:
    known = Known()
    day_ms = FIRST_DAY * MS_PER_DAY
    batch = [PlainFact(day_ms, 1, 1, "m", "u", "a"), PlainFact(day_ms, 1, 2, "m", None, "a")]
    facts = packed(batch)
    before = facts.tobytes()
    one, other = (fold(facts, known, 35) for _ in range(2))
    assert facts.tobytes() == before
    assert same(one.counts, other.counts)
    assert one.counts  # neither was told of the other's keys
    blocks: list[KeyBlock] = [b for place in one.keys for b in known.of(*place).blocks()]
    assert sum(map(len, blocks)) == 0
