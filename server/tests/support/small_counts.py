"""What the tests of the stores' contract make changes from: small counts and keys."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from headcount.counting.calendar import Period, parse_period
from headcount.counting.keys import NEVER, TRACKED, Family, KeyBlock
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.store.protocol import MeterStore

JANUARY = parse_period("2026-01-01")
FEBRUARY = parse_period("2026-02-01")
MARCH = parse_period("2026-03-01")
KeyDays = dict[int, tuple[int, int]]
"""Fingerprint to its first day and its first day with a userId."""


def counts(**of_kinds: int) -> Counts:
    """Counts that are new on the first day, by kind."""
    made = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    for kind, value in of_kinds.items():
        made[0, KINDS.index(kind)] = value
    return made


def block_of(keys: KeyDays, family: Family) -> KeyBlock:
    """Keys as a meter hands them over."""
    ascending = sorted(keys)
    return KeyBlock(
        np.array(ascending, np.uint64),
        np.array([keys[key][0] for key in ascending], np.uint8),
        np.array([keys[key][1] for key in ascending], np.uint8) if family == TRACKED else None,
    )


def add_to(held: KeyDays, blocks: Iterator[KeyBlock]) -> KeyDays:
    """The minimum over what is held already and some blocks."""
    for block in blocks:
        identified = np.full(len(block), NEVER) if block.identified_days is None else (
            block.identified_days
        )  # fmt: skip
        rows = (block.fingerprints.tolist(), block.days.tolist(), identified.tolist())
        for key, day, identified_day in zip(*rows, strict=True):
            first, first_identified = held.get(key, (NEVER, NEVER))
            held[key] = min(first, day), min(first_identified, identified_day)
    return held


def stored_keys(store: MeterStore, period: Period, family: Family) -> KeyDays:
    """Every key that a store holds, with its earliest days."""
    return add_to({}, store.keys(period, family))


def random_keys(rng: random.Random, count: int, family: Family) -> KeyDays:
    """Keys few enough to come again, with days."""
    keys = rng.sample(range(1, 5000), count)
    return {
        key << 40: (rng.randrange(31), rng.choice([NEVER, 3, 20]) if family == TRACKED else NEVER)
        for key in keys
    }
