"""Run files as the versions before format 4 wrote them: columns, and words of a filter behind each.

Takes blocks and a path, writes the file that those versions would have written, filter aside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from headcount.counting.keys import TRACKED, KeyBlock

__all__ = ["write_former_run"]

_MAGIC = int.from_bytes(b"HCRUN\0\0\2", "little")
_HEADER_WORDS = 4


def write_former_run(path: Path, blocks: Iterable[KeyBlock], *, words: int = 3) -> str:
    """Write such a file.

    Args:
        path: where.
        blocks: ascending over all of them, none empty.
        words: how many words stand behind each part.

    Returns:
        Its checksum, in hexadecimal digits.
    """
    content, table = b"", []
    identified = False
    for block in blocks:
        identified = block.family == TRACKED
        at = _HEADER_WORDS * 8 + len(content)
        table.append((at, len(block), int(block.fingerprints[0]), words))
        for column in block.columns():
            content += _padded(column.tobytes())
        content += bytes(range(8)) * words
    table.append((_HEADER_WORDS * 8 + len(content), 0, 0, 1))
    content += bytes(8)
    header = (_MAGIC, _HEADER_WORDS * 8 + len(content), int(identified), len(table) - 1)
    checksum = hashlib.blake2b(content, digest_size=16)
    path.write_bytes(
        np.array(header, np.uint64).tobytes()
        + content
        + np.array(table, np.uint64).tobytes()
        + checksum.digest()
    )
    return checksum.hexdigest()


def _padded(column: bytes) -> bytes:
    return column + bytes(-len(column) % 8)
