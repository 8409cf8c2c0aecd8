"""Keys are counted once each, however they lie in blocks and runs and however many there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.counting.calendar import parse_period
from headcount.counting.keys import NEVER, TRACKED, KeyBlock
from headcount.store import recount
from headcount.store.recount import count_keys, fault_of

NOVEMBER = parse_period("2026-11-01")

Keys = dict[int, tuple[int, int]]

days = st.integers(0, 29)
a_block = st.dictionaries(
    st.one_of(st.integers(1, 40), st.integers(1, (1 << 63) - 1)),
    st.tuples(days, st.one_of(st.just(NEVER), days)).map(
        lambda pair: (min(pair), pair[1]) if pair[1] != NEVER else pair
    ),
    max_size=60,
)


def block_of(keys: Keys) -> KeyBlock:
    ascending = sorted(keys)
    return KeyBlock(
        np.array(ascending, np.uint64),
        np.array([keys[key][0] for key in ascending], np.uint8),
        np.array([keys[key][1] for key in ascending], np.uint8),
    )


@settings(max_examples=60)
@given(st.lists(a_block, max_size=5), st.lists(a_block, max_size=3), st.integers(1, 50))
def test_a_key_counts_on_its_earliest_days(
    in_blocks: list[Keys], in_runs: list[Keys], at_once: int
) -> None:
    earliest: Keys = {}
    for keys in (*in_blocks, *in_runs):
        for key, (first, identified) in keys.items():
            held = earliest.get(key, (NEVER, NEVER))
            earliest[key] = min(held[0], first), min(held[1], identified)
    with pytest.MonkeyPatch.context() as patch:
        # So few at once that a small example is walked in many stretches.
        patch.setattr(recount, "_KEYS_AT_ONCE", at_once)
        patch.setattr(recount, "_BLOCK_KEYS_AT_ONCE", 2 * at_once)
        counted = count_keys(
            sum(map(len, in_blocks)),
            lambda: map(block_of, in_blocks),
            [block_of(keys) for keys in in_runs],
        )
    assert counted.keys == len(earliest)
    for day in range(31):
        assert counted.first[day] == sum(first == day for first, _ in earliest.values())
        assert counted.identified[day] == sum(known == day for _, known in earliest.values())


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({5: (30, NEVER)}, "days that the month does not have"),
        ({5: (3, 2)}, "before they were seen"),
        ({5: (3, 30)}, "before they were seen"),
        ({0: (3, 3)}, "no keys"),
        ({1 << 63: (3, 3)}, "no keys"),
    ],
)
def test_impossible_keys_are_named(keys: Keys, words: str) -> None:
    fault = fault_of(block_of(keys), NOVEMBER, TRACKED)
    assert fault is not None
    assert words in fault


def test_a_key_that_stands_twice_is_named() -> None:
    twice = KeyBlock(np.array([7, 7], np.uint64), np.zeros(2, np.uint8), np.zeros(2, np.uint8))
    assert fault_of(twice, NOVEMBER, TRACKED) == "they are not in order"
    assert fault_of(block_of({7: (0, 0)}), NOVEMBER, TRACKED) is None
