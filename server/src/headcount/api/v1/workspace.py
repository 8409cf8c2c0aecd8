"""Which workspace a token belongs to, and what it is called."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import Meta

from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, body_of, endpoint
from headcount.api.wire.problems import Problem
from headcount.catalog import Workspace
from headcount.counting.calendar import moment_text
from headcount.errors import UsageError

__all__ = ["WORKSPACE_HANDLERS"]


class WorkspaceRecord(msgspec.Struct, rename="camel"):
    """A workspace and what the token may do in it."""

    id: str
    name: str
    created_at: Annotated[str, Meta(description="RFC 3339, UTC.")]
    token_scope: Annotated[str, Meta(description='"read" or "admin": what this token may do.')]
    explains: Annotated[
        bool,
        Meta(
            description="Whether `/headcount/v1/explain` tells here why a count moved; a cluster"
            " does not."
        ),
    ]


class WorkspaceBody(msgspec.Struct):
    """The token's workspace."""

    workspace: WorkspaceRecord


class WorkspaceAnswer(msgspec.Struct):
    """The token's workspace."""

    data: WorkspaceBody


class WorkspaceChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of the workspace."""

    name: Annotated[
        str,
        Meta(
            description="What it is called from now on; unique in the installation.",
            min_length=1,
            max_length=200,
        ),
    ]


@endpoint(
    "GET",
    "/headcount/v1/workspace",
    Contract(
        name="getWorkspace",
        summary="The token's workspace",
        description="The workspace that the token belongs to, and the token's scope.",
        tag="Workspace",
        answer=WorkspaceAnswer,
    ),
)
def read_workspace(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    return _answered(caller, caller.workspace)


def _answered(caller: Caller, workspace: Workspace) -> Response[bytes]:
    record = WorkspaceRecord(
        workspace.id,
        workspace.name,
        moment_text(workspace.created_at_ms),
        caller.token.scope,
        caller.services.store.attribution is not None,
    )
    return answer(WorkspaceAnswer(WorkspaceBody(record)))


@endpoint(
    "PATCH",
    "/headcount/v1/workspace",
    Contract(
        name="changeWorkspace",
        summary="Rename the workspace",
        description="The new name is shown everywhere at once; the id stays. A workspace is deleted"
        " on the server's command line alone.",
        tag="Workspace",
        answer=WorkspaceAnswer,
        body=WorkspaceChange,
        errors=(413, 422),
        access="admin",
    ),
)
async def change_workspace(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    change = await body_of(request, WorkspaceChange)
    try:
        caller.services.catalog.rename_workspace(caller.workspace.number, change.name)
    except UsageError as error:
        raise Problem(422, f'"name": {error.problem}', field="name") from error
    renamed = caller.services.directory.workspace(caller.workspace.number)
    return _answered(caller, renamed or caller.workspace)


WORKSPACE_HANDLERS = [read_workspace, change_workspace]
