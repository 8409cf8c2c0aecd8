"""Which workspace a token belongs to."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import Meta

from headcount.api.usage.month import moment_text
from headcount.api.wire.context import caller_of
from headcount.api.wire.contract import Contract, answer, endpoint

__all__ = ["WORKSPACE_HANDLERS"]


class WorkspaceRecord(msgspec.Struct, rename="camel"):
    """A workspace and what the token may do in it."""

    id: str
    name: str
    created_at: Annotated[str, Meta(description="RFC 3339, UTC.")]
    token_scope: Annotated[str, Meta(description='"read" or "admin": what this token may do.')]


class WorkspaceBody(msgspec.Struct):
    """The token's workspace."""

    workspace: WorkspaceRecord


class WorkspaceAnswer(msgspec.Struct):
    """The token's workspace."""

    data: WorkspaceBody


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
    workspace = caller.workspace
    record = WorkspaceRecord(
        workspace.id, workspace.name, moment_text(workspace.created_at_ms), caller.token.scope
    )
    return answer(WorkspaceAnswer(WorkspaceBody(record)))


WORKSPACE_HANDLERS = [read_workspace]
