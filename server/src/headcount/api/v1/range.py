"""Months after months, day by day: what a program needs that takes usage along.

Takes the first and the last month, gives whole columns of the workspace or of its sources, many in
one answer; what is left is asked for from where the answer says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.month import MonthView, read_month
from headcount.api.usage.scopes import source_scopes
from headcount.api.v1.daily import Columns, SourceColumns, columns_of
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, QueryParameter, answer, endpoint
from headcount.api.wire.problems import invalid
from headcount.api.wire.query import (
    PERIOD_TEXT,
    Pairs,
    pairs_of,
    parse_period_param,
    parse_value_param,
)
from headcount.counting.calendar import Period, moment_text
from headcount.openapi import THIS_MONTH

__all__ = ["RANGE_HANDLERS"]

_SCOPES_MAX = 1_000
"""How many columns of a month an answer holds, about: a thousand are some megabytes."""

_FROM = QueryParameter(
    "from",
    "The first month: any of its days will do.",
    PERIOD_TEXT,
    required=True,
    example=THIS_MONTH,
)
_TO = QueryParameter("to", "The last month. Without it, the current one.", PERIOD_TEXT)
_BY = QueryParameter(
    "by",
    "Whose totals are wanted.",
    {"type": "string", "enum": ["workspace", "source"]},
    example="source",
)
_AFTER = QueryParameter(
    "afterSource",
    "Leave out the sources of the first month up to this id: `next.afterSource` of an answer.",
    {"type": "string"},
)


class MonthColumns(msgspec.Struct, rename="camel"):
    """A month: of the workspace, or of its sources, in the order of their ids."""

    period: Annotated[str, Meta(description="First day of the month, YYYY-MM-DD.")]
    days: Annotated[list[str], Meta(description="Every day of the month up to today.")]
    counted_until: Annotated[str, Meta(description="Messages received until then are in here.")]
    workspace: Columns | UnsetType = UNSET
    sources: (
        Annotated[list[SourceColumns], Meta(description="Those with any API call.")] | UnsetType
    ) = UNSET


class Next(msgspec.Struct, rename="camel"):
    """Where an answer goes on: what to ask with in the place of what was asked with."""

    from_: Annotated[str, Meta(description="First day of a month.")] = msgspec.field(name="from")
    after_source: str | UnsetType = UNSET


class RangeBody(msgspec.Struct, rename="camel"):
    """Months in their order, each of one moment."""

    months: Annotated[
        list[MonthColumns],
        Meta(description="From the workspace's first usage on, and up to the current month."),
    ]
    next: Annotated[Next, Meta(description="Absent when nothing is left.")] | UnsetType = UNSET


class RangeAnswer(msgspec.Struct):
    """Months in their order."""

    data: RangeBody


@endpoint(
    "GET",
    "/headcount/v1/range",
    Contract(
        name="getRange",
        summary="Many months day by day",
        description="Running totals of a range of months as columns, one entry for each day of each"
        " month: of the workspace, or with `by=source` of every source. One answer holds about"
        f" {_SCOPES_MAX:,} columns; where there are more, `next` says how to go on.",
        tag="Reports",
        answer=RangeAnswer,
        query=(_FROM, _TO, _BY, _AFTER),
        errors=(422,),
    ),
)
def read_range(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    pairs = pairs_of(request.scope["query_string"])
    first, last = parse_period_param(pairs, "from"), parse_period_param(pairs, "to", required=False)
    assert first is not None
    by_source = _asks_by_source(pairs)
    after = parse_value_param(pairs, "afterSource") or ""
    body = RangeBody([])
    read = 0
    for month in _months(caller, first, last):
        if read >= _SCOPES_MAX:
            body.next = Next(str(month.period))
            break
        # Whatever is asked for, the month was read with all of its sources.
        read += 1 + len(month.reading.source_numbers)
        made = MonthColumns(
            str(month.period), month.day_names(), moment_text(month.reading.counted_until_ms)
        )
        if by_source:
            made.sources = _sources(caller, month, after if month.period == first else "")
            if len(made.sources) > _SCOPES_MAX:
                del made.sources[_SCOPES_MAX:]
                body.next = Next(str(month.period), made.sources[-1].source_id)
        else:
            made.workspace = columns_of(month.reading.workspace, month.days)
        body.months.append(made)
        if body.next:
            break
    return answer(RangeAnswer(body))


def _asks_by_source(pairs: Pairs) -> bool:
    by = parse_value_param(pairs, "by") or "workspace"
    if by not in ("workspace", "source"):
        raise invalid("by", "must be workspace or source.")
    return by == "source"


def _months(caller: Caller, first: Period, last: Period | None) -> Iterator[MonthView]:
    """The months of a range that there are, each read when it is asked for."""
    current = read_month(caller, None)
    if current.reading.first_period is None:
        return
    period, end = (
        max(first, current.reading.first_period),
        min(last or current.period, current.period),
    )
    while period <= end:
        yield current if period == current.period else read_month(caller, period)
        period = period.shifted(1)


def _sources(caller: Caller, month: MonthView, after: str) -> list[SourceColumns]:
    """The sources with any API call behind an id, in the order of their ids; one more than fit."""
    scopes = source_scopes(caller, month)
    known = caller.services.directory.sources(caller.workspace.number)
    found: list[SourceColumns] = []
    for at in range(bisect_right(scopes.ids, after), len(scopes.ids)):
        if scopes.first_days[at] < month.days:
            # One that the catalog no longer knows goes by its number.
            source = known.get(scopes.numbers[at])
            name = scopes.ids[at] if source is None else source.name
            columns = columns_of(scopes.counts[scopes.places[at]], month.days)
            found.append(SourceColumns(scopes.ids[at], name, columns))
            if len(found) > _SCOPES_MAX:
                break
    return found


RANGE_HANDLERS = [read_range]
