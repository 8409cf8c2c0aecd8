"""A run answers as a dictionary of its keys does, whatever keys there are and whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.counting.keys import NEVER, KeyBlock
from headcount.store import filters
from headcount.store.packing import decoded, encoded
from headcount.store.runs import Run, write_run
from support.former_runs import write_former_run
from support.key_days import KEY_DAYS, KeyDays, block_of

LARGEST = 2**63 - 1


def many(seed: int, count: int, lowest: int = 1, highest: int = LARGEST) -> KeyDays:
    """So many keys between two, with days."""
    random = np.random.default_rng(seed)
    keys = np.unique(random.integers(lowest, highest, count, np.uint64)).tolist()
    days = random.integers(0, 31, (2, len(keys))).tolist()
    return {key: (a, b) for key, a, b in zip(keys, *days, strict=True)}


# Few and odd ones; uniform ones, as ids are; close together, so that a step takes no bit or few;
# and such with one far away, so that a step takes all bits.
KEYS = st.one_of(
    KEY_DAYS,
    st.builds(many, st.integers(0, 99), st.integers(1, 3000)),
    st.builds(many, st.integers(0, 99), st.integers(1, 600), st.just(5000), st.just(9000)),
    st.builds(lambda seed: many(seed, 500, 1, 900) | {LARGEST: (30, NEVER)}, st.integers(0, 99)),
    st.builds(lambda count: dict.fromkeys(range(1, count), (7, 7)), st.integers(2, 600)),
)


def parts_of(block: KeyBlock, count: int) -> Iterator[KeyBlock]:
    bounds = np.linspace(0, len(block), min(count, len(block)) + 1).astype(int).tolist()
    for start, end in pairwise(bounds):
        yield block.part(slice(start, end))


@given(keys=KEYS, tracked=st.booleans())
def test_packed_keys_come_back_with_every_bit(keys: KeyDays, *, tracked: bool) -> None:
    block = block_of(keys, with_identified=tracked)
    coding, groups = encoded(block)
    again = decoded(type(coding).from_int(coding.to_int(), len(coding.days)), groups, len(block))
    for found, given_ in zip(again.columns(), block.columns(), strict=True):
        assert found.dtype == given_.dtype
        assert (found == given_).all()


@settings(max_examples=200)
@given(
    keys=KEYS,
    count=st.integers(1, 5),
    filter_keys=st.sampled_from([0, 1, 1 << 28, 1 << 31, 1 << 35]),
    layout=st.sampled_from(["held", "in place", "former"]),
)
def test_a_run_answers_as_a_dictionary_does(
    keys: KeyDays, count: int, filter_keys: int, layout: str
) -> None:
    block = block_of(keys, with_identified=False)
    near = [key + by for key in list(keys)[:200] for by in (-1, 0, 1)]
    asked = np.array(sorted({1, LARGEST, *keys, *near} - {0, LARGEST + 1}), np.uint64)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.keys"
        if layout == "former":
            write_former_run(path, parts_of(block, count))
        else:
            list(write_run(path, parts_of(block, count), filter_keys=filter_keys))
        run = Run(path)
        if layout == "held":
            run.hold()
            assert run.held_bytes == run.filter_bytes
        found = run.days_of(asked).tolist()
        assert found == [keys.get(key, (NEVER,))[0] for key in asked.tolist()]
        assert (run.days_of(asked[:0]) == NEVER).all()
        days = [day for day, _ in keys.values()]
        assert run.last_day == (30 if layout == "former" else max(days))
        assert run.keys_before(12) == (0 if layout == "former" else sum(day < 12 for day in days))
        assert [key for each in run.blocks() for key in each.fingerprints.tolist()] == sorted(keys)
        assert run.intact()
        run.release()
        assert run.held_bytes == 0
        assert run.days_of(asked).tolist() == found


@pytest.mark.parametrize("keys", [1, 100, 1 << 28, 1 << 30, 1 << 32, 1 << 40])
def test_a_filter_rules_out_as_many_keys_as_its_bits_promise(keys: int) -> None:
    """And those of a larger run have fewer bits: its share of looks in vain is larger too."""
    bits, held = filters.bits_a_key(keys), 60_000
    probes = filters.probes_of(bits)
    random = np.random.default_rng(keys)
    members, strangers = random.integers(1, 2**63, (2, held), np.uint64)
    words = filters.words_for(held, bits)
    assert words * 64 <= bits * held + 512
    filled = filters.filled(members, words, probes)
    starts, lengths = np.zeros(held, np.int64), np.full(held, words)
    assert len(filters.may_hold(filled, starts, lengths, members, probes)) == held
    share = len(filters.may_hold(filled, starts, lengths, strangers, probes)) / held
    promised = (1 - np.exp(-probes / bits)) ** probes
    assert share <= 1.15 * promised + 0.001
