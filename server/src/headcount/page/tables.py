"""The tables of a month: sources, outcomes, days. Takes the API's answers, gives rows in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from headcount.api.v1.daily import DailyBody
from headcount.api.v1.outcomes import Outcomes, OutcomesBody
from headcount.api.v1.sources import SourceRecord
from headcount.api.v1.summary import SummaryBody, Totals
from headcount.page.figures import ChangeText, change_of, percent_text

__all__ = [
    "COLUMNS",
    "NOTHING",
    "DayRow",
    "Order",
    "OutcomeRow",
    "SourceRow",
    "day_rows",
    "order_asked",
    "outcome_rows",
    "source_rows",
]

NOTHING = Totals(0, 0, 0, 0, 0, 0)
"""The counts of a source without usage."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source in a month."""

    id: str
    name: str
    enabled: bool
    calls: int
    calls_change: ChangeText | None
    share: str
    mtu: int
    mtu_change: ChangeText | None


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """What became of one source's messages."""

    name: str
    outcomes: Outcomes


@dataclass(frozen=True, slots=True)
class DayRow:
    """One day: what came on it, and the running totals at its end."""

    day: str
    new_calls: int
    calls: int
    new_mtu: int
    mtu: int


@dataclass(frozen=True, slots=True)
class Order:
    """How the sources are sorted: by one of `COLUMNS`, ascending or not."""

    column: str
    descending: bool

    def next_for(self, column: str) -> str:
        """What a click on a column's head asks for: turn it round, or its usual direction."""
        if column == self.column:
            return "asc" if self.descending else "desc"
        return "asc" if column == "name" else "desc"

    def aria(self, column: str) -> str:
        """What screen readers are told of a column."""
        if column != self.column:
            return "none"
        return "descending" if self.descending else "ascending"


_KEYS: dict[str, Callable[[SourceRow], Any]] = {
    "name": lambda row: row.name.casefold(),
    "calls": lambda row: row.calls,
    "calls-change": lambda row: row.calls_change.absolute if row.calls_change else 0,
    "mtu": lambda row: row.mtu,
    "mtu-change": lambda row: row.mtu_change.absolute if row.mtu_change else 0,
}
COLUMNS = {
    "name": "Source",
    "calls": "API calls",
    "calls-change": "Change in calls",
    "mtu": "MTU",
    "mtu-change": "Change in MTU",
}
"""The columns by which sources can be sorted, with their heads."""


def order_asked(sort: str | None, direction: str | None) -> Order:
    """The order that an address asks for; the usual one when it says nothing sensible."""
    if sort not in COLUMNS:
        return Order("calls", True)
    return Order(sort, direction != "asc")


def source_rows(
    summary: SummaryBody, sources: Sequence[SourceRecord], order: Order
) -> list[SourceRow]:
    """Every source, in order; those without usage too."""
    known = {source.id: source for source in sources}
    all_calls = summary.month.totals.api_calls
    compared = summary.previous is not UNSET
    used = {entry.source_id: entry for entry in summary.sources}
    rows = []
    for source_id in known | used:
        entry, source = used.get(source_id), known.get(source_id)
        now = entry.totals if entry else NOTHING
        before = entry.previous or NOTHING if entry else NOTHING
        rows.append(
            SourceRow(
                source_id,
                source.name if source else used[source_id].source_name,
                source.enabled if source else True,
                now.api_calls,
                change_of(now.api_calls, before.api_calls) if compared else None,
                percent_text(now.api_calls, all_calls) if all_calls else "",
                now.mtu,
                change_of(now.mtu, before.mtu) if compared else None,
            )
        )
    rows.sort(key=_KEYS["name"])
    # Stable, so that equal ones stay in the order of their names.
    rows.sort(key=_KEYS[order.column], reverse=order.descending)
    return rows


def outcome_rows(outcomes: OutcomesBody) -> list[OutcomeRow]:
    """Sources with any message, by name."""
    listed = sorted(outcomes.sources, key=lambda each: each.source_name.casefold())
    return [OutcomeRow(each.source_name, each.outcomes) for each in listed]


def day_rows(daily: DailyBody) -> list[DayRow]:
    """Every day so far, the latest first."""
    calls, mtu = daily.workspace.api_calls, daily.workspace.mtu
    earlier_calls, earlier_mtu = [0, *calls], [0, *mtu]
    return [
        DayRow(
            daily.days[place],
            calls[place] - earlier_calls[place],
            calls[place],
            mtu[place] - earlier_mtu[place],
            mtu[place],
        )
        for place in reversed(range(len(daily.days)))
    ]
