"""Conflicting duplicates are told among recent messages, and move no count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.batch import Facts, facts_from_bytes
from headcount.counting.calendar import MS_PER_DAY
from headcount.counting.conflicts import CONFLICTING, RecentMessages
from headcount.counting.facts import Rejection
from headcount.counting.fold import fold
from support.generated_months import Indexes
from support.oracle import PlainFact
from support.rig import pack

DAY = 20_500
FIRST = PlainFact(DAY * MS_PER_DAY, 1, 2, "m", "u", "a")


def facts_of(*plain: PlainFact) -> Facts:
    return facts_from_bytes([b"".join(map(pack, plain))])


@pytest.mark.parametrize("batches", [[[0], [1]], [[0, 1]]], ids=["apart", "together"])
@pytest.mark.parametrize(
    ("again", "conflicts"),
    [
        (FIRST, 0),
        (replace(FIRST, received_at_ms=FIRST.received_at_ms + 5), 0),
        (replace(FIRST, user="v"), 1),
        (replace(FIRST, anonymous=None), 1),
        (replace(FIRST, user="a", anonymous="u"), 1),
        (replace(FIRST, previous="p"), 1),
        (replace(FIRST, source=3, user="v"), 0),
        (replace(FIRST, message="n", user="v"), 0),
    ],
)
def test_another_message_under_one_id_is_told(
    again: PlainFact, conflicts: int, batches: list[list[int]]
) -> None:
    recent, indexes, found = RecentMessages(), Indexes(), list[Rejection]()
    for batch in batches:
        facts = facts_of(*[(FIRST, again)[number] for number in batch])
        folded = fold(facts, indexes, 35)
        recent.remember(facts)
        found += recent.conflicts(folded.duplicated)
        folded.apply_to(indexes)
    assert found == [Rejection(1, 2, DAY, CONFLICTING, 1)][:conflicts]


def test_another_type_is_told() -> None:
    recent, facts = RecentMessages(), facts_of(FIRST, FIRST)
    facts["tags"] = [1, 2]
    recent.remember(facts[:1])
    assert [each.messages for each in recent.conflicts([facts[1:]])] == [1]
    facts["tags"] = [1, 1 | 7 << 16]  # where it came from may differ: a retry by another way
    assert recent.conflicts([facts[1:]]) == []


def test_what_was_never_seen_here_is_not_told() -> None:
    assert RecentMessages().conflicts([facts_of(FIRST)]) == []


FACTS = st.builds(
    PlainFact,
    st.integers(DAY, DAY + 80).map(lambda day: day * MS_PER_DAY),
    st.just(1),
    st.integers(1, 2),
    st.sampled_from("mno"),
    st.sampled_from("uv"),
    st.sampled_from([None, "a"]),
)


@given(st.lists(st.lists(FACTS, min_size=1, max_size=9), min_size=1, max_size=6))
def test_conflicts_are_some_of_the_duplicates_of_their_day(batches: list[list[PlainFact]]) -> None:
    recent, indexes = RecentMessages(), Indexes()
    duplicates, conflicts = np.zeros((3, 200), np.int64), np.zeros((3, 200), np.int64)
    for batch in batches:
        facts = facts_of(*batch)
        folded = fold(facts, indexes, 35)
        folded.apply_to(indexes)
        recent.remember(facts)
        for (period, _, source), counts in folded.counts.items():
            first = period.first_day - DAY + 40
            duplicates[source, first : first + 31] += counts[:, 4] - counts[:, 0]
        for each in recent.conflicts(folded.duplicated):
            conflicts[each.source, each.day - DAY + 40] += each.messages
        assert (conflicts[1:] <= duplicates[1:]).all()
