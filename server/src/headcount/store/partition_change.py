"""What a change holds beyond counts where partitions count: what goes on, and what is mirrored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from headcount.counting.calendar import Period
from headcount.counting.usage import Counts

__all__ = ["CONFLICTS", "HandedOn", "Mirrored"]


CONFLICTS = " conflicts"
"""What stands behind a partition's name where its conflicting duplicates are mirrored."""


class HandedOn(NamedTuple):
    """What a partition's change hands on to the next stage.

    Attributes:
        records: packed tracked records.
        appended_at_ms: when the latest that they come from was appended, milliseconds since
            1970.
        sealed: (workspace, number of the month) closed with it.
        forgotten: number of the latest order to forget a person that was carried out before the
            records were made; 0 for none.
        forget: orders to forget somebody that it passes on, packed.
    """

    records: bytes
    appended_at_ms: int
    sealed: Sequence[tuple[int, int]] = ()
    forgotten: int = 0
    forget: Sequence[bytes] = ()


class Mirrored(NamedTuple):
    """What a node learns of one partition's counts.

    Attributes:
        partition: the partition's name.
        state: how far that is, as the mirror writes it down.
        rows: (workspace, period, source) to the partition's counts now, shape (31, columns); None
            where it has none any more.
        conflicts: of some of these the partition's conflicting duplicates now, by day in the first
            column.
    """

    partition: str
    state: bytes
    rows: Mapping[tuple[int, Period, int], Counts | None]
    conflicts: Mapping[tuple[int, Period, int], Counts] = MappingProxyType({})
