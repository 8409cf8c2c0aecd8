"""Filters of keys: a few bits a key that say of nearly every key that is not there that it is not.

Takes fingerprints, gives words; of a key that is there they never say no. It is a Bloom filter in
blocks of 512 bits, so that a question touches one line of the processor's cache.

How many bits a key there are follows from how many keys a run has. A question in vain costs a look
at a run's file, and each run asked adds its share of them; the memory of a large run costs most.
For one total of both, the share of a run is best in proportion to its size: one bit and a half less
a key for each doubling.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from headcount.counting.keys import U64, Slots

__all__ = ["BLOCK_WORDS", "bits_a_key", "filled", "may_hold", "probes_of", "words_for"]

BLOCK_WORDS = 8
"""Words of a block."""

_BLOCK_BITS = BLOCK_WORDS * 64
_BITS_MAX, _BITS_MIN = 12.0, 3.5
_FULL_UPTO_KEYS = 1 << 28
_BITS_A_DOUBLING = 1 / math.log(2)
_PROBES_MIN, _PROBES_MAX = 2, 5
_SCATTER = np.uint64(0x9E3779B97F4A7C15)
_PLACE_BITS = 9


def bits_a_key(keys: int) -> float:
    """How many bits a key the filters of a run with so many keys have."""
    doublings = math.log2(max(keys, 1) / _FULL_UPTO_KEYS)
    return max(_BITS_MIN, _BITS_MAX - _BITS_A_DOUBLING * max(0.0, doublings))


def probes_of(bits: float) -> int:
    """How many bits are set for each key, where there are so many bits a key."""
    return min(max(round(bits * math.log(2)), _PROBES_MIN), _PROBES_MAX)


def words_for(keys: int, bits: float) -> int:
    """How many words the filter of so many keys has."""
    return BLOCK_WORDS * math.ceil(keys * bits / _BLOCK_BITS)


def filled(fingerprints: U64, words: int, probes: int) -> U64:
    """The filter of some keys.

    Args:
        fingerprints: of the keys, shape (n,).
        words: from `words_for`.
        probes: from `probes_of`.
    """
    bits = np.zeros(words * 64, np.uint8)
    starts = _blocks_of(fingerprints, words // BLOCK_WORDS) * _BLOCK_BITS
    scattered = fingerprints * _SCATTER
    for probe in range(probes):
        bits[starts + _place(scattered, probe)] = 1
    return np.packbits(bits, bitorder="little").view("<u8")


def may_hold(
    held: U64, starts: Slots, words: Slots, fingerprints: U64, probes: int
) -> npt.NDArray[np.intp]:
    """Which keys may be there, by their places in the arrays given.

    Args:
        held: where the filters stand.
        starts: in which word of it the filter to be asked for each key begins, shape (n,).
        words: how many it has, at least one block, shape (n,).
        fingerprints: the keys, shape (n,).
        probes: bits that were set for each key.
    """
    left = np.arange(len(fingerprints))
    starts = starts + _blocks_of(fingerprints, words // BLOCK_WORDS) * BLOCK_WORDS
    scattered = fingerprints * _SCATTER
    for probe in range(probes):
        places = _place(scattered, probe)
        asked = held[starts + (places >> 6)] >> (places & 63).astype(np.uint64)
        on = np.flatnonzero(asked & np.uint64(1))
        left, starts, scattered = left[on], starts[on], scattered[on]
    return left


def _blocks_of(fingerprints: U64, blocks: int | Slots) -> Slots:
    """The block of each key: by its low bits, since the high ones are alike in one part."""
    low = (fingerprints & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return (low * blocks) >> 32


def _place(scattered: U64, probe: int) -> Slots:
    """Which bit of its block a probe of each key is."""
    shift = np.uint64(64 - _PLACE_BITS * (probe + 1))
    return ((scattered >> shift) & np.uint64(_BLOCK_BITS - 1)).astype(np.int64)
