"""Keys: the same id in two scopes, or in two roles, is two keys; merging keeps earliest days."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.keys import (
    COLUMN_TYPES,
    FINGERPRINT_BITS,
    MESSAGE,
    NEVER,
    TRACKED,
    U32,
    U64,
    KeyBlock,
    distinct,
    merged,
    message_keys,
    tracked_keys,
)
from support.key_days import KEY_DAYS, KeyDays, block_of, join

HASHES = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20)
ROLES = [(False, False), (False, True), (True, False), (True, True)]


def keys_of(scopes: U32, hashes: U64) -> list[U64]:
    """The keys of some ids in each role that an id can have in a scope."""
    tracked = [tracked_keys(scopes, hashes, workspace=w, anonymous=a) for w, a in ROLES]
    return [message_keys(scopes, hashes), *tracked]


@given(HASHES, st.integers(0, 2**32 - 1))
def test_keys_fit_the_index_whatever_the_hash(hashes: list[int], scope: int) -> None:
    scopes = np.full(len(hashes), scope, np.uint32)
    for keys in keys_of(scopes, np.array(hashes, np.uint64)):
        assert keys.dtype == np.uint64
        assert (keys > 0).all()
        assert (keys < 1 << FINGERPRINT_BITS).all()


def test_scopes_and_roles_keep_an_id_apart() -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 2**64, 500, np.uint64)
    scopes = np.arange(1, 41, dtype=np.uint32)
    each_scope, each_id = np.repeat(scopes, len(ids)), np.tile(ids, len(scopes))
    keys = np.concatenate(keys_of(each_scope, each_id))
    assert len(np.unique(keys)) == len(ids) * len(scopes) * 5


def test_the_inputs_are_left_as_they_are() -> None:
    scopes, hashes = np.array([3], np.uint32), np.array([2**63], np.uint64)
    keys_of(scopes, hashes)
    assert (scopes.tolist(), hashes.tolist()) == ([3], [2**63])


@given(st.lists(KEY_DAYS, min_size=1, max_size=5), st.booleans())
def test_merging_keeps_each_key_once_with_its_earliest_days(
    parts: list[KeyDays], with_identified: bool
) -> None:
    expected: KeyDays = {}
    for part in parts:
        join(expected, part)
    block = merged([block_of(part, with_identified=with_identified) for part in parts])
    assert block.fingerprints.tolist() == sorted(expected)
    assert block.days.tolist() == [expected[key][0] for key in sorted(expected)]
    if with_identified:
        assert block.identified_days is not None
        assert block.identified_days.tolist() == [expected[key][1] for key in sorted(expected)]
    else:
        assert block.identified_days is None


def rows(block: KeyBlock) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in block.columns()), strict=True))


@given(st.lists(KEY_DAYS, min_size=3, max_size=3), st.booleans())
def test_merging_is_a_union_whose_order_and_repeats_change_nothing(
    parts: list[KeyDays], with_identified: bool
) -> None:
    one, two, three = (block_of(part, with_identified=with_identified) for part in parts)
    assert rows(merged([one, two])) == rows(merged([two, one]))
    assert rows(merged([merged([one, two]), three])) == rows(merged([one, merged([two, three])]))
    assert rows(merged([one, one])) == rows(one)
    everything = merged([one, two, three])
    assert rows(merged([everything, two])) == rows(everything)


def test_each_column_is_written_and_moved_with_its_key() -> None:
    days = {TRACKED: {3: (1, 2), 5: (3, 4)}, MESSAGE: {3: (1, NEVER), 5: (3, NEVER)}}
    for family in (TRACKED, MESSAGE):
        block = block_of(days[family], with_identified=family == TRACKED)
        assert block.family == family
        assert len(block.columns()) == len(COLUMN_TYPES[family])
        held = KeyBlock.blank(4, family)
        held.put(np.array([3, 0]), block)
        assert rows(held.chosen(np.array([3, 0]))) == rows(block)
        assert not held.fingerprints[1:3].any()
        copied = block.copy()
        held.put(np.array([0, 1]), copied)
        assert rows(copied) == rows(block)
        assert copied.fingerprints.base is None


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_distinct_numbers_are_those_of_a_set(numbers: list[int]) -> None:
    assert distinct(np.array(numbers, np.int64)).tolist() == sorted({*numbers})
