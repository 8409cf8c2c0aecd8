"""How a block of keys is written: one column after the other, fingerprints ascending.

Takes and gives `KeyBlock`; 9 bytes for a message key, 10 for a tracked one. Knows which blocks
are worth merging; touches no file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headcount.counting.keys import COLUMN_TYPES, Family, KeyBlock

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
    kinds = COLUMN_TYPES[block.family]
    columns = zip(block.columns(), kinds, strict=True)
    return b"".join(np.asarray(column, kind).tobytes() for column, kind in columns)


def decode(data: bytes, family: Family) -> KeyBlock:
    """The block that `encode` wrote."""
    kinds = COLUMN_TYPES[family]
    count = len(data) // sum(np.dtype(kind).itemsize for kind in kinds)
    columns: list[Any] = []
    at = 0
    for kind in kinds:
        columns.append(np.frombuffer(data, kind, count, at))
        at += columns[-1].nbytes
    return KeyBlock(*columns)
