"""A source's month on its own page: its counts, days, make-up, outcomes, and how to connect it.

Takes a workspace, a source and a month from the address, gives the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get
from msgspec import UNSET

from headcount.api.v1.daily import Columns, DailyBody
from headcount.api.v1.forwarding import ForwardingListBody, ForwardingRecord
from headcount.api.v1.libraries import LibrariesBody, Library
from headcount.api.v1.outcomes import OutcomesBody
from headcount.api.v1.sources import SourceListBody, SourceRecord
from headcount.api.v1.summary import Totals
from headcount.api.v1.workspace import WorkspaceBody
from headcount.counting.calendar import parse_period
from headcount.counting.metrics import HEADLINES, REPORTED, Metric
from headcount.extras import install_command
from headcount.page.asking import ApiRefusal
from headcount.page.assets import LIBRARY
from headcount.page.attention import outcome_values
from headcount.page.cards import UsageCard, usage_card
from headcount.page.comparing import (
    BesideRow,
    OtherMonth,
    beside,
    other_of,
    read_summary,
    totals_on,
)
from headcount.page.connecting import snippets
from headcount.page.drawings import source_drawings
from headcount.page.listings import COUNTED, OTHERS, PARTS, USERS, day_rows
from headcount.page.one_month import DAILY, Ahead, forecasts_of_month, no_such_month, of_month
from headcount.page.visits import Viewer, visit_of

__all__ = ["SOURCE_PAGE_HANDLERS", "no_such_source", "show_source"]

_ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class _SourceAnswers:
    """What the API says about one month of one source."""

    daily: DailyBody
    outcomes: OutcomesBody
    other: OtherMonth | None
    sent_by: list[Library]
    previous: DailyBody | None
    ahead: Ahead

    @property
    def columns(self) -> Columns:
        return self.daily.sources[0].totals

    @property
    def length(self) -> int:
        return parse_period(self.daily.period).length

    def totals(self) -> Totals:
        return Totals(*[getattr(self.columns, metric.name)[-1] for metric in REPORTED])

    def beside(self) -> list[BesideRow]:
        if self.other is None or self.previous is None:
            return []
        of_other = self.previous.sources[0].totals
        return beside(
            totals_on(self.daily, self.columns, self.other.now_day),
            totals_on(self.previous, of_other, self.other.day),
        )

    def card(self, metric: Metric) -> UsageCard:
        row = next((each for each in self.beside() if each.metric is metric), None)
        return usage_card(
            metric,
            days=self.daily.days,
            totals=getattr(self.columns, metric.name),
            runs=self.daily.period == self.daily.current_period,
            forecast=self.ahead.forecasts.of(metric),
            damaged=self.ahead.damaged,
            against=self.other.held_against(row) if self.other and row else None,
            limit=None,
        )

    def last_day(self) -> str | None:
        """The last day of the month on which a message came, whatever became of it."""
        for each in reversed(self.outcomes.days):
            came = each.outcomes
            if came.accepted or came.duplicates or came.rejected:
                return each.day
        return None


async def _read(
    visit: Viewer, source: SourceRecord, period: str | None, against: str | None
) -> _SourceAnswers:
    """Everything the page shows, for a month and another as the address names them."""
    summary, named_other = await read_summary(visit, period, against)
    # The month may turn between two questions; from here on all are about the same one.
    named = ("sourceId", source.id)
    asked = [("period", summary.month.period), named]
    daily = await visit.ask(DailyBody, DAILY, query=asked)
    outcomes = await visit.ask(OutcomesBody, "/headcount/v1/outcomes", query=asked)
    sent_by: list[Library] = []
    # A link shows usage, and not how it is measured.
    if not visit.shared:
        libraries = await visit.ask(LibrariesBody, "/headcount/v1/libraries", query=asked)
        sent_by = [each for of in libraries.sources for each in of.libraries]
    previous = None
    if summary.previous is not UNSET:
        asked = [("period", summary.previous.period), named]
        previous = await visit.ask(DailyBody, DAILY, query=asked)
    other = other_of(summary, named=named_other, current=daily.current_period)
    ahead = await forecasts_of_month(visit, daily, source.id)
    return _SourceAnswers(daily, outcomes, other, sent_by, previous, ahead)


@get("/page/source")
async def source_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    asked = request.query_params
    return await show_source(
        request, visit_of(request), asked.get("source"), asked.get("period"), asked.get("against")
    )


def _way_back(visit: Viewer, month: _SourceAnswers) -> str:
    runs = month.daily.period == month.daily.current_period
    return visit.address(
        "/",
        period=None if runs else month.daily.period,
        against=month.other.period if month.other and month.other.named else None,
    )


async def show_source(
    request: Request[Any, Any, Any],
    visit: Viewer,
    wanted: str | None,
    period: str | None,
    against: str | None,
    *,
    whole: bool = True,
) -> Response[bytes]:
    """The page of a source's month.

    Args:
        request: what is asked.
        visit: who looks.
        wanted: the source's id.
        period, against: as for the workspace's page.
        whole: whether it leads to that page.
    """
    workspace = (await visit.ask(WorkspaceBody, "/headcount/v1/workspace")).workspace
    sources = (await visit.ask(SourceListBody, "/headcount/v1/sources")).sources
    source = next((each for each in sources if each.id == wanted), None)
    if source is None:
        return await no_such_source(request, visit)
    try:
        month = await _read(visit, source, period, against)
    except ApiRefusal as refusal:
        return await no_such_month(request, visit, refusal)
    assets = visit.parts.assets
    charts = None
    if assets.can_draw and any(month.columns.api_calls):
        reached = month.outcomes.quotas_reached
        charts = source_drawings(
            month.daily, month.previous, month.ahead.forecasts, month.length, reached
        )
    return await visit.parts.pages.send(
        request,
        "source",
        **visit.common(),
        **await of_month(visit, month.daily, month.other),
        beside=month.beside(),
        asset=assets.address,
        library=assets.address(LIBRARY) if charts else None,
        may_draw=assets.can_draw or visit.shared,
        charts_come_by=install_command("plot"),
        workspace=workspace,
        source=source,
        whole=_way_back(visit, month) if whole else "",
        standing=[month.card(metric) for metric in HEADLINES],
        totals=month.totals(),
        **outcome_values(month.outcomes),
        sent_by=month.sent_by,
        subject=source.name,
        forwarding=await _forwarding(visit, source),
        last_day=month.last_day(),
        days=day_rows(month.daily.days, month.columns),
        counted=COUNTED,
        users=USERS,
        parts=PARTS,
        others=OTHERS,
        charts=charts,
        ids={} if visit.shared else {source.name: source.id},
        snippets=None if visit.shared else snippets(request, source),
        may_change=_may_change(visit, workspace.token_scope, source),
    )


def _may_change(visit: Viewer, scope: str, source: SourceRecord) -> bool:
    return not visit.shared and scope == _ADMIN and source.deleted_at is UNSET


async def _forwarding(visit: Viewer, source: SourceRecord) -> ForwardingRecord | None:
    """Where it delivers on to, for those who are signed in; None where it never did."""
    if visit.shared:
        return None
    told = await visit.ask(ForwardingListBody, "/headcount/v1/forwarding")
    return next((each for each in told.forwarding if each.source_id == source.id), None)


async def no_such_source(request: Request[Any, Any, Any], visit: Viewer) -> Response[bytes]:
    """The page that is answered where a workspace has no source of an id."""
    return await visit.parts.pages.send(
        request,
        "failure",
        404,
        asset=visit.parts.assets.address,
        title="There is no such source here",
        message="This workspace has no source of that id. The first page lists all of them.",
        link_address=visit.address("/"),
        link="Show all sources",
    )


SOURCE_PAGE_HANDLERS = [source_page]
