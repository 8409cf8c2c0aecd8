"""Keys in few bits: ascending fingerprints in groups of 64, as the steps from one to the next.

Takes the columns of a key block, gives words; and takes them apart again, all or some groups of
them, on whole arrays. Nothing is left out: a fingerprint comes back with all its bits. A step
takes as many bits as the largest of its block, which is some 4 more than the mean's; a day as many
as the block's days differ by.

A group is its first fingerprint, then 64 steps, then 64 days of each column of days, each of these
as 64 numbers of one width: so many words, and every group of a block has as many. What is missing
of the last group is the last key over again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from headcount.counting.keys import U8, U64, KeyBlock

__all__ = ["GROUP_KEYS", "Coding", "days_in", "decoded", "encoded", "keys_in"]

GROUP_KEYS = 64
"""Keys of a group."""

_WORD_BITS = 64
_BYTE = 0xFF


class Coding(NamedTuple):
    """How the groups of one block are written.

    Attributes:
        step_bits: bits of a step.
        days: of each column of days its lowest number and the bits of what is above it.
    """

    step_bits: int
    days: Sequence[tuple[int, int]]

    @property
    def group_words(self) -> int:
        """Words that a group takes."""
        return 1 + self.step_bits + sum(bits for _, bits in self.days)

    def to_int(self) -> int:
        """All of it as one number below 2**64, for a table."""
        number = self.step_bits
        for place, (lowest, bits) in enumerate(self.days):
            number |= (lowest | bits << 8) << 16 * (place + 1)
        return number

    @classmethod
    def from_int(cls, number: int, day_columns: int) -> Coding:
        """What `to_int` gave, for a block with so many columns of days."""
        shifted = [number >> 16 * (place + 1) for place in range(day_columns)]
        return cls(number & _BYTE, [(each & _BYTE, each >> 8 & _BYTE) for each in shifted])


def encoded(block: KeyBlock) -> tuple[Coding, U64]:
    """Write a block of keys.

    Args:
        block: at least one key.

    Returns:
        How it is written, and the words of its groups, shape (groups, words of a group).
    """
    keys = _grouped(block.fingerprints)
    steps = np.zeros_like(keys)
    np.subtract(keys[:, 1:], keys[:, :-1], out=steps[:, 1:])
    step_bits = int(steps.max()).bit_length()
    columns = [keys[:, :1], _packed(steps, step_bits)]
    codings = []
    for days in block.of_days():
        # One more than the day, and nothing for `NEVER`: its neighbour on a circle of a byte.
        moved = days + np.uint8(1)
        lowest = int(moved.min())
        bits = int(moved.max() - lowest).bit_length()
        codings.append((lowest, bits))
        columns.append(_packed(_grouped(moved - np.uint8(lowest)), bits))
    return Coding(step_bits, codings), np.hstack(columns)


def _grouped(column: U64 | U8) -> U64:
    groups = -(-len(column) // GROUP_KEYS)
    grouped = np.full(groups * GROUP_KEYS, column[-1], np.uint64)
    grouped[: len(column)] = column
    return grouped.reshape(groups, GROUP_KEYS)


def decoded(coding: Coding, groups: U64, keys: int) -> KeyBlock:
    """The block that some groups were written from.

    Args:
        coding: how they are written.
        groups: shape (groups, words of a group).
        keys: how many keys they hold.
    """
    columns = [days_in(coding, groups, column).ravel()[:keys] for column in range(len(coding.days))]
    return KeyBlock(keys_in(coding, groups).ravel()[:keys], *columns)


def keys_in(coding: Coding, groups: U64) -> U64:
    """The fingerprints of some groups, shape (groups, 64)."""
    steps = _unpacked(groups[:, 1 : 1 + coding.step_bits], coding.step_bits)
    steps[:, 0] = groups[:, 0]
    return np.cumsum(steps, axis=1, out=steps)


def days_in(coding: Coding, groups: U64, column: int) -> U8:
    """A column of days of some groups, shape (groups, 64)."""
    start = 1 + coding.step_bits + sum(bits for _, bits in coding.days[:column])
    lowest, bits = coding.days[column]
    above = _unpacked(groups[:, start : start + bits], bits)
    days: U8 = above.astype(np.uint8) + np.uint8((lowest - 1) & _BYTE)
    return days


def _packed(numbers: U64, bits: int) -> U64:
    """Numbers of so many bits, 64 a row, in as many words a row as they have bits."""
    # A column for each word, so that each step below writes what is side by side.
    words = np.zeros((bits + 1, len(numbers)), np.uint64)
    columns = np.ascontiguousarray(numbers.T)
    for place in range(GROUP_KEYS if bits else 0):
        word, shift = divmod(place * bits, _WORD_BITS)
        words[word] |= columns[place] << np.uint64(shift)
        if shift + bits > _WORD_BITS:
            words[word + 1] |= columns[place] >> np.uint64(_WORD_BITS - shift)
    return words[:bits].T


def _unpacked(words: U64, bits: int) -> U64:
    """The numbers that were packed, 64 a row."""
    if not bits:
        return np.zeros((len(words), GROUP_KEYS), np.uint64)
    starts = np.arange(GROUP_KEYS) * bits
    at, shifts = starts // _WORD_BITS, (starts % _WORD_BITS).astype(np.uint64)
    numbers = words[:, at] >> shifts
    # The upper part, where a number goes over into the next word; elsewhere it is cut off below.
    after = words[:, np.minimum(at + 1, bits - 1)]
    numbers |= (after << np.uint64(1)) << (np.uint64(_WORD_BITS - 1) - shifts)
    numbers &= np.uint64((1 << bits) - 1)
    return numbers
