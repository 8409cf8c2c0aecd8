"""The first-seen index does what a dictionary would, in the memory that was promised."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headcount.counting.index import FirstSeenIndex
from headcount.counting.keys import MESSAGE, NEVER, TRACKED, U64, KeyBlock
from support.key_days import DAYS, KeyDays, block_of, join, merge

BYTES_A_KEY_MAX = 24

# Few keys in few homes of each sub-table, so that they collide; the last homes wrap around.
CROWDED = st.builds(
    lambda table, home, low: table << 57 | home << 25 | low,
    st.integers(0, 63),
    st.sampled_from([0, 1, 2**31, 2**32 - 2, 2**32 - 1]),
    st.integers(1, 12),
)
BATCHES = st.lists(
    st.dictionaries(CROWDED, st.tuples(DAYS, DAYS | st.just(NEVER)), max_size=60), max_size=8
)


def content(index: FirstSeenIndex) -> KeyDays:
    found: KeyDays = {}
    last = 0
    for block in index.blocks():
        identified = [NEVER] * len(block) if block.identified_days is None else (
            block.identified_days.tolist()
        )  # fmt: skip
        rows = (block.fingerprints.tolist(), block.days.tolist(), identified)
        for key, day, identified_day in zip(*rows, strict=True):
            assert key > last, "keys ascend over all blocks"
            last = key
            found[key] = day, identified_day
    return found


def assert_probes_like(index: FirstSeenIndex, held: KeyDays, strangers: list[int]) -> None:
    asked = sorted({*held, *strangers})
    probe = index.probe(np.array(asked, np.uint64))
    nothing = (NEVER, NEVER)
    assert probe.days.tolist() == [held.get(key, nothing)[0] for key in asked]
    assert probe.identified_days.tolist() == [held.get(key, nothing)[1] for key in asked]
    assert (probe.slots >= 0).tolist() == [key in held for key in asked]


@pytest.mark.parametrize("with_identified", [True, False])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES, strangers=st.lists(CROWDED, max_size=10), filled=st.integers(0, 3))
def test_it_holds_what_a_dictionary_holds(
    monkeypatch: pytest.MonkeyPatch,
    with_identified: bool, batches: list[KeyDays], strangers: list[int], filled: int,
) -> None:  # fmt: skip
    # Sub-tables that split early, so that a few hundred keys are enough to see it.
    monkeypatch.setattr("headcount.counting.index._SPLIT_FROM", 64)
    monkeypatch.setattr("headcount.counting.index._SPLIT_UPTO", 128)
    monkeypatch.setattr("headcount.counting.index._FILL_KEYS", 32)
    if not with_identified:
        batches = [{key: (day, NEVER) for key, (day, _) in batch.items()} for batch in batches]
    index = FirstSeenIndex(TRACKED if with_identified else MESSAGE)
    held: KeyDays = {}
    for batch in batches[:filled]:
        join(held, batch)
    index.fill([block_of(batch, with_identified=with_identified) for batch in batches[:filled]])
    for keys in batches[filled:]:
        merge(index, block_of(keys, with_identified=with_identified))
        join(held, keys)
        assert len(index) == len(held)
        assert_probes_like(index, held, strangers)
    assert content(index) == held


@pytest.mark.parametrize("with_identified", [True, False])
def test_it_holds_many_keys_in_the_promised_memory_at_every_step(with_identified: bool) -> None:
    rng = random.Random(7)
    index = FirstSeenIndex(TRACKED if with_identified else MESSAGE)
    held: KeyDays = {}
    steps = 100
    empty_bytes = index.nbytes
    for _ in range(steps):
        keys = {rng.getrandbits(63) | 1: (rng.randrange(31), NEVER) for _ in range(1900)}
        if held:
            # Known keys come again, some on an earlier day, some now with a user.
            for key in rng.choices(list(held), k=100):
                identified = rng.randrange(31) if with_identified else NEVER
                keys[key] = rng.randrange(31), identified
        merge(index, block_of(keys, with_identified=with_identified))
        join(held, keys)
        assert len(index) == len(held)
        # A handful of keys needs no promise: the smallest tables take some kilobytes.
        assert index.nbytes <= max(BYTES_A_KEY_MAX * len(held), empty_bytes)
    assert len(held) > 180_000
    strangers = [rng.getrandbits(63) | 1 for _ in range(1000)]
    assert_probes_like(index, held, strangers)
    assert content(index) == held


def test_keys_that_are_filled_in_whole_take_the_promised_memory_too() -> None:
    keys = np.unique(np.random.default_rng(3).integers(1, 2**63, 200_000, np.uint64))
    days = (keys % np.uint64(31)).astype(np.uint8)
    index = FirstSeenIndex(TRACKED)
    parts = np.array_split(np.arange(len(keys)), 7)
    index.fill([KeyBlock(keys[p], days[p], days[p]) for p in parts])
    assert len(index) == len(keys)
    assert index.nbytes <= BYTES_A_KEY_MAX * len(keys)
    probe = index.probe(keys)
    assert (probe.days == days).all()
    assert (probe.slots >= 0).all()


def test_no_sub_table_becomes_so_large_that_rebuilding_it_would_hold_up_a_batch() -> None:
    rng = np.random.default_rng(4)
    index = FirstSeenIndex(MESSAGE)
    for _ in range(24):
        keys = np.unique(rng.integers(1, 2**63, 50_000, np.uint64))
        merge(index, KeyBlock(keys, np.zeros(len(keys), np.uint8), None))
        assert index.nbytes <= BYTES_A_KEY_MAX * len(index)
    assert max(map(len, index.blocks())) < 1 << 19


def test_its_blocks_hold_what_it_held_although_sub_tables_are_split_meanwhile() -> None:
    rng = np.random.default_rng(5)
    index = FirstSeenIndex(MESSAGE)

    def insert(batches: int) -> U64:
        keys = np.sort(rng.integers(1, 2**63, 50_000 * batches, np.uint64))
        for some in range(batches):
            part = keys[some::batches]
            merge(index, KeyBlock(part, np.zeros(len(part), np.uint8), None))
        return keys

    held = insert(16)
    learned, found = [], []
    for blocks, block in enumerate(index.blocks()):
        found.append(block.fingerprints)
        if blocks < 3:
            learned.append(insert(8))
    keys = np.concatenate(found)
    assert (keys[1:] > keys[:-1]).all()
    assert (keys[np.searchsorted(keys, held)] == held).all()
    every = np.sort(np.concatenate([held, *learned]))
    assert (every[np.searchsorted(every, keys)] == keys).all()


def test_probing_changes_nothing() -> None:
    index = FirstSeenIndex(TRACKED)
    index.probe(np.array([1, 2, 3], np.uint64))
    assert len(index) == 0
    assert content(index) == {}
