"""Contributions in the tables of the embedded store: which attributes there were, and their counts.

Takes what batches contributed, adds it to one row a source and day; gives all of a source and
month. Of a source only so many combinations of attributes are told apart in a month, so that rows
stay small whatever senders make up: what comes beyond that is told without its event, then without
its version, then as other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from headcount.counting.attributes import RESERVED, Attributes, coarser
from headcount.counting.calendar import Period
from headcount.counting.contributions import COLUMNS, Contributions, DayOfContributions
from headcount.sqlite.rows import Ledger, Row
from headcount.store.tables import ATTRIBUTES, CONTRIBUTION

__all__ = ["COARSE_MAX", "WITH_EVENTS_MAX", "add_contributions", "contributions_of"]

WITH_EVENTS_MAX, COARSE_MAX = 200, 300
"""How many combinations are told apart of a source in a month, and how many with those that have
lost their event or version."""

_ENTRY = np.dtype([("number", "<u2"), ("counts", "<i8", (COLUMNS,))])
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Attributes]).decode


def add_contributions(
    ledger: Ledger,
    contributions: Iterable[tuple[Period, DayOfContributions]],
    attributes: Sequence[Attributes],
) -> None:
    """Add what a batch contributed; in a transaction.

    Args:
        ledger: of the store.
        contributions: by month, source and day, in any order and also repeated.
        attributes: what the numbers in there mean, each by its place.
    """
    # Both halves of a batch have something of nearly every day: its row is read and written once.
    days: defaultdict[tuple[int, int, int], defaultdict[int, list[DayOfContributions]]]
    days = defaultdict(lambda: defaultdict(list))
    for period, of_day in contributions:
        days[of_day.workspace, period.number, of_day.source][of_day.day].append(of_day)
    for place, of_source in days.items():
        numbers = _Numbers(ledger.get(ATTRIBUTES, *place))
        for day, added in of_source.items():
            _add_day(ledger, (*place, day), numbers, added, attributes)
        if numbers.has_grown:
            ledger.put(ATTRIBUTES, *place, _pack(numbers.listed))


def _listed(row: Row | None) -> tuple[Attributes, ...]:
    return RESERVED if row is None else (*RESERVED, *_unpack(row[-1]))


class _Numbers:
    """The numbers of the attributes of one source and month.

    Args:
        row: that holds those of before; None where there are none.
    """

    def __init__(self, row: Row | None) -> None:
        held = _listed(row)
        self._numbers = {each: number for number, each in enumerate(held)}
        self._held = len(held)

    @property
    def has_grown(self) -> bool:
        """Whether there are others than before."""
        return len(self._numbers) > self._held

    @property
    def listed(self) -> list[Attributes]:
        """All of them, in the order of their numbers."""
        return list(self._numbers)[len(RESERVED) :]

    @property
    def size(self) -> int:
        """Numbers are lower than this."""
        return len(self._numbers)

    def of(self, attributes: Attributes) -> int:
        """The number of attributes, or of such as stand for them."""
        number = self._numbers.get(attributes)
        if number is None and len(self._numbers) >= WITH_EVENTS_MAX:
            for instead in coarser(attributes):
                attributes, number = instead, self._numbers.get(instead)
                if number is not None or len(self._numbers) < COARSE_MAX:
                    break
        if number is None:
            number = self._numbers[attributes] = len(self._numbers)
        return number


def _add_day(
    ledger: Ledger,
    place: tuple[int, int, int, int],
    numbers: _Numbers,
    added: Sequence[DayOfContributions],
    attributes: Sequence[Attributes],
) -> None:
    own = [numbers.of(attributes[number]) for each in added for number in each.numbers.tolist()]
    counts = np.zeros((numbers.size, COLUMNS), np.int64)
    held = ledger.get(CONTRIBUTION, *place)
    if held is not None:
        former = _decoded(held[-1])
        counts[former["number"]] = former["counts"]
    np.add.at(counts, own, np.concatenate([each.counts for each in added]))
    used = np.flatnonzero(counts.any(axis=1))
    entries = np.empty(len(used), _ENTRY)
    entries["number"], entries["counts"] = used, counts[used]
    # How many columns there are comes first, so that there may be more one day.
    ledger.put(CONTRIBUTION, *place, bytes([COLUMNS]) + entries.tobytes())


def _decoded(data: bytes) -> npt.NDArray[np.void]:
    return np.frombuffer(data, _ENTRY, offset=1)


def contributions_of(listed: Row | None, days: Iterable[Row]) -> Contributions:
    """What stands in the rows of one source and month.

    Args:
        listed: the row of its attributes; None where there is none.
        days: the rows of its contributions.
    """
    found = [(row[-2], _decoded(row[-1])) for row in days]
    lengths = [len(entries) for _, entries in found]
    return Contributions(
        _listed(listed),
        np.repeat([day for day, _ in found], lengths).astype(np.int64),
        _joined([entries["number"].astype(np.int64) for _, entries in found]),
        _joined([entries["counts"] for _, entries in found]).reshape(-1, COLUMNS),
    )


def _joined(parts: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
