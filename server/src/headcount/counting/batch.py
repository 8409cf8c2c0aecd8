"""A batch of facts as arrays: in metering order, month by month, with its scopes as small numbers.

Takes packed facts, gives what both halves of the fold work on. Decides nothing about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headcount.counting.attributes import NUMBER_SHIFT, NUMBERS_END, OTHER, RESERVED, Attributes
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.facts import FACT_BYTES, WIDE_FACT_BYTES, WideFacts, fact_bytes
from headcount.counting.keys import U8, U32, Slots
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX, Counts

__all__ = [
    "FACT_DTYPE",
    "WIDE_FACT_DTYPE",
    "Facts",
    "MonthOfFacts",
    "ScopeCounts",
    "Scopes",
    "bytes_of",
    "facts_from_bytes",
    "is_wide",
    "numbered_facts",
]

FACT_DTYPE = np.dtype(
    [
        ("received_at_ms", "<i8"),
        ("workspace", "<u4"),
        ("source", "<u4"),
        ("tags", "<u4"),
        ("flags", "<u4"),
        ("message", "<u8"),
        ("user", "<u8"),
        ("anonymous", "<u8"),
        ("previous", "<u8"),
    ]
)
assert FACT_DTYPE.itemsize == FACT_BYTES

WIDE_FACT_DTYPE = np.dtype([*FACT_DTYPE.descr, ("also", "<u8")])
"""Of wide facts, and of all facts of a batch in which some are wide; `also` is 0 in the others."""
assert WIDE_FACT_DTYPE.itemsize == WIDE_FACT_BYTES

Facts = npt.NDArray[np.void]


def facts_from_bytes(blocks: Iterable[bytes]) -> Facts:
    """Packed facts in metering order: by time of receipt, then in the order they came."""
    return _in_order(_together(list(blocks)))


def numbered_facts(
    blocks: Sequence[bytes], told: Sequence[Mapping[int, Attributes]]
) -> tuple[Facts, list[Attributes]]:
    """Packed facts in metering order, and the attributes that they name.

    Args:
        blocks: of facts.
        told: for each block which attributes the numbers are that its facts name; empty where
            nobody can say, and all name none.

    Returns:
        The facts, which from then on name attributes by their places in the list; and that list.
    """
    facts = _together(blocks)
    attributes = _number(facts, blocks, told)
    return _in_order(facts), attributes


def _together(blocks: Sequence[bytes]) -> Facts:
    if any(isinstance(block, WideFacts) for block in blocks):
        return np.concatenate([_widened(block) for block in blocks])
    # To be written to, since the facts of each entry name attributes by numbers of their own.
    return np.frombuffer(bytearray().join(blocks), FACT_DTYPE)


def _number(
    facts: Facts, blocks: Sequence[bytes], told: Sequence[Mapping[int, Attributes]]
) -> list[Attributes]:
    """Give the attributes that facts name numbers that mean the same in all blocks."""
    tags = facts["tags"]
    places = {each: place for place, each in enumerate(RESERVED)}
    named = tags >> NUMBER_SHIFT
    if not named.any():
        return list(places)
    # What one worker tells is the same in each of its entries, so that few tables serve for all.
    tables: list[dict[int, int]] = [{}]
    of_block = np.zeros(len(blocks), np.int64)
    for at, numbers in enumerate(told):
        numbered = {n: _place(places, each) for n, each in numbers.items()}
        agreeing = (
            which
            for which, table in enumerate(tables)
            if all(table.get(n, place) == place for n, place in numbered.items())
        )
        which = next(agreeing, len(tables))
        if which == len(tables):
            tables.append({})
        tables[which].update(numbered)
        of_block[at] = which
    size = int(named.max()) + 1
    # A number that nobody tells is the first of all, which is unknown.
    renumbered = np.zeros((len(tables), size), np.uint32)
    for which, table in enumerate(tables):
        known = [n for n in table if n < size]
        renumbered[which, known] = [table[n] for n in known]
    of_fact = np.repeat(of_block, [len(block) // fact_bytes(block) for block in blocks])
    tags &= NUMBERS_END - 1
    tags |= renumbered[of_fact, named] << NUMBER_SHIFT
    return list(places)


def _place(places: dict[Attributes, int], attributes: Attributes) -> int:
    place = places.get(attributes)
    if place is None:
        place = len(places) if len(places) < NUMBERS_END else places[OTHER]
        places[attributes] = place
    return place


def _in_order(facts: Facts) -> Facts:
    times = facts["received_at_ms"]
    if len(times) > 1 and np.any(times[1:] < times[:-1]):
        facts = facts[np.argsort(times, kind="stable")]
    return facts


def _widened(block: bytes) -> Facts:
    if isinstance(block, WideFacts):
        return np.frombuffer(block, WIDE_FACT_DTYPE)
    narrow = np.frombuffer(block, FACT_DTYPE)
    wide = np.zeros(len(narrow), WIDE_FACT_DTYPE)
    for name in FACT_DTYPE.names or ():
        wide[name] = narrow[name]
    return wide


def bytes_of(facts: Facts) -> bytes:
    """Facts as they are packed."""
    packed = facts.tobytes()
    return WideFacts(packed) if is_wide(facts) else packed


def is_wide(facts: Facts) -> bool:
    """Whether facts have room for the hash of their message ids under another key."""
    return facts.dtype == WIDE_FACT_DTYPE


class Scopes:
    """The sources of some facts and their workspaces, numbered densely: sources come first.

    Args:
        facts: at least one.

    Attributes:
        of_fact: the scope that is each fact's source, shape (n,).
        workspaces: number of the workspace of each scope.
        sources: number of the source of each scope, 0 where it is a workspace.
    """

    def __init__(self, facts: Facts) -> None:
        sources, members, self.of_fact = _numbered(facts["source"])
        of_sources = facts["workspace"][members]
        workspaces, _, numbers = _numbered(of_sources)
        self._workspace_of_source: Slots = numbers + len(sources)
        self.workspaces: U32 = np.concatenate([of_sources, workspaces])
        self.sources: U32 = np.concatenate([sources, np.zeros(len(workspaces), np.uint32)])

    def __len__(self) -> int:
        return len(self.sources)

    def workspace_scopes(self, source_scopes: Slots) -> Slots:
        """The scopes that are the workspaces of some sources."""
        return self._workspace_of_source[source_scopes]


def _numbered(values: U32) -> tuple[U32, Slots, Slots]:
    """Distinct values, ascending; where one of each stands; and for each value its number there."""
    size = int(values.max()) + 1
    if size > 4 * len(values):
        distinct, members, numbers = np.unique(values, return_index=True, return_inverse=True)
        return distinct, members, numbers
    # Numbers are given from 1 on, so that nothing needs to be sorted for them.
    places: Slots = np.full(size, -1, np.int64)
    places[values] = np.arange(len(values))
    used = places >= 0
    distinct = np.flatnonzero(used).astype(np.uint32)
    return distinct, places[distinct], (np.cumsum(used) - 1)[values]


class ScopeCounts:
    """Counts of all scopes of a month while it is folded.

    Args:
        scopes: whose.
    """

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._counts = np.zeros((len(scopes), DAYS_MAX, len(KINDS)), np.int64)

    def add(self, scopes: Slots, days: U8, kind: int, sign: int = 1) -> None:
        """Add `sign` to one kind for each (scope, day)."""
        if not len(scopes):
            return  # as for nearly all that could be taken away again
        flat = np.bincount(scopes * DAYS_MAX + days, minlength=len(self._counts) * DAYS_MAX)
        self._counts[:, :, kind] += sign * flat.reshape(len(self._counts), DAYS_MAX)

    def add_from_source(self, scopes: Slots, days: U8, kind: int, sign: int = 1) -> None:
        """The same, for sources and for their workspaces, whose value is the sum."""
        self.add(scopes, days, kind, sign)
        self.add(self._scopes.workspace_scopes(scopes), days, kind, sign)

    def changed(self) -> Iterator[tuple[int, int, Counts]]:
        """Workspace, source and counts of each scope that has any."""
        changed = np.flatnonzero(self._counts.any(axis=(1, 2)))
        workspaces = self._scopes.workspaces[changed].tolist()
        sources = self._scopes.sources[changed].tolist()
        yield from zip(workspaces, sources, self._counts[changed], strict=True)


@dataclass(frozen=True, slots=True)
class MonthOfFacts:
    """The facts of one month out of a batch.

    Attributes:
        period: the month.
        facts: shape (n,), n at least 1 unless some were taken away, ascending in `received_at_ms`.
        days: the day of the month of each (0 to 30), shape (n,).
        scopes: of these facts, and of those that were taken away.
        of_fact: the scope that is each fact's source, shape (n,).
    """

    period: Period
    facts: Facts
    days: U8
    scopes: Scopes
    of_fact: Slots

    @classmethod
    def each(cls, facts: Facts) -> Iterator[MonthOfFacts]:
        """The months of facts that are sorted by `received_at_ms`, in ascending order."""
        all_days = facts["received_at_ms"] // MS_PER_DAY
        start = 0
        while start < len(facts):
            period = Period.of_day(int(all_days[start]))
            stop = int(np.searchsorted(all_days, period.last_day, side="right"))
            days = (all_days[start:stop] - period.first_day).astype(np.uint8)
            scopes = Scopes(facts[start:stop])
            yield cls(period, facts[start:stop], days, scopes, scopes.of_fact)
            start = stop

    def without(self, left_out: npt.NDArray[np.bool_]) -> MonthOfFacts:
        """The same without some facts."""
        kept = ~left_out
        return MonthOfFacts(
            self.period, self.facts[kept], self.days[kept], self.scopes, self.of_fact[kept]
        )
