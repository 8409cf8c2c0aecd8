"""Blocks of keys: small on disk, whole when they come back, and merged by the minimum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.metering.keys import MESSAGE, NEVER, TRACKED, Family, KeyBlock
from headcount.store.blocks import SIZE_CLASS_MAX, decode, encode, merge, size_class

DAYS = st.integers(0, 30)
KEYS = st.dictionaries(
    st.integers(1, 60) | st.integers(1, 2**63 - 1),
    st.tuples(DAYS, DAYS | st.just(NEVER)),
    min_size=1,
)
KeyDays = dict[int, tuple[int, int]]


def block_of(keys: KeyDays, family: Family) -> KeyBlock:
    ascending = sorted(keys)
    return KeyBlock(
        np.array(ascending, np.uint64),
        np.array([keys[key][0] for key in ascending], np.uint8),
        np.array([keys[key][1] for key in ascending], np.uint8) if family == TRACKED else None,
    )


def content(block: KeyBlock) -> list[Sequence[int] | None]:
    columns = (block.fingerprints, block.days, block.identified_days)
    return [None if column is None else column.tolist() for column in columns]


@pytest.mark.parametrize(("family", "key_bytes"), [(TRACKED, 10), (MESSAGE, 9)])
@given(keys=KEYS)
def test_a_block_comes_back_as_it_was_written(
    family: Family, key_bytes: int, keys: KeyDays
) -> None:
    block = block_of(keys, family)
    data = encode(block)
    assert len(data) == key_bytes * len(keys)
    assert content(decode(data, family)) == content(block)


@pytest.mark.parametrize("family", [TRACKED, MESSAGE])
@given(parts=st.lists(KEYS, min_size=1, max_size=5))
def test_merging_keeps_each_key_once_with_its_earliest_days(
    family: Family, parts: list[KeyDays]
) -> None:
    expected: KeyDays = {}
    for part in parts:
        for key, (day, identified_day) in part.items():
            first, first_identified = expected.get(key, (NEVER, NEVER))
            expected[key] = min(first, day), min(first_identified, identified_day)
    merged = merge([block_of(part, family) for part in parts])
    assert content(merged) == content(block_of(expected, family))


def test_size_classes_ascend_by_factors_of_sixteen_and_end() -> None:
    assert [size_class(keys) for keys in (0, 1, 16, 17, 256, 257, 4096, 4097, 65_536)] == [
        0, 0, 0, 1, 1, 2, 2, 3, 3,
    ]  # fmt: skip
    assert size_class(65_537) == size_class(10**9) == SIZE_CLASS_MAX
