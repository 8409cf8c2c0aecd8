"""Why a month moved, on a page: likely causes with what to do, and contributions, ranked.

Takes a month, another and perhaps a source from the address; shows what the API answers.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from headcount.api.v1.sources import SourceListBody
from headcount.api.v1.why import NOT_IN_A_CLUSTER, ExplainBody
from headcount.counting.calendar import parse_period
from headcount.counting.likely_causes import CAUSES
from headcount.counting.metrics import BY_NAME, HEADLINES
from headcount.counting.months import periods_of
from headcount.page.asking import ApiRefusal
from headcount.page.one_month import no_such_month
from headcount.page.one_source import no_such_source
from headcount.page.visits import visit_of

__all__ = ["EXPLAINED_HANDLERS"]

_ROWS = "25"
_MTU = BY_NAME["mtu"]
_RANKS = {"share": "what changed most", "surprise": "what is most surprising"}


@get("/page/explain")
async def explain_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = visit_of(request)
    asked = {
        name: value
        for name in ("period", "against", "metric", "rank")
        if (value := request.query_params.get(name))
    }
    if asked.get("period") == asked.get("against"):
        # Whoever chooses the month that stands beside it wants to see that one, beside another.
        asked.pop("against", None)
    # What no form of this page sends is left aside.
    for name, known in (("metric", [each.option for each in HEADLINES]), ("rank", _RANKS)):
        if asked.get(name) not in known:
            asked.pop(name, None)
    source_id = request.query_params.get("source")
    query = [*asked.items(), ("limit", _ROWS)]
    if source_id:
        query.append(("sourceId", source_id))
    sources = (await visit.ask(SourceListBody, "/headcount/v1/sources")).sources
    if source_id and not any(each.id == source_id for each in sources):
        return await no_such_source(request, visit)
    try:
        told = await visit.ask(ExplainBody, "/headcount/v1/explain", query=query)
    except ApiRefusal as refusal:
        if refusal.message == NOT_IN_A_CLUSTER:
            return await visit.parts.pages.send(
                request,
                "failure",
                refusal.status,
                asset=visit.parts.assets.address,
                title="Not available in a cluster",
                message=refusal.message,
                link_address=visit.address("/"),
                link="Show the current month",
            )
        return await no_such_month(request, visit, refusal)
    return await visit.parts.pages.send(
        request,
        "explain",
        **visit.common(),
        asset=visit.parts.assets.address,
        told=told,
        metric=next(each for each in HEADLINES if each.wire == told.metric),
        metrics=HEADLINES,
        source=next((each for each in sources if each.id == source_id), None),
        sources=sources,
        rank=asked.get("rank", "share"),
        ranks=_RANKS,
        months=_months(told),
        causes=len(CAUSES),
        of_users=_MTU,
    )


def _months(told: ExplainBody) -> list[str]:
    """Every month from the first usage on, the current one first, and both that are shown."""
    current = parse_period(told.current_period)
    first = parse_period(told.first_period or told.current_period)
    shown = {told.period, told.against, *map(str, periods_of(first, current))}
    return sorted(shown, reverse=True)


EXPLAINED_HANDLERS = [explain_page]
