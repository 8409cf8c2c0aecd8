"""Counting keys by day: takes blocks and runs of one month, gives how many keys each day is the
first of. Knows nothing of what the counts should be. Memory is bounded however many keys there
are: the key space is walked in stretches, and a key's repeats all lie in the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from headcount.counting.calendar import Period
from headcount.counting.keys import FINGERPRINT_BITS, NEVER, TRACKED, Family, KeyBlock, merged
from headcount.counting.metrics import KeyDay
from headcount.counting.usage import DAYS_MAX
from headcount.store import blocks
from headcount.store.view import StoredBlock

__all__ = ["ByDay", "KeysByDay", "count_keys", "decoded", "fault_of", "is_ascending"]

ByDay = npt.NDArray[np.int64]
"""Keys that are new on each day of a month, shape (31,)."""

_BLOCK_KEYS_AT_ONCE = 4_000_000
_KEYS_AT_ONCE = 2_000_000
_KEY_BYTES = {True: 10, False: 9}


@dataclass(frozen=True, slots=True)
class KeysByDay:
    """How many keys of one month and family there are.

    Attributes:
        first: keys by the day on which they were first seen.
        identified: tracked keys by the day on which they were first seen with a userId.
    """

    first: ByDay
    identified: ByDay

    def by_days(self) -> dict[KeyDay, ByDay]:
        """The same, by the member of a block of keys that holds the days."""
        return {"days": self.first, "identified_days": self.identified}

    @property
    def keys(self) -> int:
        """How many there are in all."""
        return int(self.first.sum())


def decoded(stored: StoredBlock, period: Period, family: Family) -> KeyBlock | None:
    """The keys of a stored block; None when its bytes are not what a block's must be."""
    if len(stored.data) != stored.keys * _KEY_BYTES[family == TRACKED]:
        return None
    block = blocks.decode(stored.data, family)
    return None if fault_of(block, period, family) else block


def fault_of(block: KeyBlock, period: Period, family: Family) -> str | None:
    """What is impossible about keys of a month, as a clause; None when nothing is."""
    if block.family != family:
        return "they are of another kind than the store says"
    if not is_ascending(block):
        return "they are not in order"
    if len(block) and (block.fingerprints[0] == 0 or block.fingerprints[-1] >> FINGERPRINT_BITS):
        return "some are no keys"
    if (block.days >= period.length).any():
        return "some have days that the month does not have"
    if block.identified_days is not None:
        identified = block.identified_days
        known = identified != NEVER
        if (known & ((identified >= period.length) | (identified < block.days))).any():
            return "some were seen with a userId before they were seen"
    return None


def is_ascending(block: KeyBlock) -> bool:
    """Whether its keys ascend and none stands twice."""
    return bool((block.fingerprints[1:] > block.fingerprints[:-1]).all())


def count_keys(
    stored_keys: int,
    read_stored: Callable[[], Iterable[KeyBlock]],
    in_runs: Sequence[KeyBlock],
) -> KeysByDay:
    """Count the keys of one month and family; a key that stands several times counts once.

    Args:
        stored_keys: how many keys stand in blocks, repeats included.
        read_stored: reads those blocks, one after the other; called more than once if they are
            many.
        in_runs: the parts of the runs, in place.
    """
    first = np.zeros(DAYS_MAX, np.int64)
    identified = np.zeros(DAYS_MAX, np.int64)
    run_keys = sum(map(len, in_runs))
    whole = (0, 1 << FINGERPRINT_BITS)
    for reading in _stretches(whole, stored_keys, _BLOCK_KEYS_AT_ONCE):
        held = [part.copy() for block in read_stored() if len(part := _cut(block, reading))]
        share = sum(map(len, held)) + run_keys * (reading[1] - reading[0]) // whole[1]
        for stretch in _stretches(reading, share, _KEYS_AT_ONCE):
            pieces = [part for block in (*held, *in_runs) if len(part := _cut(block, stretch))]
            if not pieces:
                continue
            keys = merged(pieces)
            first += np.bincount(keys.days, minlength=DAYS_MAX)[:DAYS_MAX]
            if keys.identified_days is not None:
                known = keys.identified_days[keys.identified_days != NEVER]
                identified += np.bincount(known, minlength=DAYS_MAX)[:DAYS_MAX]
    return KeysByDay(first, identified)


def _stretches(within: tuple[int, int], keys: int, keys_max: int) -> Iterator[tuple[int, int]]:
    """A part of the key space in so many stretches that each holds about so many keys at most."""
    low, high = within
    count = max(1, -(-keys // keys_max))
    bounds = [low + (high - low) * n // count for n in range(count + 1)]
    yield from pairwise(bounds)


def _cut(block: KeyBlock, stretch: tuple[int, int]) -> KeyBlock:
    """The keys of a block that lie in a stretch, in place."""
    bounds = np.array(stretch, np.uint64)
    start, stop = np.searchsorted(block.fingerprints, bounds).tolist()
    return block.part(slice(start, stop))
