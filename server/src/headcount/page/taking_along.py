"""The tables of the page as CSV: takes the address of what is shown, gives a file to keep.

Whatever months, source, order or search the page's own address names, the file's does in the same
words, so that it holds the rows that stand there. Charts are saved by the page's script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from msgspec import UNSET

from headcount.api.v1.daily import Columns, DailyBody
from headcount.api.v1.outcomes import OutcomesBody
from headcount.api.v1.sources import SourceListBody
from headcount.api.v1.summary import MonthTotals, Totals
from headcount.page.comparing import beside, read_summary, totals_on
from headcount.page.listings import (
    COUNTED,
    day_rows,
    found_in,
    outcome_rows,
    parse_order,
    source_rows,
)
from headcount.page.one_month import DAILY
from headcount.page.visits import Viewer, visit_of
from headcount.spreadsheets import csv_line

__all__ = ["TAKING_HANDLERS", "take_table"]

Asked = Callable[[str], str]
"""What an address says of something, empty where it says nothing."""
Table = tuple[str, Iterable[Sequence[object]]]
"""The months that a table is of, as files name them, and its lines from the heading on."""


@get("/page/csv/{table:str}")
async def csv(request: Request[Any, Any, Any]) -> Response[bytes]:
    return await take_table(visit_of(request), request.path_params["table"], request.query_params)


async def take_table(visit: Viewer, name: str, asked: Mapping[str, str]) -> Response[bytes]:
    """A table as a file.

    Args:
        visit: who takes it.
        name: which one.
        asked: what the page's address says.

    Raises:
        NotFoundException: there is no such table.
        ApiRefusal: there is no such month, or no such source.
    """
    table = _TABLES.get(name)
    if table is None:
        raise NotFoundException("There is no such table.")
    months, lines = await table(visit, lambda word: asked.get(word, ""))
    return Response(
        b"".join(map(csv_line, lines)),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="headcount-{months}-{name}.csv"'},
    )


def _months(period: str, other: str | None) -> str:
    return f"{period[:7]}-beside-{other[:7]}" if other else period[:7]


def _query(asked: Asked, *names: str) -> list[tuple[str, str]]:
    """What the API is asked, out of the page's own words."""
    words = {"period": "period", "source": "sourceId"}
    return [(words[name], asked(name)) for name in names if asked(name)]


async def _sources(visit: Viewer, asked: Asked) -> Table:
    known = (await visit.ask(SourceListBody, "/headcount/v1/sources")).sources
    summary, named = await read_summary(visit, asked("period"), asked("against"))
    other = summary.previous.period if named and summary.previous is not UNSET else None
    order = parse_order(asked("sort"), asked("order"))
    rows = found_in(source_rows(summary, known, order), asked("find"))
    heading = ["source_id", "source_name"]
    for metric in COUNTED:
        earlier = [f"{metric.name}_{_column(other)}"] if other else []
        heading += [metric.name, *earlier, f"{metric.name}_change"]
    lines: list[Sequence[object]] = [heading]
    for row in rows:
        line: list[object] = [row.id, row.name]
        for figure in row.figures:
            before = [figure.before] if other else []
            line += [figure.total, *before, figure.change.absolute if figure.change else None]
        lines.append(line)
    return _months(summary.month.period, other), lines


def _column(period: str) -> str:
    """A month in the name of a column."""
    return period[:7].replace("-", "_")


async def _beside(visit: Viewer, asked: Asked) -> Table:
    summary, _ = await read_summary(visit, asked("period"), asked("against"))
    if summary.previous is UNSET:
        raise NotFoundException("There is no other month to compare with.")
    before = summary.previous
    now = summary.month if summary.compared is UNSET else summary.compared
    totals = now.totals, before.totals
    if source := asked("source"):
        totals = (
            await _of_source(visit, source, now),
            await _of_source(visit, source, before),
        )
    lines: list[Sequence[object]] = [
        ["metric", "month", "up_to", "count", "other_month", "other_up_to", "other_count",
         "difference"]
    ]  # fmt: skip
    for row in beside(*totals):
        of_now, of_before = (now.period[:7], now.day), (before.period[:7], before.day)
        difference = row.change.absolute
        lines.append([row.metric.name, *of_now, row.now, *of_before, row.before, difference])
    return _months(summary.month.period, before.period), lines


async def _of_source(visit: Viewer, source: str, month: MonthTotals) -> Totals:
    query = [("period", month.period), ("sourceId", source)]
    daily = await visit.ask(DailyBody, DAILY, query=query)
    return totals_on(daily, daily.sources[0].totals, month.day)


async def _outcomes(visit: Viewer, asked: Asked) -> Table:
    query = _query(asked, "period", "source")
    body = await visit.ask(OutcomesBody, "/headcount/v1/outcomes", query=query)
    lines: list[Sequence[object]] = [
        ["source_name", "accepted", "duplicate", "rejected", "reasons"]
    ]
    for row in outcome_rows(body):
        of = row.outcomes
        reasons = ", ".join(f"{code} {count}" for code, count in of.rejected_by_reason.items())
        lines.append([row.name, of.accepted, of.duplicates, of.rejected, reasons])
    return body.period, lines


async def _days(visit: Viewer, asked: Asked) -> Table:
    daily, columns = await _columns(visit, asked, "period")
    heading = ["day"]
    for metric in COUNTED:
        heading += [f"new_{metric.name}", metric.name]
    lines = [[row.day, *chain(*row.counts)] for row in day_rows(daily.days, columns)]
    against = asked("against")
    other, of_other = await _columns(visit, asked, "against") if against else (daily, columns)
    if other.period == daily.period:
        return daily.period[:7], [heading, *lines]
    # The same day of both months stands in one line; the shorter one has none at its end.
    heading += ["other_day"]
    for metric in COUNTED:
        heading += [f"new_{metric.name}_{_column(other.period)}"]
        heading += [f"{metric.name}_{_column(other.period)}"]
    beside_it = [[row.day, *chain(*row.counts)] for row in day_rows(other.days, of_other)]
    empty: list[object] = [None] * (1 + 2 * len(COUNTED))
    pairs = zip_longest(reversed(lines), reversed(beside_it), fillvalue=empty)
    joined = [[*line, *other_line] for line, other_line in pairs]
    return _months(daily.period, other.period), [heading, *reversed(joined)]


async def _columns(visit: Viewer, asked: Asked, month: str) -> tuple[DailyBody, Columns]:
    """A month that the address names, and its columns of what it is about."""
    query = [("period", asked(month))] if asked(month) else []
    query += _query(asked, "source")
    daily = await visit.ask(DailyBody, DAILY, query=query)
    return daily, daily.sources[0].totals if daily.sources else daily.workspace


_TABLES = {"sources": _sources, "outcomes": _outcomes, "days": _days, "beside": _beside}
TAKING_HANDLERS = [csv]
