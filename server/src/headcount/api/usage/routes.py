"""The four GETs of the usage API.

Takes a query, gives a page of daily running totals from one reading; a past period's answer may
be kept by the client and asked after again.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from headcount.api.usage.bodies import OPERATIONS, PaginationOutput, UsageOperation
from headcount.api.usage.grid import Grid
from headcount.api.usage.month import WorkspaceMonth, read_month, read_workspace_month
from headcount.api.usage.scopes import QueryScopes, source_scopes, workspace_scope
from headcount.api.wire.context import Caller, caller_of, context_of
from headcount.api.wire.contract import Contract, endpoint
from headcount.api.wire.cursors import START, CursorPosition, QueryName
from headcount.api.wire.media import JSON
from headcount.api.wire.query import (
    PAGE_COUNT,
    PAGE_CURSOR,
    PERIOD,
    PageRequest,
    pairs_of,
    parse_page_param,
    parse_period_param,
)
from headcount.counting.metrics import BY_NAME

__all__ = ["USAGE_HANDLERS"]

_COMMON = (
    " Days without traffic are included, up to today or the end of the month; rows are ordered by"
    " day, then by source id. Today's row is live; `Last-Modified` says until when received"
    " messages are counted. A past month has an `ETag`."
)
_WORDS = {
    "getDailyWorkspaceAPICallsUsage": (
        "/usage/api-calls/daily",
        "Daily API calls of the workspace",
        "The number of API calls of the workspace from the start of the month up to each day.",
    ),
    "getDailyPerSourceAPICallsUsage": (
        "/usage/api-calls/sources/daily",
        "Daily API calls of each source",
        "The number of API calls of each source from the start of the month up to each day, from"
        " the source's first day of usage on.",
    ),
    "getDailyWorkspaceMTUUsage": (
        "/usage/mtu/daily",
        "Daily tracked users of the workspace",
        "The numbers of distinct ids that the workspace saw from the start of the month up to each"
        f" day. Monthly tracked users: {BY_NAME['mtu'].words} An id seen in several sources counts"
        " once.",
    ),
    "getDailyPerSourceMTUUsage": (
        "/usage/mtu/sources/daily",
        "Daily tracked users of each source",
        "The numbers of distinct ids that each source saw from the start of the month up to each"
        " day, from the source's first day of usage on. Sources overlap: their sum is no count of"
        " the workspace.",
    ),
}


def _handler(operation: UsageOperation) -> HTTPRouteHandler:
    path, summary, words = _WORDS[operation.name]
    contract = Contract(
        name=operation.name,
        summary=summary,
        description=words + _COMMON,
        tag="Usage",
        answer=operation.body,
        query=(PERIOD, PAGE_COUNT, PAGE_CURSOR),
        errors=(404, 422),
        conditional=True,
        python=_python(operation),
    )

    @endpoint("GET", path, contract)
    def read(request: Request[Any, Any, Any]) -> Response[bytes]:
        caller = caller_of(request)
        pairs = pairs_of(request.scope["query_string"])
        period, page = parse_period_param(pairs), parse_page_param(pairs)
        month: WorkspaceMonth
        if operation.per_source:
            month = of_sources = read_month(caller, period)
            scopes = source_scopes(caller, of_sources)
        else:
            month = read_workspace_month(caller, period)
            scopes = workspace_scope(month)
        body = _body(operation, caller, month, scopes, page)
        return _answer(request, month, msgspec.json.encode(body))

    return read


def _python(operation: UsageOperation) -> str:
    """How to read all pages with the client that comes with Headcount."""
    kind = "APICallsApi" if operation.report == "api_calls" else "MonthlyTrackedUsersApi"
    scope, unit = (
        "per_source" if operation.per_source else "workspace",
        "api_calls" if operation.report == "api_calls" else "mtu",
    )
    count = "api_calls_int" if unit == "api_calls" else "mtu"
    shown = f"row.source_id, row.{count}" if operation.per_source else f"row.{count}"
    return (
        "import os\n"
        "from datetime import UTC, datetime\n"
        "\n"
        "# The client that comes with Headcount.\n"
        "import segment_public_api as usage\n"
        "\n"
        "configuration = usage.Configuration(\n"
        '    host=os.environ["API"], access_token=os.environ["TOKEN"]\n'
        ")\n"
        "with usage.ApiClient(configuration) as client:\n"
        f"    api = usage.{kind}(client)\n"
        f"    read = api.get_daily_{scope}_{unit}_usage\n"
        "    for row in usage.iter_rows(read, datetime.now(UTC).date()):\n"
        f"        print(row.day, {shown})"
    )


def _body(
    operation: UsageOperation,
    caller: Caller,
    month: WorkspaceMonth,
    scopes: QueryScopes,
    page: PageRequest,
) -> Any:
    name = QueryName(operation.name, caller.workspace.id, str(month.period))
    place = START if page.cursor is None else name.place(page.cursor)
    grid = Grid(scopes.ids, scopes.first_days, month.days)
    boundary = grid.index(place.day, _id_at(caller, place), after=place.after)
    if place.backward:
        start, end = max(0, boundary - page.count), boundary
    else:
        start, end = boundary, min(grid.total, boundary + page.count)
    rows = grid.rows(start, end)

    def cursor(row: int, *, backward: bool) -> str:
        day, scope = int(rows.days[row]), int(rows.scopes[row])
        return name.cursor(CursorPosition(backward, not backward, day, scopes.numbers[scope]))

    pagination = PaginationOutput(name.cursor(place), grid.total)
    if start < end < grid.total:
        pagination.next = cursor(-1, backward=False)
    if 0 < start < end:
        pagination.previous = cursor(0, backward=True)
    made = operation.rows(month, scopes, rows)
    return operation.body(operation.output(made, pagination))


def _id_at(caller: Caller, place: CursorPosition) -> str:
    """The id of the scope that a place names; the workspace's rows have none."""
    if place.source == 0:
        return ""
    return caller.services.directory.source_ids(caller.workspace.number, (place.source,))[0]


def _answer(request: Request[Any, Any, Any], month: WorkspaceMonth, body: bytes) -> Response[bytes]:
    """The answer, or that the client's copy is still right."""
    headers = {"Vary": "Accept, Authorization", **month.headers()}
    if not month.past:
        return Response(body, media_type=JSON, headers={**headers, "Cache-Control": "no-store"})
    # The tag is over the bytes themselves, label included: it is right whatever they came from.
    label = context_of(request).label or JSON
    tag = blake2b(label.encode() + b"\n" + body, digest_size=16).hexdigest()
    headers |= {"Cache-Control": "private, no-cache", "ETag": f'"{tag}"'}
    # If-Modified-Since stays unanswered: the date moves on while nothing changes, and two changes
    # may share its second.
    asked = request.headers.getall("if-none-match", [])
    known = {part.strip().removeprefix("W/") for value in asked for part in value.split(",")}
    if known & {"*", headers["ETag"]}:
        return Response(b"", status_code=304, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


USAGE_HANDLERS = [_handler(operation) for operation in OPERATIONS.values()]
