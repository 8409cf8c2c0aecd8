"""Which libraries sent the messages of a month: takes one reading, gives names by source.

Every admitted message that came live is in here once, duplicates too; what was imported is not.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import Meta

from headcount.api.usage.month import http_date, read_workspace_month
from headcount.api.wire.context import caller_of
from headcount.api.wire.contract import Contract, QueryParameter, answer, endpoint
from headcount.api.wire.problems import Problem
from headcount.api.wire.query import (
    OPTIONAL_PERIOD,
    pairs_of,
    parse_period_param,
    parse_value_param,
)
from headcount.counting.calendar import moment_text

__all__ = ["LIBRARY_HANDLERS", "LibrariesBody", "Library"]


class Library(msgspec.Struct, gc=False):
    """A library, and how many messages came through it."""

    name: Annotated[
        str,
        Meta(description="From a message's `context.library.name`, else from the User-Agent."),
    ]
    messages: Annotated[int, Meta(description="Accepted and duplicate ones.", ge=0)]


class SourceLibraries(msgspec.Struct, rename="camel", gc=False):
    """The libraries of one source."""

    source_id: str
    source_name: str
    libraries: Annotated[list[Library], Meta(description="The one with the most messages first.")]


class LibrariesBody(msgspec.Struct, rename="camel"):
    """The libraries of a month."""

    period: Annotated[str, Meta(description="First day of the month, YYYY-MM-DD.")]
    counted_until: Annotated[str, Meta(description="Messages received until then are in here.")]
    sources: Annotated[list[SourceLibraries], Meta(description="Sources with any, by id.")]


class LibrariesAnswer(msgspec.Struct):
    """The libraries of a month."""

    data: LibrariesBody


_SOURCE_ID = QueryParameter(
    "sourceId", "Only this source.", {"type": "string"}, example="$SOURCE_ID"
)


@endpoint(
    "GET",
    "/headcount/v1/libraries",
    Contract(
        name="getLibraries",
        summary="Libraries by source",
        description="Which tracking libraries sent the messages of a month, by source: those that"
        " were taken live, accepted or duplicate. Of a source fifty names are told apart in a"
        ' month; the rest is "other".',
        tag="Reports",
        answer=LibrariesAnswer,
        query=(OPTIONAL_PERIOD, _SOURCE_ID),
        errors=(404, 422),
    ),
)
def read_libraries(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    pairs = pairs_of(request.scope["query_string"])
    period = parse_period_param(pairs, required=False)
    wanted = parse_value_param(pairs, "sourceId")
    services, workspace = caller.services, caller.workspace.number
    period = read_workspace_month(caller, period).period
    reading = services.store.read_usage(workspace, period, libraries=True)
    counted_until_ms, uses = reading.counted_until_ms, reading.libraries
    numbers = sorted({use.source for use in uses})
    ids = dict(zip(numbers, services.directory.source_ids(workspace, numbers), strict=True))
    names = {each.id: each.name for each in services.directory.sources(workspace).values()}
    if wanted is not None and wanted not in names and wanted not in ids.values():
        raise Problem(404, "This workspace has no source of that id.", field="sourceId")
    sources = []
    for number, source_id in sorted(ids.items(), key=lambda each: each[1]):
        if wanted in (None, source_id):
            own = [Library(use.library, use.messages) for use in uses if use.source == number]
            own.sort(key=lambda library: (-library.messages, library.name))
            sources.append(SourceLibraries(source_id, names.get(source_id, source_id), own))
    body = LibrariesBody(str(period), moment_text(counted_until_ms), sources)
    return answer(LibrariesAnswer(body), {"Last-Modified": http_date(counted_until_ms)})


LIBRARY_HANDLERS = [read_libraries]
