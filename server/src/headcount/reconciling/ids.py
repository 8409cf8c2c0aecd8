"""Which ids make the difference to an archive up: takes keys of both sides, gives what differs.

A key is a hash of an id with its scope mixed in, so of keys that are ours alone nobody can say
whose they are; how many of a source they are, and of which days, follows from its counts. Of an
archive's keys everything is known, since its messages are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.batch import Facts
from headcount.counting.hashing import IdHasher, KeyRing
from headcount.counting.keys import (
    MESSAGE,
    NEVER,
    TRACKED,
    U8,
    U32,
    U64,
    Family,
    KeyBlock,
    message_keys,
    tracked_keys,
)
from headcount.counting.metrics import ANONYMOUS, API_CALLS, IDENTIFIED
from headcount.counting.usage import DAYS_MAX, UsageReading

__all__ = ["IDS", "IdDifference", "IdKind", "compare_ids", "lone_keys", "noted"]

ByDay = npt.NDArray[np.int64]


class IdKind(NamedTuple):
    """A kind of id.

    Attributes:
        name: for people.
        member: the member of a fact that holds its hash; a second one where there is one.
        family: of its keys.
        column: of a row of counts: how many were first seen on each day.
    """

    name: str
    members: tuple[str, ...]
    family: Family
    column: int


IDS = (
    IdKind("messageId", ("message",), MESSAGE, API_CALLS),
    IdKind("userId", ("user",), TRACKED, IDENTIFIED),
    IdKind("anonymousId", ("anonymous", "previous"), TRACKED, ANONYMOUS),
)
"""What is compared, source by source."""


@dataclass(frozen=True, slots=True)
class IdDifference:
    """Ids of one kind in one source.

    Attributes:
        source: the source's number.
        kind: of the ids.
        matched: how many both have.
        other_day: how many of these are first seen on different days.
        theirs_only: how many the archive has alone, by their first day there, shape (31,).
        ours_only: how many we have alone, by their first day here, shape (31,).
        hashes: of those that the archive has alone, as facts hold them, ascending.
        days: their first days.
    """

    source: int
    kind: IdKind
    matched: int
    other_day: int
    theirs_only: ByDay
    ours_only: ByDay
    hashes: U64
    days: U8


def compare_ids(
    ours: Mapping[Family, KeyBlock | None],
    theirs: Mapping[Family, KeyBlock | None],
    facts: Facts,
    reading: UsageReading,
) -> list[IdDifference]:
    """Compare all sources of the archive, and those that have usage here.

    Args:
        ours, theirs: the keys of the month.
        facts: the archive's messages of the month.
        reading: our counts of it.
    """
    counted = dict(zip(reading.source_numbers.tolist(), reading.sources, strict=True))
    numbers = sorted({*counted, *np.unique(facts["source"]).tolist()})
    nothing = np.zeros_like(reading.workspace)
    found = []
    for number in numbers:
        of_source = facts[facts["source"] == number]
        for kind in IDS:
            counts = counted.get(number, nothing)[:, kind.column]
            found.append(
                _compared(number, kind, ours[kind.family], theirs[kind.family], of_source, counts)
            )
    return found


def _compared(
    number: int,
    kind: IdKind,
    ours: KeyBlock | None,
    theirs: KeyBlock | None,
    facts: Facts,
    counts: npt.NDArray[np.int64],
) -> IdDifference:
    hashes = np.unique(np.concatenate([facts[member] for member in kind.members]))
    hashes = hashes[hashes != 0]
    scopes = np.full(len(hashes), number, np.uint32)
    fingerprints = _fingerprints(kind, scopes, hashes)
    # What was only repeated of another month, or left out by a rule, is no key of this one there.
    there, days_there = _days_of(theirs, fingerprints)
    hashes, fingerprints, days_there = hashes[there], fingerprints[there], days_there[there]
    here, days_here = _days_of(ours, fingerprints)
    matched_here = np.bincount(days_here[here], minlength=DAYS_MAX)[:DAYS_MAX]
    return IdDifference(
        number,
        kind,
        int(here.sum()),
        int((days_here[here] != days_there[here]).sum()),
        np.bincount(days_there[~here], minlength=DAYS_MAX)[:DAYS_MAX],
        counts[:DAYS_MAX] - matched_here,
        hashes[~here],
        days_there[~here],
    )


def _fingerprints(kind: IdKind, scopes: U32, hashes: U64) -> U64:
    if kind.family == MESSAGE:
        return message_keys(scopes, hashes)
    return tracked_keys(scopes, hashes, workspace=False, anonymous=kind.column == ANONYMOUS)


def _days_of(keys: KeyBlock | None, wanted: U64) -> tuple[npt.NDArray[np.bool_], U8]:
    """Which fingerprints are among keys, and the first day of each that is."""
    if keys is None or not len(wanted):
        return np.zeros(len(wanted), np.bool_), np.full(len(wanted), NEVER, np.uint8)
    places = np.minimum(np.searchsorted(keys.fingerprints, wanted), len(keys) - 1)
    held = keys.fingerprints[places] == wanted
    return held, np.where(held, keys.days[places], NEVER).astype(np.uint8)


def lone_keys(ours: KeyBlock | None, theirs: KeyBlock | None) -> KeyBlock | None:
    """The keys that are ours alone; None where there are none."""
    if ours is None:
        return None
    held, _ = _days_of(theirs, ours.fingerprints)
    return None if held.all() else ours.chosen(~held)


def noted(ring: KeyRing | IdHasher, wanted: Mapping[str, U64]) -> dict[int, str]:
    """Let hashers keep the texts of some ids as they hash them.

    Args:
        ring: the keys in use, changed.
        wanted: hashes of which the text is wanted, as facts hold them, by "message" and "tracked".

    Returns:
        Texts by hash, filled as ids are hashed.
    """
    texts: dict[int, str] = {}
    for hasher in [ring] if isinstance(ring, IdHasher) else ring.hashers:
        for name in ("message", "tracked"):
            setattr(hasher, name, _noting(getattr(hasher, name), set(wanted[name].tolist()), texts))
    return texts


def _noting(
    hashed: Callable[[str], bytes], wanted: set[int], texts: dict[int, str]
) -> Callable[[str], Any]:
    def noting(text: str) -> bytes:
        found = hashed(text)
        number = int.from_bytes(found, "little")
        if number in wanted:
            texts[number] = text
        return found

    return noting
