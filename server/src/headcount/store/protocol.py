"""The store: where keys, counts, outcomes and journal positions live.

The meter writes through `commit`, everybody reads through `read_usage`. One contract suite runs
over every implementation. What an implementation must promise is said at each method.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headcount.metering.calendar import Period
from headcount.metering.facts import Rejection
from headcount.metering.keys import Family, KeyBlock
from headcount.metering.usage import Counts, UsageReading

__all__ = ["Change", "MeterStore", "UsageStore"]


@dataclass(slots=True)
class Change:
    """What one metered batch changes. Applied whole or not at all.

    Attributes:
        keys: (period, family) to keys that are new, or known with an earlier day. A key's state is
            the minimum over all blocks that hold it.
        counts: (period, workspace number, source number) to counts to add, shape (31, 5); source
            number 0 is the workspace itself.
        rejections: tallies to add.
        positions: journal UUID to the id of the last entry that is metered with this change.
        counted_until_ms: new value of the freshness mark, or None to leave it.
        last_metered_day: latest day of a live fact in the batch, or None.
    """

    keys: dict[tuple[Period, Family], KeyBlock] = field(default_factory=dict)
    counts: dict[tuple[Period, int, int], Counts] = field(default_factory=dict)
    rejections: Sequence[Rejection] = ()
    positions: dict[str, int] = field(default_factory=dict)
    counted_until_ms: int | None = None
    last_metered_day: int | None = None


class UsageStore(Protocol):
    """The reading side; safe to use from several processes at once."""

    def read_usage(self, workspace: int, period: Period) -> UsageReading:
        """The usage of a workspace (by number) in a period, all from one moment.

        A workspace or period that the store knows nothing of reads as zeros.
        """
        ...

    def close(self) -> None:
        """Release files and connections; idempotent."""
        ...


class MeterStore(UsageStore, Protocol):
    """The writing side; one meter at a time holds it."""

    def positions(self) -> Mapping[str, int]:
        """Journal UUID to the id of its last metered entry; unknown journals are absent."""
        ...

    def key_blocks(self, period: Period, family: Family) -> Iterator[KeyBlock]:
        """All stored keys of a period and family, in any order, repeated keys included."""
        ...

    def key_periods(self) -> Sequence[tuple[Period, Family]]:
        """The periods and families that hold any keys."""
        ...

    def commit(self, change: Change) -> None:
        """Make a change durable and visible, whole or not at all.

        Raises:
            StorageUnavailableError: it did not become durable and nothing of it is visible.
        """
        ...

    def mark_counted_until(self, moment_ms: int) -> None:
        """Move the freshness mark forward without a change; need not survive a power cut."""
        ...
