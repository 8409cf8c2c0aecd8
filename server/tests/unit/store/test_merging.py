"""Several runs read as one: ascending, each key once, and few of them at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.keys import NEVER, KeyBlock
from headcount.store.merging import merged_runs

Keys = dict[int, tuple[int, int]]
KEYS: st.SearchStrategy[Keys] = st.dictionaries(
    st.integers(1, 60).map(lambda key: key << 50),
    st.tuples(st.integers(0, 30), st.sampled_from([3, NEVER])),
    max_size=30,
)


class Parts:
    """Keys in ascending blocks of a size."""

    def __init__(self, keys: Keys, size: int, *, identified: bool = True) -> None:
        self._keys = sorted(keys.items())
        self._size = size
        self._identified = identified

    def blocks(self) -> Iterator[KeyBlock]:
        for at in range(0, len(self._keys), self._size):
            part = self._keys[at : at + self._size]
            yield KeyBlock(
                np.array([key for key, _ in part], np.uint64),
                np.array([day for _, (day, _) in part], np.uint8),
                np.array([day for _, (_, day) in part], np.uint8) if self._identified else None,
            )


@given(runs=st.lists(st.tuples(KEYS, st.integers(1, 9)), max_size=5), part_keys=st.integers(1, 40))
def test_every_key_comes_once_in_order_and_with_its_earliest_days(
    runs: list[tuple[Keys, int]], part_keys: int
) -> None:
    found: list[tuple[int, int, int]] = []
    for block in merged_runs([Parts(keys, size) for keys, size in runs], part_keys):
        assert 0 < len(block) < 2 * max(part_keys, len(runs))
        assert block.identified_days is not None
        columns = (block.fingerprints, block.days, block.identified_days)
        found += zip(*(column.tolist() for column in columns), strict=True)
    expected: Keys = {}
    for keys, _ in runs:
        for key, days in keys.items():
            former = expected.get(key, (NEVER, NEVER))
            expected[key] = min(former[0], days[0]), min(former[1], days[1])
    assert found == [(key, *days) for key, days in sorted(expected.items())]


@pytest.mark.parametrize("runs", [[], [Parts({}, 1)], [Parts({}, 1), Parts({}, 1)]])
def test_nothing_is_nothing(runs: list[Parts]) -> None:
    assert list(merged_runs(runs)) == []


def test_message_keys_have_no_identified_days() -> None:
    parts = [Parts({1: (2, 0)}, 1, identified=False), Parts({1: (1, 0)}, 1, identified=False)]
    (block,) = merged_runs(parts)
    assert (block.days.tolist(), block.identified_days) == ([1], None)
