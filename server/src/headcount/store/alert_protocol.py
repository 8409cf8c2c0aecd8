"""What alerts need of a store beside its changes: to read what was told, and what it is judged by.

Takes scopes and months, gives counts, marks and events. What is written goes with a `Change`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from headcount.counting.alerts import AlertEvent, QuotaReached
from headcount.counting.calendar import Period
from headcount.counting.usage import Counts

__all__ = ["AlertStore", "ScopeTotals", "StoredEvent"]


class ScopeTotals(NamedTuple):
    """What alerts of one scope are judged by.

    Attributes:
        counts: of the month, shape (31, columns).
        high: name of a metric that has fallen to the most that it was before it fell.
        rejected: how many messages were rejected in the month.
    """

    counts: Counts
    high: Mapping[str, int]
    rejected: int


class StoredEvent(NamedTuple):
    """An event, and its place among all: a later one has a larger number."""

    number: int
    event: AlertEvent


class AlertStore(Protocol):
    """What alerts need of a store beside its changes: to read, all of it."""

    def totals(self, workspace: int, period: Period, source: int) -> ScopeTotals:
        """What one scope has in a month, all from one moment; source 0 is the workspace."""
        ...

    def marks(self, workspace: int, period: Period) -> Mapping[int, set[str]]:
        """What each rule has told of a month, by the rule's number."""
        ...

    def arrivals(self) -> Mapping[tuple[int, int], int]:
        """(workspace, source) to when its last live message came, as far as it was written."""
        ...

    def events(
        self, *, after: int = 0, workspace: int | None = None, most: int = 100, latest: bool = False
    ) -> Sequence[StoredEvent]:
        """What was told.

        Args:
            after: only events of larger numbers.
            workspace: only those of one.
            most: how many at most.
            latest: the latest first, rather than the oldest.
        """
        ...

    def event(self, uid: str) -> StoredEvent | None:
        """What was told under a name; None where nothing was."""
        ...

    def quotas_reached(self, workspace: int | None, period: Period) -> Sequence[QuotaReached]:
        """The quotas that were reached in a month, of one workspace or of all."""
        ...
