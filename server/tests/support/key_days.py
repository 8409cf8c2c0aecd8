"""Keys with their days as plain dictionaries, beside the blocks that hold the same."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from headcount.counting.index import FirstSeenIndex
from headcount.counting.keys import NEVER, KeyBlock

KeyDays = dict[int, tuple[int, int]]
"""Key to first day and first day with a userId."""

DAYS = st.integers(0, 30)
KEY_DAYS = st.dictionaries(
    st.integers(1, 60) | st.integers(1, 2**63 - 1),
    st.tuples(DAYS, DAYS | st.just(NEVER)),
    min_size=1,
)


def block_of(keys: KeyDays, *, with_identified: bool) -> KeyBlock:
    """The block that holds some keys."""
    ascending = sorted(keys)
    return KeyBlock(
        np.array(ascending, np.uint64),
        np.array([keys[key][0] for key in ascending], np.uint8),
        np.array([keys[key][1] for key in ascending], np.uint8) if with_identified else None,
    )


def join(held: KeyDays, keys: KeyDays) -> None:
    """Take keys into others, each with the minimum of its days."""
    for key, (day, identified_day) in keys.items():
        first, first_identified = held.get(key, (NEVER, NEVER))
        held[key] = min(first, day), min(first_identified, identified_day)


def merge(index: FirstSeenIndex, block: KeyBlock) -> None:
    """Join keys to an index, known or not, each with the minimum of its days."""
    probe = index.probe(block.fingerprints)
    identified = block.identified_days
    lowered = KeyBlock(
        block.fingerprints,
        np.minimum(block.days, probe.days),
        None if identified is None else np.minimum(identified, probe.identified_days),
    )
    index.upsert(lowered, probe.slots)
