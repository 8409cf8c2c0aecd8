"""The tables of a month: sources, outcomes, days. Takes the API's answers, gives rows in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

from msgspec import UNSET, UnsetType

from headcount.api.v1.all_months import MonthRecord, MonthsBody
from headcount.api.v1.daily import Columns
from headcount.api.v1.outcomes import Outcomes, OutcomesBody
from headcount.api.v1.sources import SourceRecord
from headcount.api.v1.summary import SummaryBody, Totals, TotalsChange
from headcount.counting.cost import money_text
from headcount.counting.metrics import BY_NAME, REPORTED, Metric
from headcount.page.figures import ChangeText, change_of
from headcount.wording import percent_text

__all__ = [
    "COLUMNS",
    "COUNTED",
    "NOTHING",
    "OTHERS",
    "PARTS",
    "USERS",
    "DayRow",
    "Figure",
    "MonthBar",
    "MonthRow",
    "Order",
    "OutcomeRow",
    "SourceRow",
    "day_rows",
    "found_in",
    "month_rows",
    "outcome_rows",
    "parse_order",
    "source_rows",
    "sums",
]

NOTHING = Totals(*[0] * len(REPORTED))
"""The counts of a source without usage."""

COUNTED = tuple(metric for metric in REPORTED if metric.headline)
"""What tables have columns of, in their order."""

USERS = BY_NAME["mtu"]
"""The metric that is shown with what it is made of."""
PARTS = USERS.plus
"""What tracked users are made of."""
OTHERS = tuple(m for m in REPORTED if m.report == USERS.name and m not in (USERS, *PARTS))
"""What else is told of them."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One count of a source.

    Attributes:
        total: so far.
        before: in the other month, as far as it is compared.
        change: against that; None without another month.
        share: of the workspace's count, in words; empty where there is none.
    """

    total: int
    before: int
    change: ChangeText | None
    share: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source in a month, with a figure for each of `COUNTED`."""

    id: str
    name: str
    enabled: bool
    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """What became of one source's messages."""

    name: str
    outcomes: Outcomes


@dataclass(frozen=True, slots=True)
class DayRow:
    """One day: for each of `COUNTED`, what came on it, and the running total at its end."""

    day: str
    counts: Sequence[tuple[int, int]]

    @property
    def weekend(self) -> bool:
        """Whether it is a Saturday or a Sunday."""
        return date.fromisoformat(self.day).isoweekday() > 5


@dataclass(frozen=True, slots=True)
class MonthBar:
    """One count of a month.

    Attributes:
        total: the count.
        permille: how long its bar is, in thousandths.
        limit: what the plan included then; None without a limit.
        over: how much more than that was used; 0 while it was not more.
        cost: of that, in words; empty where nothing is charged.
    """

    total: int
    permille: int
    limit: int | None
    over: int
    cost: str


@dataclass(frozen=True, slots=True)
class MonthRow:
    """One month, with a bar for each of `COUNTED`."""

    period: str
    bars: Sequence[MonthBar]


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


def _of_figure(place: int, key: Callable[[Figure], int]) -> Callable[[SourceRow], Any]:
    return lambda row: key(row.figures[place])


_KEYS: dict[str, Callable[[SourceRow], Any]] = {"name": lambda row: row.name.casefold()}
COLUMNS = {"name": "Source"}
for _place, _metric in enumerate(COUNTED):
    _KEYS[_metric.option] = _of_figure(_place, lambda figure: figure.total)
    _KEYS[f"{_metric.option}-change"] = _of_figure(
        _place, lambda figure: figure.change.absolute if figure.change else 0
    )
    COLUMNS[_metric.option] = _metric.label
    COLUMNS[f"{_metric.option}-change"] = f"Change in {_metric.label}"
"""The columns by which sources can be sorted, with their heads."""


def parse_order(sort: str | None, direction: str | None) -> Order:
    """The order that an address asks for; the usual one when it says nothing sensible."""
    if sort not in COLUMNS:
        return Order(COUNTED[0].option, True)
    return Order(sort, direction != "asc")


