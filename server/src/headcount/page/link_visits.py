"""Looking at a view by a link, without a token: what it shows, and nothing else.

Takes the secret in an address, gives the pages of its view. A visit asks the API for nothing but
usage, never changes anything, and its addresses lead nowhere outside of its view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from litestar import Request, Response, get

from headcount.api.opened_links import VIEWS, LinkOver, OpenedLink
from headcount.api.v1.daily import DailyBody
from headcount.counting.calendar import Period, parse_period
from headcount.page.asking import Query
from headcount.page.dashboard import show_usage
from headcount.page.one_month import DAILY, freshness_of
from headcount.page.one_source import show_source
from headcount.page.taking_along import take_table
from headcount.page.visits import Parts, parts_of

__all__ = ["LINK_VISIT_HANDLERS", "LinkVisit"]

# What an address may say besides what the link itself fixes.
_KEPT = ("sort", "order", "find", "from")
_OF_SOURCE = ("days", "outcomes", "beside")
_ASKED = frozenset(
    f"/headcount/v1/{name}"
    for name in ("workspace", "sources", "summary", "outcomes", "daily", "months", "forecast")
)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class LinkVisit:
    """A request of somebody who has a link.

    Attributes:
        parts: what the handlers work with.
        opened: the link.
    """

    parts: Parts
    opened: OpenedLink

    @property
    def shared(self) -> bool:
        """As for `Viewer`."""
        return True

    async def ask(self, shape: type[Answer], path: str, *, query: Query = ()) -> Answer:
        """Ask the API for usage; see `Api.ask`."""
        assert path in _ASKED, "a link shows the figures of the page"
        return await self.parts.api.ask(self.opened, shape, path, query=query)

    def address(self, path: str, **query: str | None) -> str:
        """An address within the view."""
        home, kept = f"{VIEWS}{self.opened.secret}", list(_KEPT)
        if path == "/page/source":
            home += "/source"
            kept.append("source")
        elif path.startswith("/page/"):
            home += path.removeprefix("/page")
            kept.append("source")
        named = {name: value for name, value in query.items() if name in kept and value}
        return f"{home}?{urlencode(named)}" if named else home

    def common(self) -> dict[str, Any]:
        """What every page of the view shows."""
        return {
            "frame": "shared.html",
            "shared": True,
            "workspace_id": "",
            "workspace_name": self.opened.workspace_name,
            "address": self.address,
        }

    async def months(self) -> tuple[str, str | None]:
        """The month that the link shows now, and the one that it is held against.

        Returns:
            None for the second where that is the month before, or where there is none so early.
        """
        period = None if self.opened.link.period is None else Period(self.opened.link.period)
        daily = await self.ask(DailyBody, DAILY, query=[("period", str(period))] if period else [])
        period = parse_period(daily.period)
        against = period.shifted(-self.opened.link.against)
        first = parse_period(daily.first_period or daily.current_period)
        is_there = self.opened.link.against != 1 and against >= first
        return str(period), str(against) if is_there else None


def _visit(request: Request[Any, Any, Any]) -> LinkVisit:
    parts = parts_of(request)
    return LinkVisit(parts, parts.links.open(str(request.path_params["secret"])))


@get("/page/view/{secret:str}")
async def view(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = _visit(request)
    months = await visit.months()
    if visit.opened.link.view == "source":
        return await show_source(request, visit, visit.opened.source_id, *months, whole=False)
    return await show_usage(request, visit, *months, with_sources=visit.opened.link.view == "all")


@get("/page/view/{secret:str}/source")
async def source(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = _visit(request)
    if visit.opened.link.view != "all":
        raise LinkOver
    wanted = request.query_params.get("source")
    return await show_source(request, visit, wanted, *await visit.months())


@get("/page/view/{secret:str}/csv/{table:str}")
async def csv(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit, table = _visit(request), str(request.path_params["table"])
    asked = {name: request.query_params.get(name, "") for name in (*_KEPT, "source")}
    if visit.opened.link.view == "source":
        if table not in _OF_SOURCE:
            raise LinkOver
        asked["source"] = visit.opened.source_id or ""
    elif visit.opened.link.view == "workspace":
        asked["source"] = ""
    asked["period"], against = await visit.months()
    return await take_table(visit, table, asked | {"against": against or ""})


@get("/page/view/{secret:str}/fresh")
async def fresh(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = _visit(request)
    period, _ = await visit.months()
    daily = await visit.ask(DailyBody, DAILY, query=[("period", period)])
    return freshness_of(daily, visit.parts.clock(), [])


LINK_VISIT_HANDLERS = [view, source, csv, fresh]
