"""The sources of a workspace: list, add, rename, disable, enable, delete, give a fresh write key.

A change reaches the tracking address within a second. Write keys are shown to admin tokens only:
whoever holds one can send messages, which a token that only reads shall not.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, body_of, endpoint
from headcount.api.wire.problems import Problem
from headcount.catalog import Source
from headcount.counting.calendar import moment_text
from headcount.errors import UsageError

__all__ = ["SOURCE_HANDLERS"]


class SourceRecord(msgspec.Struct, rename="camel"):
    """A source."""

    id: str
    name: str
    enabled: Annotated[bool, Meta(description="Whether messages with its key are taken.")]
    created_at: Annotated[str, Meta(description="RFC 3339, UTC.")]
    refuses_bots: Annotated[
        bool, Meta(description="Whether messages of known bots are refused, as outcome `bot`.")
    ]
    write_key: Annotated[str, Meta(description="Shown to tokens of scope admin.")] | UnsetType = (
        UNSET
    )
    deleted_at: (
        Annotated[str, Meta(description="RFC 3339, UTC, of a source that was deleted.")] | UnsetType
    ) = UNSET


class SourceListBody(msgspec.Struct):
    """All sources of the workspace."""

    sources: list[SourceRecord]


class SourceListAnswer(msgspec.Struct):
    """All sources of the workspace, in the order in which they were added."""

    data: SourceListBody


class SourceBody(msgspec.Struct):
    """One source."""

    source: SourceRecord


class SourceAnswer(msgspec.Struct):
    """One source."""

    data: SourceBody


class NewSource(msgspec.Struct, forbid_unknown_fields=True):
    """A source to add."""

    name: Annotated[
        str, Meta(description="Unique within the workspace.", min_length=1, max_length=200)
    ]


class SourceChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to change of a source."""

    refuses_bots: (
        Annotated[
            bool,
            Meta(description="true refuses messages of known bots, false counts them like others."),
        ]
        | UnsetType
    ) = UNSET

    enabled: (
        Annotated[
            bool, Meta(description="false refuses messages with its write key, true takes them.")
        ]
        | UnsetType
    ) = UNSET
    name: (
        Annotated[
            str,
            Meta(
                description="What it is called from now on; unique within the workspace.",
                min_length=1,
                max_length=200,
            ),
        ]
        | UnsetType
    ) = UNSET


def _record(source: Source, caller: Caller) -> SourceRecord:
    return SourceRecord(
        source.id,
        source.name,
        source.enabled,
        moment_text(source.created_at_ms),
        source.refuses_bots,
        source.write_key
        if caller.token.scope == "admin" and source.deleted_at_ms is None
        else UNSET,
        UNSET if source.deleted_at_ms is None else moment_text(source.deleted_at_ms),
    )


def _one(source: Source, caller: Caller) -> Response[bytes]:
    return answer(SourceAnswer(SourceBody(_record(source, caller))))


def _find(caller: Caller, source_id: str) -> Source:
    source = caller.services.catalog.source(caller.workspace.number, source_id)
    # The catalog also finds names; an address holds ids only, so that a rename breaks none.
    if source is None or source.id != source_id:
        raise Problem(404, "This workspace has no source of that id.", field="sourceId")
    return source


@endpoint(
    "GET",
    "/headcount/v1/sources",
    Contract(
        name="listSources",
        summary="All sources",
        description="All sources of the workspace, in the order in which they were added.",
        tag="Sources",
        answer=SourceListAnswer,
    ),
)
def list_sources(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    sources = caller.services.directory.sources(caller.workspace.number).values()
    return answer(SourceListAnswer(SourceListBody([_record(each, caller) for each in sources])))


@endpoint(
    "POST",
    "/headcount/v1/sources",
    Contract(
        name="addSource",
        summary="Add a source",
        description="Makes a source with its own write key; SDKs may use it within a second.",
        tag="Sources",
        answer=SourceAnswer,
        body=NewSource,
        status=201,
        errors=(413, 422),
        access="admin",
    ),
)
async def add_source(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    new = await body_of(request, NewSource)
    now_ms = caller.services.clock()
    try:
        source = caller.services.catalog.add_source(caller.workspace.number, new.name, now_ms)
    except UsageError as error:
        raise Problem(422, f'"name": {error.problem}', field="name") from error
    return _one(source, caller)


@endpoint(
    "PATCH",
    "/headcount/v1/sources/{source_id:str}",
    Contract(
        name="changeSource",
        summary="Rename, disable or enable a source, or refuse bots",
        description="Messages with the write key of a disabled source are refused; what it sent"
        " before stays counted. A new name is shown everywhere at once; the id stays.",
        tag="Sources",
        answer=SourceAnswer,
        sample={"SourceRecord.enabled": False},
        body=SourceChange,
        errors=(404, 413, 422),
        access="admin",
    ),
)
async def change_source(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    source = _find(caller, request.path_params["source_id"])
    change = await body_of(request, SourceChange)
    catalog = caller.services.catalog
    if change.name is not UNSET:
        try:
            catalog.rename_source(source.number, change.name)
        except UsageError as error:
            raise Problem(422, f'"name": {error.problem}', field="name") from error
    if change.enabled is not UNSET:
        catalog.set_source_enabled(source.number, change.enabled)
    if change.refuses_bots is not UNSET:
        catalog.set_bots_refused(source.number, change.refuses_bots, caller.services.clock())
    return _one(_find(caller, source.id), caller)


@endpoint(
    "DELETE",
    "/headcount/v1/sources/{source_id:str}",
    Contract(
        name="deleteSource",
        summary="Delete a source",
        description="Its write key is refused from then on, for good. What it has used stays in the"
        ' workspace\'s counts, under a name that says "(deleted)"; its id is never used again.',
        tag="Sources",
        answer=SourceAnswer,
        sample={
            "SourceRecord.enabled": False,
            "SourceRecord.deletedAt": "2026-11-26T10:00:00.000Z",
        },
        errors=(404, 422),
        access="admin",
    ),
)
def delete_source(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    source = _find(caller, request.path_params["source_id"])
    try:
        caller.services.catalog.delete_source(source.number, caller.services.clock())
    except UsageError as error:
        raise Problem(422, f"{error.problem} {error.remedy}", field="sourceId") from error
    deleted = caller.services.directory.sources(caller.workspace.number)[source.number]
    return _one(deleted, caller)


@endpoint(
    "POST",
    "/headcount/v1/sources/{source_id:str}/rotate-key",
    Contract(
        name="rotateSourceKey",
        summary="Give a source a fresh write key",
        description="The key it had before is refused from then on.",
        tag="Sources",
        answer=SourceAnswer,
        errors=(404,),
        access="admin",
    ),
)
def rotate_key(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    source = _find(caller, request.path_params["source_id"])
    return _one(caller.services.catalog.rotate_write_key(source.number), caller)


SOURCE_HANDLERS = [list_sources, add_source, change_source, delete_source, rotate_key]
