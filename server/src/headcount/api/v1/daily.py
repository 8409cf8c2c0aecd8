"""A month day by day: running totals of the workspace and of the sources that are asked for.

Takes one reading, gives columns rather than rows: what a chart needs, in one small answer. The
same numbers as the usage API's rows, which are for reading everything.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.month import MonthView, read_month
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, QueryParameter, answer, endpoint
from headcount.api.wire.problems import Problem, invalid
from headcount.api.wire.query import OPTIONAL_PERIOD, pairs_of, parse_period_param
from headcount.catalog import Source
from headcount.counting.by_metric import by_metric
from headcount.counting.calendar import moment_text
from headcount.counting.metrics import BY_NAME, REPORTED
from headcount.counting.usage import Counts, all_of

__all__ = [
    "DAILY_HANDLERS",
    "Columns",
    "SourceColumns",
    "columns_of",
    "counts_of_source",
    "source_named",
]

_SOURCES_MAX = 50
_SOURCE_IDS = QueryParameter(
    "sourceId",
    f"A source whose totals are wanted too; may be given up to {_SOURCES_MAX} times.",
    {"type": "array", "items": {"type": "string"}, "maxItems": _SOURCES_MAX},
    example="$SOURCE_ID",
)
_SHOWN = (*REPORTED, BY_NAME["duplicate"])


class Columns(by_metric(_SHOWN, list[int], "One running total for each day.")):  # type: ignore[misc]
    """Running totals of one scope, one entry for each day of `days`."""


class SourceColumns(msgspec.Struct, rename="camel"):
    """Running totals of one source."""

    source_id: str
    source_name: str
    totals: Columns


class DailyBody(msgspec.Struct, rename="camel"):
    """A month day by day."""

    period: Annotated[str, Meta(description="First day of the month, YYYY-MM-DD.")]
    current_period: Annotated[str, Meta(description="First day of the month that runs.")]
    counted_until: Annotated[str, Meta(description="Messages received until then are in here.")]
    days: Annotated[list[str], Meta(description="Every day of the month up to today.")]
    rejected: Annotated[int, Meta(description="Messages refused in the month.", ge=0)]
    workspace: Columns
    sources: Annotated[list[SourceColumns], Meta(description="In the order asked for.")]
    first_period: (
        Annotated[str, Meta(description="Month of the workspace's first usage; absent without.")]
        | UnsetType
    ) = UNSET


class DailyAnswer(msgspec.Struct):
    """A month day by day."""

    data: DailyBody


@endpoint(
    "GET",
    "/headcount/v1/daily",
    Contract(
        name="getDaily",
        summary="A month day by day",
        description="Running totals of a month as columns, one entry for each day up to today: of"
        " the workspace, and of the sources that are named. All from one moment.",
        tag="Reports",
        answer=DailyAnswer,
        query=(OPTIONAL_PERIOD, _SOURCE_IDS),
        errors=(404, 422),
    ),
)
def read_daily(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    pairs = pairs_of(request.scope["query_string"])
    period = parse_period_param(pairs, required=False)
    wanted = list(dict.fromkeys(value for name, value in pairs if name == "sourceId"))
    if len(wanted) > _SOURCES_MAX:
        raise invalid("sourceId", f"may be given at most {_SOURCES_MAX} times.")
    month = read_month(caller, period)
    current = month.period if not month.past else read_month(caller, None).period
    body = DailyBody(
        str(month.period),
        str(current),
        moment_text(month.reading.counted_until_ms),
        month.day_names(),
        sum(rejection.messages for rejection in month.reading.rejected),
        columns_of(month.reading.workspace, month.days),
        [_source(caller, month, source_id) for source_id in wanted],
    )
    if month.reading.first_period is not None:
        body.first_period = str(month.reading.first_period)
    return answer(DailyAnswer(body), month.headers())


def _source(caller: Caller, month: MonthView, source_id: str) -> SourceColumns:
    source = source_named(caller, source_id)
    counts = counts_of_source(month, source)
    return SourceColumns(source.id, source.name, columns_of(counts, month.days))


def source_named(caller: Caller, source_id: str) -> Source:
    """The source of the caller's workspace that a query names.

    Raises:
        Problem: 404 where there is none.
    """
    known = caller.services.directory.sources(caller.workspace.number).values()
    source = next((each for each in known if each.id == source_id), None)
    if source is None:
        raise Problem(404, "This workspace has no source of that id.", field="sourceId")
    return source


def counts_of_source(month: MonthView, source: Source) -> Counts:
    """What was new of a source on each day of a month, zeros where it had no usage."""
    place = np.flatnonzero(month.reading.source_numbers == source.number)
    counts: Counts = month.reading.sources[place].sum(axis=0)
    return counts


def columns_of(new: Counts, days: int) -> Columns:
    """Columns out of what was new on each day."""
    return Columns(*all_of(_SHOWN, new[:days]).cumsum(axis=0).T.tolist())


DAILY_HANDLERS = [read_daily]
