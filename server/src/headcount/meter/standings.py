"""Where scopes stand, and what was told of them: as many as are asked about, read once.

Takes scopes and months, gives their standings and marks; forgets all of them where they become too
many. What is damaged is said to be, and never taken for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headcount.counting.alerts import AlertEvent, AlertRule
from headcount.counting.calendar import Period, parse_period
from headcount.counting.metrics import BY_NAME
from headcount.counting.scope_standing import Standing
from headcount.counting.usage import Counts, is_possible
from headcount.errors import DamagedDataError
from headcount.store.protocol import MeterStore

__all__ = ["Pending", "Place", "Standings"]

Place = tuple[Period, int, int]
"""A month of a scope: period, workspace, and source, which is 0 for the workspace."""

_PLACES_MAX = 4_096


@dataclass(slots=True)
class Pending:
    """What becomes true with the commit of a change."""

    standings: dict[Place, Standing] = field(default_factory=dict)
    arrivals: dict[tuple[int, int], int] = field(default_factory=dict)
    written: dict[tuple[int, int], int] = field(default_factory=dict)
    imported: set[tuple[int, int]] | None = None
    """(workspace, source) of imported messages in it; None where nobody knows."""


class Standings:
    """The standings of scopes of one store.

    Args:
        store: where they are read.
    """

    def __init__(self, store: MeterStore) -> None:
        self._store = store
        self._held: dict[Place, Standing] = {}
        self._marks: dict[tuple[int, Period], dict[int, set[str]]] = {}

    def of(self, place: Place) -> Standing:
        """Where a scope stands in a month.

        Raises:
            DamagedDataError: that is damaged.
        """
        found = self._held.get(place)
        if found is None:
            if len(self._held) >= _PLACES_MAX:
                self._held.clear()
                self._marks.clear()
            period, workspace, source = place
            found = Standing(*self._store.alerts.totals(workspace, period, source))
            self._held[place] = found
        return found

    def possible(self, place: Place) -> Counts:
        """The counts of a scope in a month, to learn from.

        Raises:
            DamagedDataError: they are damaged, or below zero.
        """
        counts = self.of(place).counts
        if not is_possible(counts):
            raise DamagedDataError(
                f"A count of {str(place[0])[:7]} is below zero.", "See headcount doctor."
            )
        return counts

    def former(self, rule: AlertRule, period: Period) -> Counts | None:
        """A rule's counts of a month that is over, which is not kept; None where it is damaged."""
        try:
            return self._store.alerts.totals(rule.workspace, period, rule.source).counts
        except DamagedDataError:
            return None

    def days_before(self, rule: AlertRule, period: Period, standing: Standing) -> dict[int, int]:
        """The counts of the days of a month and the two before, as far as a rule needs them.

        Args:
            rule: which.
            period: the month.
            standing: where the rule's scope stands in it.

        Raises:
            DamagedDataError: those of a month before are damaged.
        """
        metric = BY_NAME[rule.metric]
        found: dict[int, int] = {}
        for months in (2, 1, 0):
            each = period.shifted(-months)
            counts = standing.counts if not months else self.of((each, *rule.scope)).counts
            found |= dict(enumerate(metric.of(counts[: each.length]).tolist(), each.first_day))
        return found

    def take(self, standings: Mapping[Place, Standing]) -> None:
        """Take where scopes stand now."""
        self._held.update(standings)

    def forget(self) -> None:
        """Read anew where scopes stand."""
        self._held.clear()

    def told(self, rule: AlertRule, period: Period) -> set[str]:
        """What a rule has told of a month, by its marks.

        Raises:
            DamagedDataError: that is damaged.
        """
        place = rule.workspace, period
        if place not in self._marks:
            self._marks[place] = dict(self._store.alerts.marks(*place))
        return self._marks[place].get(rule.number, set())

    def mark(self, event: AlertEvent) -> None:
        """Take for told what an event says, which is durable."""
        for each in event.crossings:
            month = self._marks.get((event.workspace, parse_period(each.period)))
            if month is not None:
                month.setdefault(each.rule_number, set()).add(each.mark)