def source_rows(
    summary: SummaryBody, sources: Sequence[SourceRecord], order: Order
) -> list[SourceRow]:
    """Every source, in order; those without usage too."""
    known = {source.id: source for source in sources}
    used = {entry.source_id: entry for entry in summary.sources}
    rows = []
    for source_id in known | used:
        entry, source = used.get(source_id), known.get(source_id)
        now = entry.totals if entry else NOTHING
        before = entry.previous or NOTHING if entry else NOTHING
        change = entry.change if entry else UNSET
        rows.append(
            SourceRow(
                source_id,
                source.name if source else used[source_id].source_name,
                source.enabled if source else True,
                [_figure(metric, now, before, change, summary) for metric in COUNTED],
            )
        )
    rows.sort(key=_KEYS["name"])
    # Stable, so that equal ones stay in the order of their names.
    rows.sort(key=_KEYS[order.column], reverse=order.descending)
    return rows


def found_in(rows: Sequence[SourceRow], find: str) -> list[SourceRow]:
    """The rows whose names hold every word that is looked for, whatever their case."""
    words = find.casefold().split()
    return [row for row in rows if all(word in row.name.casefold() for word in words)]


def sums(summary: SummaryBody) -> list[Figure]:
    """The workspace's own figures, as they stand beneath its sources."""
    now = summary.month.totals
    before = summary.previous.totals if summary.previous is not UNSET else NOTHING
    figures = [_figure(metric, now, before, summary.change, summary) for metric in COUNTED]
    return [replace(figure, share="") for figure in figures]


def _figure(
    metric: Metric,
    now: Totals,
    before: Totals,
    change: TotalsChange | UnsetType,
    summary: SummaryBody,
) -> Figure:
    total: int = getattr(now, metric.name)
    earlier: int = getattr(before, metric.name)
    whole: int = getattr(summary.month.totals, metric.name)
    # What the change is of may be less than the total: only some days are compared then.
    more = 0 if change is UNSET else int(getattr(change, metric.name))
    return Figure(
        total,
        earlier,
        change_of(earlier + more, earlier) if summary.previous is not UNSET else None,
        percent_text(total, whole) if whole and metric.adds_up else "",
    )


def outcome_rows(outcomes: OutcomesBody) -> list[OutcomeRow]:
    """Sources with any message: those with the most rejected ones first, then by name."""
    listed = sorted(
        outcomes.sources,
        key=lambda each: (-each.outcomes.rejected, each.source_name.casefold()),
    )
    return [OutcomeRow(each.source_name, each.outcomes) for each in listed]


def month_rows(months: MonthsBody) -> list[MonthRow]:
    """The last months, the latest first; none where there is only one."""
    shown = months.months
    if len(shown) < 2:
        return []
    highest = {
        metric.name: max(1, *(getattr(month.totals, metric.name) for month in shown))
        for metric in COUNTED
    }
    return [
        MonthRow(
            month.period, [_month_bar(metric, month, highest[metric.name]) for metric in COUNTED]
        )
        for month in reversed(shown)
    ]


def _month_bar(metric: Metric, month: MonthRecord, highest: int) -> MonthBar:
    total: int = getattr(month.totals, metric.name)
    limit: int | None = getattr(month.plan_limits, metric.name)
    over = 0 if month.overage is UNSET else getattr(month.overage, metric.name) or 0
    costs = month.overage_cost
    cost = UNSET if costs is UNSET else getattr(costs, metric.name)
    charged = "" if cost is UNSET else money_text(Decimal(cost.amount), cost.currency)
    return MonthBar(total, 1000 * total // highest, limit, over, charged)


def day_rows(days: Sequence[str], of_scope: Columns) -> list[DayRow]:
    """Every day so far, the latest first, of a workspace or a source."""
    columns: list[list[int]] = [getattr(of_scope, metric.name) for metric in COUNTED]
    new = [[now - before for before, now in pairwise([0, *totals])] for totals in columns]
    rows = [
        DayRow(day, list(zip(came, totals, strict=True)))
        for day, came, totals in zip(
            days, zip(*new, strict=True), zip(*columns, strict=True), strict=True
        )
    ]
    return rows[::-1]
