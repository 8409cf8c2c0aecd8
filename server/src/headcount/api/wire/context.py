"""One request and its answer: what the gate found out and the handlers need.

Takes a request, gives the caller behind it; refuses requests without a token that allows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from headcount.api.services import Services
from headcount.api.wire.media import NAMES
from headcount.api.wire.problems import Problem
from headcount.catalog import Token, Workspace

__all__ = [
    "LINK_KEY",
    "STATE_KEY",
    "Caller",
    "RequestContext",
    "caller_of",
    "context_of",
    "require_admin",
    "require_token",
    "services_of",
]

STATE_KEY = "headcount_context"
LINK_KEY = "headcount_link"
"""What in the scope of a request says by which link somebody looks at the page, instead of a token.
The page puts it there, in this process: nothing that comes over a network can."""


@dataclass(slots=True)
class RequestContext:
    """What the gate knows of a request.

    Attributes:
        request_id: names the request in the answer and in the log.
        label: media type to label the answer with; None when the client accepts none of ours.
        token: the caller's, when it is known and valid.
        refusal: why there is no token.
        headers: headers of the answer, whatever the answer will be.
    """

    request_id: str
    label: str | None
    token: Token | None = None
    refusal: Problem | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a token and the workspace that it belongs to."""

    services: Services
    token: Token
    workspace: Workspace


def context_of(connection: ASGIConnection[Any, Any, Any, Any]) -> RequestContext:
    """The context that the gate attached to a request."""
    context = connection.scope["state"][STATE_KEY]
    assert isinstance(context, RequestContext)
    return context


def services_of(request: Request[Any, Any, Any]) -> Services:
    """The services of the app that handles a request."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """The caller of a request that passed `require_token`.

    Raises:
        Problem: 401 when the token's workspace is gone from the catalog.
    """
    services = services_of(request)
    token = context_of(request).token
    assert token is not None
    workspace = services.directory.workspace(token.workspace)
    if workspace is None:
        raise Problem(401, "This API token belongs to a workspace that no longer exists.")
    return Caller(services, token, workspace)


# Guards are async because Litestar sends any other through a thread.
async def require_token(
    connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler
) -> None:
    """Guard: a valid token, and an Accept header that allows an answer.

    Raises:
        Problem: 401 or 406.
    """
    context = context_of(connection)
    if context.token is None:
        assert context.refusal is not None
        raise context.refusal
    if context.label is None:
        raise Problem(
            406, f'The "Accept" header allows none of {", ".join(NAMES)}.', field="Accept"
        )


async def require_admin(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Guard: a valid token of scope `admin`.

    Raises:
        Problem: 401, 403 or 406.
    """
    await require_token(connection, handler)
    token = context_of(connection).token
    if token is None or token.scope != "admin":
        raise Problem(403, 'This needs an API token of scope "admin"; this one only reads.')
