"""The tables of the page as CSV: takes the address of what is shown, gives a file to keep.

Whatever month, source, order or search the page's own address names, the file's does in the same
words, so that it holds the rows that stand there. Charts are saved by the page's script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException

from headcount.api.v1.daily import DailyBody
from headcount.api.v1.outcomes import OutcomesBody
from headcount.api.v1.sources import SourceListBody
from headcount.api.v1.summary import SummaryBody
from headcount.page.listings import (
    COUNTED,
    day_rows,
    found_in,
    outcome_rows,
    parse_order,
    source_rows,
)
from headcount.page.one_month import DAILY
from headcount.page.visits import Visit, visit_of
from headcount.spreadsheets import csv_line

__all__ = ["TAKING_HANDLERS"]

Asked = Callable[[str], str]
"""What an address says of something, empty where it says nothing."""
Table = tuple[str, Iterable[Sequence[object]]]
"""The month that a table is of, and its lines from the heading on."""


@get("/page/csv/{table:str}")
async def csv(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = visit_of(request)
    table = _TABLES.get(request.path_params["table"])
    if table is None:
        raise NotFoundException("There is no such table.")
    period, lines = await table(visit, lambda name: request.query_params.get(name, ""))
    name = f"headcount-{period[:7]}-{request.path_params['table']}.csv"
    return Response(
        b"".join(map(csv_line, lines)),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _query(asked: Asked, *names: str) -> list[tuple[str, str]]:
    """What the API is asked, out of the page's own words."""
    words = {"period": "period", "source": "sourceId"}
    return [(words[name], asked(name)) for name in names if asked(name)]


async def _sources(visit: Visit, asked: Asked) -> Table:
    known = (await visit.ask(SourceListBody, "/headcount/v1/sources")).sources
    query = _query(asked, "period")
    summary = await visit.ask(SummaryBody, "/headcount/v1/summary", query=query)
    order = parse_order(asked("sort"), asked("order"))
    rows = found_in(source_rows(summary, known, order), asked("find"))
    heading = ["source_id", "source_name"]
    for metric in COUNTED:
        heading += [metric.name, f"{metric.name}_change"]
    lines: list[Sequence[object]] = [heading]
    for row in rows:
        line: list[object] = [row.id, row.name]
        for figure in row.figures:
            line += [figure.total, figure.change.absolute if figure.change else None]
        lines.append(line)
    return summary.month.period, lines


async def _outcomes(visit: Visit, asked: Asked) -> Table:
    query = _query(asked, "period", "source")
    body = await visit.ask(OutcomesBody, "/headcount/v1/outcomes", query=query)
    lines: list[Sequence[object]] = [
        ["source_name", "accepted", "duplicate", "rejected", "reasons"]
    ]
    for row in outcome_rows(body):
        of = row.outcomes
        reasons = ", ".join(f"{code} {count}" for code, count in of.rejected_by_reason.items())
        lines.append([row.name, of.accepted, of.duplicate, of.rejected, reasons])
    return body.period, lines


async def _days(visit: Visit, asked: Asked) -> Table:
    query = _query(asked, "period", "source")
    daily = await visit.ask(DailyBody, DAILY, query=query)
    columns = daily.sources[0].totals if daily.sources else daily.workspace
    heading = ["day"]
    for metric in COUNTED:
        heading += [f"new_{metric.name}", metric.name]
    rows = day_rows(daily.days, columns)
    return daily.period, [heading, *([row.day, *chain(*row.counts)] for row in rows)]


_TABLES = {"sources": _sources, "outcomes": _outcomes, "days": _days}
TAKING_HANDLERS = [csv]
