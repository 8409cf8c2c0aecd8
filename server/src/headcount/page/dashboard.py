"""A month's usage on one page.

Takes a workspace, a month and an order of sources from the address, gives the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

from litestar import Request, Response, get
from markupsafe import Markup
from msgspec import UNSET, UnsetType

from headcount.api.v1.all_months import MonthsBody
from headcount.api.v1.daily import DailyBody
from headcount.api.v1.outcomes import OutcomesBody
from headcount.api.v1.sources import SourceListBody, SourceRecord
from headcount.api.v1.summary import SummaryBody, Totals, TotalsChange
from headcount.api.v1.workspace import WorkspaceBody, WorkspaceRecord
from headcount.charts import SOURCES_MAX
from headcount.counting.calendar import parse_period
from headcount.counting.metrics import HEADLINES, Metric
from headcount.extras import install_command
from headcount.page.asking import ApiRefusal
from headcount.page.assets import LIBRARY
from headcount.page.attention import outcome_values
from headcount.page.cards import UsageCard, usage_card
from headcount.page.comparing import BesideRow, OtherMonth, beside, other_of, read_summary
from headcount.page.connecting import snippets
from headcount.page.drawings import Largest, drawings, largest_ids
from headcount.page.listings import (
    COLUMNS,
    COUNTED,
    OTHERS,
    PARTS,
    USERS,
    day_rows,
    found_in,
    month_rows,
    outcome_rows,
    parse_order,
    source_rows,
    sums,
)
from headcount.page.one_month import DAILY, Ahead, forecasts_of_month, no_such_month, of_month
from headcount.page.visits import Viewer, visit_of

__all__ = ["DASHBOARD_HANDLERS", "show_usage"]

_DIGITS_MAX = 6


@dataclass(frozen=True, slots=True)
class _MonthAnswers:
    """What the API says about one month."""

    workspace: WorkspaceRecord
    sources: list[SourceRecord]
    summary: SummaryBody
    outcomes: OutcomesBody
    daily: DailyBody
    other: OtherMonth | None
    previous: DailyBody | None
    months: MonthsBody
    ahead: Ahead
    first: int
    largest: Largest

    @property
    def runs(self) -> bool:
        return self.daily.period == self.daily.current_period

    @property
    def length(self) -> int:
        return parse_period(self.daily.period).length

    def standing(self) -> list[UsageCard]:
        return [self._card(metric) for metric in HEADLINES]

    def beside(self) -> list[BesideRow]:
        summary = self.summary
        now = summary.month if summary.compared is UNSET else summary.compared
        return beside(now.totals, None if summary.previous is UNSET else summary.previous.totals)

    def charts(self, used: int) -> Markup:
        """All charts, where so many sources have usage."""
        return drawings(
            self.daily,
            self.previous,
            self.summary.plan_limits,
            self.ahead.forecasts,
            self.length,
            self.largest,
            used,
            self.first,
        )

    def _card(self, metric: Metric) -> UsageCard:
        row = next((each for each in self.beside() if each.metric is metric), None)

        def count(totals: Totals | TotalsChange | UnsetType) -> int:
            return 0 if totals is UNSET else int(getattr(totals, metric.name))

        return usage_card(
            metric,
            days=self.daily.days,
            totals=getattr(self.daily.workspace, metric.name),
            runs=self.runs,
            forecast=self.ahead.forecasts.of(metric),
            damaged=self.ahead.damaged,
            against=self.other.held_against(row) if self.other and row else None,
            sources=[
                (each.source_name, count(each.totals), count(each.change))
                for each in self.summary.sources
            ],
            limit=getattr(self.summary.plan_limits, metric.name),
            cost=_told(self.summary.overage_cost, metric),
            cost_ahead=_told(self.summary.estimated_overage_cost, metric),
        )


def _told(costs: Any, metric: Metric) -> Any:
    """What is said of a metric; None where nothing is."""
    found = UNSET if costs is UNSET else getattr(costs, metric.name)
    return None if found is UNSET else found


async def _read(
    visit: Viewer, period: str | None, against: str | None, first: int
) -> _MonthAnswers:
    """Everything the page shows, for a month as the address names it.

    Args:
        visit: whose it is.
        period: the month; the one that runs when None.
        against: the month that it is held against; the one before when None.
        first: the place of the first source that charts name.
    """
    workspace = (await visit.ask(WorkspaceBody, "/headcount/v1/workspace")).workspace
    sources = (await visit.ask(SourceListBody, "/headcount/v1/sources")).sources
    summary, named_other = await read_summary(visit, period, against)
    # The month may turn between two questions; from here on all are about the same one.
    asked = [("period", summary.month.period)]
    outcomes = await visit.ask(OutcomesBody, "/headcount/v1/outcomes", query=asked)
    known = {source.id for source in sources}
    named = [s for s in summary.sources if s.source_id in known]
    if first > sum(1 for each in named if each.totals.api_calls):
        first = 1
    largest = largest_ids(named, first)
    shown = [("sourceId", each) for each in set(chain.from_iterable(largest.values()))]
    daily = await visit.ask(DailyBody, DAILY, query=[*asked, *shown])
    previous = None
    if summary.previous is not UNSET:
        previous = await visit.ask(DailyBody, DAILY, query=[("period", summary.previous.period)])
    other = other_of(summary, named=named_other, current=daily.current_period)
    months = await visit.ask(MonthsBody, "/headcount/v1/months")
    ahead = await forecasts_of_month(visit, daily)
    return _MonthAnswers(
        workspace,
        sources,
        summary,
        outcomes,
        daily,
        other,
        previous,
        months,
        ahead,
        first,
        largest,
    )


@get("/")
async def dashboard(request: Request[Any, Any, Any]) -> Response[bytes]:
    asked = request.query_params
    return await show_usage(request, visit_of(request), asked.get("period"), asked.get("against"))


async def show_usage(
    request: Request[Any, Any, Any],
    visit: Viewer,
    period: str | None,
    against: str | None,
    *,
    with_sources: bool = True,
) -> Response[bytes]:
    """The page of a workspace's month.

    Args:
        request: what is asked; its query says how the sources are sorted, and which are looked for.
        visit: who looks.
        period: the month, as an address names it; the one that runs when None.
        against: the month that it is held against; the one before when None.
        with_sources: whether names of sources lead to their pages.
    """
    asked = request.query_params
    try:
        month = await _read(visit, period, against, _place_in(asked.get("from")))
    except ApiRefusal as refusal:
        return await no_such_month(request, visit, refusal)
    order = parse_order(asked.get("sort"), asked.get("order"))
    rows, find = source_rows(month.summary, month.sources, order), asked.get("find", "").strip()
    daily, parts, totals = month.daily, visit.parts, month.summary.month.totals
    used = sum(1 for each in month.summary.sources if each.totals.api_calls)
    charts = month.charts(used) if parts.assets.can_draw and used else None
    ever = daily.first_period is not UNSET or month.outcomes.totals.rejected
    first_source = next((source for source in month.sources if source.enabled), None)
    connecting = first_source and not ever and not visit.shared
    return await parts.pages.send(
        request,
        "dashboard",
        **visit.common(),
        asset=parts.assets.address,
        library=parts.assets.address(LIBRARY) if charts else None,
        may_draw=parts.assets.can_draw or visit.shared,
        charts_come_by=install_command("plot"),
        workspace=month.workspace,
        sources=month.sources,
        **await of_month(visit, daily, month.other),
        ids={source.name: source.id for source in month.sources} if with_sources else {},
        beside=month.beside(),
        standing=month.standing(),
        totals=totals,
        rows=found_in(rows, find),
        listed=len(rows),
        find=find,
        first=month.first,
        at_once=SOURCES_MAX,
        sums=sums(month.summary),
        columns=COLUMNS,
        order=order,
        used=used,
        **outcome_values(month.outcomes),
        subject="",
        outcome_rows=outcome_rows(month.outcomes),
        days=day_rows(daily.days, daily.workspace),
        months=[] if visit.shared else month_rows(month.months),
        counted=COUNTED,
        users=USERS,
        parts=PARTS,
        others=OTHERS,
        charts=charts,
        ever=ever,
        snippets=snippets(request, first_source) if first_source and connecting else None,
        first_source=first_source,
    )


def _place_in(text: str | None) -> int:
    """The place of a source by its size, as an address names it; the first when it names none."""
    known = text is not None and text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    return max(1, int(text or 1)) if known else 1


DASHBOARD_HANDLERS = [dashboard]
