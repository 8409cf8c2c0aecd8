"""Bundles: what several partitions of one process publish on one subject, as one entry of the log.

An entry has its price whatever is in it, at three servers and on two disks. Sixteen partitions that
hand on to sixteen others would publish 256 in each step; so they publish sixteen.

    4 bytes  a mark
    and for each part
    4 bytes  its length
    ...      the part, a pack, which says itself whether it is what was published
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = ["bundled", "parts_of"]

_MARK = b"many"
_LENGTH = struct.Struct("<I")
_BUNDLE_BYTES = 256 << 10


def bundled(entries: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Entries to publish, those of one subject together; each subject's in their order.

    Args:
        entries: subjects and packs.
    """
    found: list[tuple[str, list[bytes]]] = []
    open_at: dict[str, int] = {}
    size: dict[str, int] = {}
    for subject, data in entries:
        if subject not in open_at or size[subject] + len(data) > _BUNDLE_BYTES:
            open_at[subject], size[subject] = len(found), 0
            found.append((subject, []))
        found[open_at[subject]][1].append(data)
        size[subject] += len(data)
    return [(subject, _joined(parts)) for subject, parts in found]


def _joined(parts: Sequence[bytes]) -> bytes:
    if len(parts) == 1:
        return parts[0]
    return b"".join([_MARK, *(each for part in parts for each in (_LENGTH.pack(len(part)), part))])


def parts_of(data: bytes) -> list[bytes]:
    """The packs of an entry, in order; what is no bundle is one pack."""
    if not data.startswith(_MARK):
        return [data]
    parts, at = [], len(_MARK)
    while at + _LENGTH.size <= len(data):
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(data, at)[0]
        parts.append(data[start:at])
    # A pack may begin like a bundle by chance, one of four thousand million; it does not end so.
    return parts if at == len(data) and len(parts) > 1 else [data]
