"""Blocks of keys: small on disk, and whole when they come back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given

from headcount.counting.keys import MESSAGE, TRACKED, Family, KeyBlock
from headcount.store.blocks import SIZE_CLASS_MAX, decode, encode, size_class
from support.key_days import KEY_DAYS, KeyDays, block_of


def content(block: KeyBlock) -> list[Sequence[int] | None]:
    columns = (block.fingerprints, block.days, block.identified_days)
    return [None if column is None else column.tolist() for column in columns]


@pytest.mark.parametrize(("family", "key_bytes"), [(TRACKED, 10), (MESSAGE, 9)])
@given(keys=KEY_DAYS)
def test_a_block_comes_back_as_it_was_written(
    family: Family, key_bytes: int, keys: KeyDays
) -> None:
    block = block_of(keys, with_identified=family == TRACKED)
    data = encode(block)
    assert len(data) == key_bytes * len(keys)
    assert content(decode(data, family)) == content(block)


def test_size_classes_ascend_by_factors_of_sixteen_and_end() -> None:
    assert [size_class(keys) for keys in (0, 1, 16, 17, 256, 257, 4096, 4097, 65_536)] == [
        0, 0, 0, 1, 1, 2, 2, 3, 3,
    ]  # fmt: skip
    assert size_class(65_537) == size_class(10**9) == SIZE_CLASS_MAX
