"""What an operation promises: the one place that routes, checks and the description share.

Takes a handler and its contract, gives a route that enforces the contract's access and carries
the contract along for the OpenAPI document.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec
from litestar import Request, Response
from litestar.exceptions import InternalServerException
from litestar.handlers import HTTPRouteHandler, route
from litestar.types import Guard, Method

from headcount.api.wire.context import require_admin, require_token
from headcount.api.wire.media import JSON
from headcount.api.wire.problems import Problem
from headcount.openapi import Computed

__all__ = [
    "CONTRACT_KEY",
    "Contract",
    "QueryParameter",
    "answer",
    "body_of",
    "endpoint",
]

CONTRACT_KEY = "contract"
_GUARDS: dict[str, list[Guard]] = {"open": [], "read": [require_token], "admin": [require_admin]}

_MEMBER = re.compile(r"(?:required|unknown) field `([^`]+)`")

Body = TypeVar("Body", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """A query parameter, as the OpenAPI document shows it.

    Attributes:
        name: its name on the wire.
        description: what it means, with the forms that are accepted.
        schema: JSON schema of its text; of an array, the parameter may be given several times.
        required: whether it must be there.
        example: what it is in examples; None to leave it out there.
    """

    name: str
    description: str
    schema: dict[str, Any]
    required: bool = False
    example: str | Computed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What an operation promises.

    Attributes:
        name: names the operation in the OpenAPI document.
        summary: a few words.
        description: what a reader needs to know to use it.
        tag: the group it belongs to.
        answer: shape of the body of a success; None where it is text.
        media_type: of a success.
        status: of a success.
        sample: values of members, by `Shape.member`, of the sample of a success, where they differ
            from those of other operations.
        body: shape of the request's body, if it takes one.
        query: its query parameters.
        path_examples: what members of the path, as the wire spells them, are in examples; the
            others are variables.
        errors: statuses of refusals, beside those that every operation of its access, or with a
            body, has.
        meanings: what these say, where that is not what they say everywhere.
        access: which token it needs.
        conditional: whether `If-None-Match` can be answered 304.
        python: how to ask it from Python, where there is more to say than the request itself.
    """

    name: str
    summary: str
    description: str
    tag: str
    answer: type[msgspec.Struct] | None
    media_type: str = JSON
    status: int = 200
    sample: Mapping[str, object] = field(default_factory=dict)
    body: type[msgspec.Struct] | None = None
    query: tuple[QueryParameter, ...] = ()
    path_examples: Mapping[str, str | Computed] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    meanings: Mapping[int, str] = field(default_factory=dict)
    access: Literal["open", "read", "admin"] = "read"
    conditional: bool = False
    python: str = ""

    def refusals(self) -> set[int]:
        """The statuses of all refusals that the operation may give."""
        found = {*self.errors, 503}
        if self.access != "open":
            found |= {401, 406, 429, 500}
        if self.access == "admin":
            found.add(403)
        if self.body is not None:
            found |= {408, 413, 422}
        return found


def endpoint(
    method: Method, path: str, contract: Contract
) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
    """Decorator: make a handler the route of an operation.

    Args:
        method: HTTP method; GET includes HEAD.
        path: path template.
        contract: what the operation promises.
    """

    def register(handler: Callable[..., Any]) -> HTTPRouteHandler:
        # Reads take a few milliseconds on one connection: quicker inline than through a thread.
        waits = inspect.iscoroutinefunction(handler)
        return route(
            path,
            http_method=method,
            guards=list(_GUARDS[contract.access]),
            opt={CONTRACT_KEY: contract},
            status_code=contract.status,
            sync_to_thread=None if waits else False,
        )(handler)

    return register


def answer(value: msgspec.Struct, headers: dict[str, str] | None = None) -> Response[bytes]:
    """A JSON answer with the contract's status, not to be kept by anybody unless told otherwise."""
    return Response(
        msgspec.json.encode(value),
        media_type=JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


async def body_of(request: Request[Any, Any, Any], shape: type[Body]) -> Body:
    """The body of a request, whatever its Content-Type says.

    Raises:
        Problem: 422 naming the member that is wrong, or `body` when it is no JSON object; 400 when
            the client left before its end.
    """
    try:
        raw = await request.body()
    except InternalServerException:  # what Litestar raises for that, and for nothing else
        raise Problem(400, "The body did not come to its end.", field="body") from None
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        # A member that is missing or unknown is named in the message, any other by its path.
        named = _MEMBER.search(message)
        field = named[1] if named else path.rstrip("`").lstrip(".") or "body"
        raise Problem(422, f'"{field}": {message}.', field=field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(422, "The body must be a JSON object.", field="body") from None
