"""Keys: what a period remembers, as 63-bit fingerprints.

Takes hashes of ids with the number of the scope they were seen in; gives fingerprints in which
the same id in two scopes, or as userId and as anonymousId, is two keys. Ids were hashed under a
secret key, so mixing the scope in by exclusive-or keeps fingerprints uniform and uncraftable;
0.1 collisions are expected at a thousand million keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "FINGERPRINT_BITS",
    "MESSAGE",
    "NEVER",
    "TRACKED",
    "U8",
    "U32",
    "U64",
    "Family",
    "KeyBlock",
    "merged",
    "message_keys",
    "tracked_keys",
]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

Family = Literal["tracked", "message"]
TRACKED: Family = "tracked"
MESSAGE: Family = "message"

FINGERPRINT_BITS = 63
"""Bits of a fingerprint."""

NEVER = 255
"""The day of something that has not happened."""

_SCATTER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads small numbers over 64 bits
_MESSAGE_NAMESPACE = 0
_TRACKED_NAMESPACES = {
    # (is it a workspace, is it an anonymousId)
    (False, False): 1,
    (False, True): 2,
    (True, False): 3,
    (True, True): 4,
}


@dataclass(frozen=True, slots=True)
class KeyBlock:
    """Keys of one period and family with their days; fingerprints ascending, each once.

    Attributes:
        fingerprints: shape (n,), dtype uint64, 63 bits, none zero.
        days: day of the month (0 to 30) on which each key was first seen, shape (n,), uint8.
        identified_days: day on which an anonymous id was first seen with a userId, `NEVER` where
            there was none (and for every userId); shape (n,), uint8. None for message keys.
    """

    fingerprints: U64
    days: U8
    identified_days: U8 | None

    def __len__(self) -> int:
        return len(self.fingerprints)

    def part(self, which: slice) -> KeyBlock:
        """Some keys that follow one another."""
        return self._picked(which)

    def chosen(self, which: npt.NDArray[np.bool_]) -> KeyBlock:
        """Some of its keys, by a mask of shape (n,)."""
        return self._picked(which)

    def _picked(self, which: slice | npt.NDArray[np.bool_]) -> KeyBlock:
        identified = self.identified_days
        return KeyBlock(
            self.fingerprints[which],
            self.days[which],
            None if identified is None else identified[which],
        )


def merged(blocks: Sequence[KeyBlock]) -> KeyBlock:
    """One block of all keys of several (at least one), each with the minimum of its days."""
    if len(blocks) == 1:
        return blocks[0]
    fingerprints = np.concatenate([block.fingerprints for block in blocks])
    order = np.argsort(fingerprints)
    ascending = fingerprints[order]
    starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
    identified = [block.identified_days for block in blocks if block.identified_days is not None]

    def earliest(days: list[U8]) -> U8:
        ordered = np.concatenate(days)[order]
        return ordered if len(starts) == len(order) else np.minimum.reduceat(ordered, starts)

    return KeyBlock(
        ascending[starts],
        earliest([block.days for block in blocks]),
        earliest(identified) if identified else None,
    )


def message_keys(sources: U32, hashes: U64) -> U64:
    """Fingerprints of message ids, each within its source.

    Args:
        sources: source numbers, shape (n,).
        hashes: keyed hashes of the message ids, shape (n,).
    """
    return _keys(sources, _MESSAGE_NAMESPACE, hashes)


def tracked_keys(scopes: U32, hashes: U64, *, workspace: bool, anonymous: bool) -> U64:
    """Fingerprints of tracked ids, each within its source or workspace.

    Args:
        scopes: source or workspace numbers, shape (n,).
        hashes: keyed hashes of the ids, shape (n,).
        workspace: the scopes are workspaces.
        anonymous: the ids are anonymousIds.
    """
    return _keys(scopes, _TRACKED_NAMESPACES[workspace, anonymous], hashes)


def _keys(scopes: U32, namespace: int, hashes: U64) -> U64:
    codes = (scopes.astype(np.uint64) << np.uint64(3)) | np.uint64(namespace)
    fingerprints: U64 = (hashes ^ (codes * _SCATTER)) >> np.uint64(1)
    fingerprints[fingerprints == 0] = 1  # zero marks a free slot in the index
    return fingerprints
