"""How a block of keys is written: fingerprints ascending, then days, then identified days.

Takes and gives `KeyBlock`; 9 bytes for a message key, 10 for a tracked one. Knows which blocks
are worth merging; touches no file.
"""

from __future__ import annotations

import numpy as np

from headcount.counting.keys import TRACKED, Family, KeyBlock

__all__ = ["PEERS_MAX", "SIZE_CLASS_MAX", "decode", "encode", "size_class"]

PEERS_MAX = 16
"""This many blocks of one size class may stand side by side; one more merges them all."""

SIZE_CLASS_MAX = 4
"""Blocks of this class (65,536 keys and more) are left as they are: merging them would hold up
the commit it happens in."""


def size_class(keys: int) -> int:
    """0 for up to 16 keys, then one more for each factor of 16."""
    return min(SIZE_CLASS_MAX, max(0, (keys - 1).bit_length() - 1) // 4)


def encode(block: KeyBlock) -> bytes:
    """The bytes of a block."""
    parts = [block.fingerprints.astype("<u8").tobytes(), block.days.tobytes()]
    if block.identified_days is not None:
        parts.append(block.identified_days.tobytes())
    return b"".join(parts)


def decode(data: bytes, family: Family) -> KeyBlock:
    """The block that `encode` wrote."""
    key_bytes = 10 if family == TRACKED else 9
    count = len(data) // key_bytes
    days = np.frombuffer(data, np.uint8, count, 8 * count)
    return KeyBlock(
        np.frombuffer(data, "<u8", count),
        days,
        np.frombuffer(data, np.uint8, count, 9 * count) if family == TRACKED else None,
    )
