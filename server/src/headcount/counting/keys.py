"""Keys: what a period remembers, as 63-bit fingerprints.

Takes hashes of ids with the number of the scope they were seen in; gives fingerprints in which
the same id in two scopes, or as userId and as anonymousId, is two keys. Ids were hashed under a
secret key, so mixing the scope in by exclusive-or keeps fingerprints uniform and uncraftable;
0.1 collisions are expected at a billion keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "COLUMN_TYPES",
    "FINGERPRINT_BITS",
    "MESSAGE",
    "NEVER",
    "TRACKED",
    "U8",
    "U32",
    "U64",
    "Family",
    "Groups",
    "KeyBlock",
    "KeySet",
    "NewKeys",
    "Slots",
    "distinct",
    "merged",
    "message_keys",
    "tracked_keys",
]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.int64]

Family = Literal["tracked", "message"]
TRACKED: Family = "tracked"
MESSAGE: Family = "message"

COLUMN_TYPES: dict[Family, tuple[str, ...]] = {
    TRACKED: ("<u8", "u1", "u1"),
    MESSAGE: ("<u8", "u1"),
}
"""Of each column of a family's keys its type, as it is written; in the order of `KeyBlock`."""


class KeySet(IntEnum):
    """Which set of its scope a key is in."""

    MESSAGES = 0
    IDENTIFIED = 1
    ANONYMOUS = 2
    """And in the anonymous identified set from its identified day on."""


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

    Its columns have these names everywhere, and nobody else spells out what there are of them: one
    more is a field here, and a line in `COLUMN_TYPES`.

    Attributes:
        fingerprints: shape (n,), dtype uint64, 63 bits, none zero.
        days: day of the month (0 to 30) on which each key was first seen, shape (n,), uint8.
        identified_days: day on which an anonymous id was first seen with a userId, `NEVER` where
            there was none (and for every userId); shape (n,), uint8. None for message keys.
    """

    fingerprints: U64
    days: U8
    identified_days: U8 | None = None

    def __len__(self) -> int:
        return len(self.fingerprints)

    @property
    def family(self) -> Family:
        """Whose columns these are."""
        return MESSAGE if self.identified_days is None else TRACKED

    @property
    def nbytes(self) -> int:
        """Bytes of memory that its columns take."""
        return sum(column.nbytes for column in self.columns())

    @classmethod
    def blank(cls, capacity: int, family: Family) -> KeyBlock:
        """Columns of a family with no key in them: every fingerprint is zero."""
        _, *of_days = COLUMN_TYPES[family]
        days = (np.empty(capacity, each) for each in of_days)
        return cls(np.zeros(capacity, np.uint64), *days)

    def columns(self) -> tuple[npt.NDArray[np.unsignedinteger[Any]], ...]:
        """All that it has, in the order in which they are written."""
        return (self.fingerprints, *self.of_days())

    def of_days(self) -> tuple[U8, ...]:
        """The columns that hold days: two blocks that hold one key agree on the minimum of each."""
        if self.identified_days is None:
            return (self.days,)
        return self.days, self.identified_days

    def part(self, which: slice) -> KeyBlock:
        """Some keys that follow one another, in place."""
        return KeyBlock(self.fingerprints[which], *(days[which] for days in self.of_days()))

    def chosen(self, which: npt.NDArray[np.bool_] | Slots) -> KeyBlock:
        """Some of its keys, by a mask of shape (n,) or by where they stand."""
        return KeyBlock(self.fingerprints[which], *(days[which] for days in self.of_days()))

    def copy(self) -> KeyBlock:
        """The same keys in memory of their own, so that what they were cut from can go."""
        return KeyBlock(self.fingerprints.copy(), *(days.copy() for days in self.of_days()))

    def put(self, slots: Slots, keys: KeyBlock) -> None:
        """Write keys over those that stand somewhere."""
        self.fingerprints[slots] = keys.fingerprints
        self.put_days(slots, keys)

    def put_days(self, slots: Slots, keys: KeyBlock) -> None:
        """Write the days of keys over those that stand somewhere."""
        for held, given in zip(self.of_days(), keys.of_days(), strict=True):
            held[slots] = given


@dataclass(frozen=True, slots=True)
class NewKeys:
    """Keys that one batch brings or gives an earlier day, and whose they are.

    A fingerprint does not tell whose key it is: who attributes new users, or sends keys to another
    machine, has to be told, and a batch is the last moment at which anybody knows.

    Attributes:
        keys: the keys, as they are from now on; n of them.
        workspaces: number of the workspace that each key is of, shape (n,).
        sources: number of the source that is its scope, 0 where the workspace is; shape (n,).
        sets: which set of its scope it is in, a `KeySet` each; shape (n,), uint8.
    """

    keys: KeyBlock
    workspaces: U32
    sources: U32
    sets: U8

    def __len__(self) -> int:
        return len(self.keys)


def distinct(numbers: Slots) -> Slots:
    """Numbers, each once, ascending.

    `numpy.unique` takes eight times as long where there are few of many, and its first call loads
    arrays with masks besides, to see that it was not given one.
    """
    ascending = np.sort(numbers)
    is_first = np.ones(len(ascending), np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=is_first[1:])
    return ascending[is_first]


class Groups:
    """Entries grouped by fingerprint: each distinct key once, ascending.

    Args:
        fingerprints: of the entries, in any order, shape (n,), n at least 1.

    Attributes:
        fingerprints: the distinct ones, ascending.
        members: one entry of each group, for what all entries of a group share.
    """

    def __init__(self, fingerprints: U64) -> None:
        self._order = np.argsort(fingerprints)
        ascending = fingerprints[self._order]
        self._starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
        self.fingerprints: U64 = ascending[self._starts]
        self.members: Slots = self._order[self._starts]

    def __len__(self) -> int:
        return len(self.fingerprints)

    def earliest(self, days: U8) -> U8:
        """The minimum of each group's days."""
        ordered: U8 = days[self._order]
        if len(self) == len(ordered):
            return ordered
        return np.minimum.reduceat(ordered, self._starts)

    @cached_property
    def _has_several(self) -> npt.NDArray[np.bool_]:
        return np.diff(self._starts, append=len(self._order)) > 1

    def first(self, which: Slots, places: Slots | None = None) -> Slots:
        """Of some groups the lowest place of an entry.

        Args:
            which: of the groups.
            places: of the entries; None for the order in which they were given.
        """
        found = self.members[which] if places is None else places[self.members[which]]
        if len(self) == len(self._order):
            return found
        # Most groups of what is new have one entry.
        several = np.flatnonzero(self._has_several[which])
        if len(several):
            starts = self._starts[which[several]]
            lengths = np.append(self._starts, len(self._order))[which[several] + 1] - starts
            own = np.cumsum(lengths) - lengths
            entries = self._order[
                np.repeat(starts - own, lengths) + np.arange(own[-1] + lengths[-1])
            ]
            found[several] = np.minimum.reduceat(
                entries if places is None else places[entries], own
            )
        return found

    def spread(self, days: U8) -> U8:
        """One day a group, given back to each of its entries."""
        spread = np.empty(len(self._order), np.uint8)
        spread[self._order] = np.repeat(days, np.diff(self._starts, append=len(self._order)))
        return spread


def merged(blocks: Sequence[KeyBlock]) -> KeyBlock:
    """One block of all keys of several (at least one), each with the minimum of its days."""
    if len(blocks) == 1:
        return blocks[0]
    fingerprints, *of_days = (
        np.concatenate(column)
        for column in zip(*(block.columns() for block in blocks), strict=True)
    )
    groups = Groups(fingerprints)
    return KeyBlock(groups.fingerprints, *map(groups.earliest, of_days))


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
