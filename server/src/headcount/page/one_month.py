"""What the pages of a month share: which months there are, how fresh one is, and none of that name.

An open page asks every second, in one small answer, until when messages are counted and whether any
count, or what hinders the server, has changed; only then it asks for the page again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from litestar import Request, Response, get

from headcount.api.v1.daily import DailyBody
from headcount.api.v1.month_end import ForecastBody, Forecasts
from headcount.counting.calendar import parse_period
from headcount.counting.months import periods_of
from headcount.page.asking import ApiRefusal
from headcount.page.comparing import OtherMonth, other_months
from headcount.page.visits import Viewer, visit_of

__all__ = [
    "DAILY",
    "MONTH_HANDLERS",
    "Ahead",
    "forecasts_of_month",
    "freshness_of",
    "no_such_month",
    "of_month",
    "periods_with_usage",
]

DAILY = "/headcount/v1/daily"
_BEHIND_AFTER_S = 10


async def of_month(visit: Viewer, daily: DailyBody, other: OtherMonth | None) -> dict[str, Any]:
    """What the page of a month shows of it, whatever else it shows.

    Args:
        visit: who looks.
        daily: the month.
        other: the month that it is held against.
    """
    hindrances = [] if visit.shared else await visit.parts.api.hindrances()
    periods = periods_with_usage(daily)
    return {
        "period": daily.period,
        "periods": periods,
        "other": other,
        "choices": other_months(daily, periods),
        # What the address of a page says of the other month, where it says anything.
        "against": other.period if other is not None and other.named else None,
        "runs": daily.period == daily.current_period,
        "version": _version(daily, hindrances),
        "hindrances": hindrances,
        "freshness": _freshness(daily, visit.parts.clock()),
    }


class Ahead(NamedTuple):
    """Where a month will end.

    Attributes:
        forecasts: of its headline metrics.
        damaged: first days of months that could not be learned from.
    """

    forecasts: Forecasts
    damaged: Sequence[str] = ()


async def forecasts_of_month(
    visit: Viewer, daily: DailyBody, source_id: str | None = None
) -> Ahead:
    """Forecasts of a month's headline metrics: none of one that is over.

    Args:
        visit: whose it is.
        daily: the month.
        source_id: of which source; None for the workspace.
    """
    asked = [] if source_id is None else [("sourceId", source_id)]
    if daily.period == daily.current_period:
        body = await visit.ask(ForecastBody, "/headcount/v1/forecast", query=asked)
        # The month may have turned since the other answers.
        if body.period == daily.period:
            return Ahead(body.forecasts, body.damaged)
    return Ahead(Forecasts())


async def no_such_month(
    request: Request[Any, Any, Any], visit: Viewer, refusal: ApiRefusal
) -> Response[bytes]:
    """The page that is answered where the API knows no such month.

    Raises:
        ApiRefusal: the one given, where it says something else.
    """
    if refusal.status not in (404, 422):
        raise refusal
    return await visit.parts.pages.send(
        request,
        "failure",
        refusal.status,
        asset=visit.parts.assets.address,
        title="There is no such month here",
        message=refusal.message,
        link_address=visit.address("/"),
        link="Show the current month",
    )


@get("/page/fresh")
async def fresh(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = visit_of(request)
    period = request.query_params.get("period")
    daily = await visit.ask(DailyBody, DAILY, query=[("period", period)] if period else [])
    hindrances = await visit.parts.api.hindrances()
    return freshness_of(daily, visit.parts.clock(), hindrances)


def freshness_of(daily: DailyBody, now_ms: int, hindrances: list[str]) -> Response[bytes]:
    """What an open page asks every second.

    Args:
        daily: the month that it shows.
        now_ms: milliseconds since 1970.
        hindrances: what the page tells of what hinders the server.
    """
    body = {
        **_freshness(daily, now_ms),
        "version": _version(daily, hindrances),
        "period": daily.period,
    }
    return Response(msgspec.json.encode(body), media_type="application/json")


def _freshness(daily: DailyBody, now_ms: int) -> dict[str, str]:
    until = datetime.fromisoformat(daily.counted_until)
    behind_s = now_ms // 1000 - int(until.timestamp())
    lag = ""
    if behind_s >= 120:
        lag = f"{behind_s // 60:,} min behind"
    elif behind_s >= _BEHIND_AFTER_S:
        lag = f"{behind_s} s behind"
    return {"until": daily.counted_until, "text": f"{until:%H:%M:%S}", "lag": lag}


def _version(daily: DailyBody, hindrances: list[str]) -> str:
    """Changes with any count of the workspace, and so of its sources, and with what hinders."""
    shown = msgspec.json.encode((daily.days, daily.rejected, daily.workspace, hindrances))
    return blake2b(shown, digest_size=9).hexdigest()


def periods_with_usage(daily: DailyBody) -> list[str]:
    """Every month from the first usage on, the current one first."""
    first = daily.first_period or daily.current_period
    return list(map(str, periods_of(parse_period(first), parse_period(daily.current_period))))


MONTH_HANDLERS = [fresh]
