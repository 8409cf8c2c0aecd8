"""The OpenAPI description of every operation, generated from the routes and their contracts.

Takes the app's own routes, gives the document; what a route does not promise is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.routes import HTTPRoute

import headcount
from headcount.api.description.sample_values import SAMPLE_VALUES
from headcount.api.wire.contract import CONTRACT_KEY, Contract, QueryParameter, endpoint
from headcount.api.wire.media import JSON, NAMES
from headcount.api.wire.problems import RequestErrorEnvelope
from headcount.openapi import (
    Call,
    Samples,
    bodies,
    code_samples,
    headers,
    in_curl,
    in_python,
    reference,
    schemas,
    statuses,
)
from headcount.openapi.parts import UNREADABLE

__all__ = ["OPENAPI_HANDLERS", "openapi_document"]

_TOKEN_SCHEME = "token"  # noqa: S105 - the name of a scheme
_INTRODUCTION = (
    "Exact daily usage, by workspace and source: API calls and monthly tracked users. Every"
    " operation but the open ones takes an API token as `Authorization: Bearer`. Each token has a"
    " number of requests a minute; `X-RateLimit-Remaining`, `X-RateLimit-Consumed` and"
    " `X-RateLimit-Reset` say where it stands. Every answer names its request in"
    " `X-Request-Id`, as the server's log does: by the `X-Request-ID` or the `traceparent` that it"
    " brought, else by an id of its own."
    " GET includes HEAD. The one JSON body answers to several media types: "
    + ", ".join(f"`{name}`" for name in NAMES)
    + "; it is labelled with the one that the client likes best."
)
_GROUPS = {
    "Usage": "Daily running totals, page by page: the usage API of Segment, answered by this"
    " server.",
    "Reports": "A month, or many, in one answer; counts are numbers.",
    "Sources": "The streams of messages, each with its own write key.",
    "Alerts": "What people are told of, where, and what became of telling them.",
    "Plan limits": "What the plan includes in a month; usage is compared with it.",
    "Tokens": "Who may read, and who may change things.",
    "Links": "Views of the page that whoever has a link sees without a token.",
    "Workspace": "Whose usage this is.",
    "Health": "For load balancers and monitoring; no token needed.",
    "Description": "What this page is made from; no token needed.",
}
_MEANINGS = {
    401: "There is no token, or one that is unknown, revoked or has expired.",
    403: "The token only reads; this needs one of scope `admin`.",
    404: "There is none: a month to come or before the first usage, or an unknown id.",
    406: "The `Accept` header allows none of the media types.",
    408: "The body did not arrive in time.",
    413: "The body is too large; no operation takes more than 64 KiB.",
    422: "A parameter or the body is not as it should be; `field` names it.",
    429: "The token has made its requests of a minute; `Retry-After` says when it may again.",
    500: "The server failed, and its log says how under the `X-Request-Id`.",
    503: "The storage cannot be read or written, or is damaged, or too many requests wait; where"
    " trying again helps, `Retry-After` says when.",
}

_ALSO_OPEN = (500, 503)
_SHARED = "#/components/responses/"


def openapi_document(app: Litestar) -> dict[str, Any]:
    """The document of an app, as plain JSON values."""
    handlers = [
        (route.path, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if CONTRACT_KEY in handler.opt
    ]
    contracts = [handler.opt[CONTRACT_KEY] for _, handler in handlers]
    components = schemas(_shapes(contracts))
    samples = Samples(components, SAMPLE_VALUES)
    paths: dict[str, dict[str, Any]] = {}
    for path, handler in handlers:
        contract: Contract = handler.opt[CONTRACT_KEY]
        method = next(iter(handler.http_methods - {"OPTIONS"}))
        described = _operation(method, path, contract, samples)
        paths.setdefault(_template(path), {})[method.lower()] = described
    tags = dict.fromkeys(contract.tag for contract in contracts)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headcount",
            "version": headcount.__version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag, "description": _GROUPS.get(tag, "")} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": _shared_responses(),
            "securitySchemes": {_TOKEN_SCHEME: {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(method: str, path: str, contract: Contract, samples: Samples) -> dict[str, Any]:
    body = None if contract.body is None else samples.of_body(reference(contract.body))
    call = Call(
        base="API",
        method=method,
        path=_template(path),
        within_path=contract.path_examples,
        query={each.name: each.example for each in contract.query if each.example is not None},
        body=body,
        access="none" if contract.access == "open" else "token",
        is_json=contract.media_type == JSON,
    )
    operation: dict[str, Any] = {
        "operationId": contract.name,
        "summary": contract.summary,
        "description": contract.description,
        "tags": [contract.tag],
        "parameters": [*_path_parameters(path), *map(_query_parameter, contract.query)],
        "responses": _responses(contract, samples),
        "security": [] if contract.access == "open" else [{_TOKEN_SCHEME: []}],
        "x-codeSamples": code_samples(
            shell=in_curl(call), python=contract.python or in_python(call)
        ),
    }
    if contract.access == "admin":
        operation["description"] += " Needs a token of scope `admin`."
    if contract.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": bodies(reference(contract.body), (JSON,), body),
        }
    return operation


def _template(path: str) -> str:
    """Litestar's path template as OpenAPI writes it, with the wire's spelling of names."""
    return "/".join(
        "{" + _wire_name(part) + "}" if part.startswith("{") else part for part in path.split("/")
    )


def _wire_name(part: str) -> str:
    first, *others = part.strip("{}").partition(":")[0].split("_")
    return first + "".join(other.title() for other in others)


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": _wire_name(part), "in": "path", "required": True, "schema": {"type": "string"}}
        for part in path.split("/")
        if part.startswith("{")
    ]


def _query_parameter(parameter: QueryParameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "required": parameter.required,
        "schema": parameter.schema,
    }


def _header_names(status: int, *, is_open: bool) -> list[str]:
    names = ["X-Request-Id"]
    if not is_open and status not in (401, 408):
        names += ["X-RateLimit-Remaining", "X-RateLimit-Consumed", "X-RateLimit-Reset"]
    if status in (429, 503):
        names.append("Retry-After")
    if status == HTTPStatus.UNAUTHORIZED:
        names.append("WWW-Authenticate")
    return names


def _responses(contract: Contract, samples: Samples) -> dict[str, Any]:
    media_types = NAMES if contract.media_type == JSON else (contract.media_type,)
    schema: dict[str, Any] = {"type": "string"}
    sample = None
    if contract.answer is not None:
        schema = reference(contract.answer)
        sample = samples.but(contract.sample).of(schema)
    elif contract.media_type == JSON:
        schema = {"type": "object"}
    own = _header_names(contract.status, is_open=contract.access == "open")
    kept = ["ETag", "Last-Modified"] if contract.conditional else []
    answers: dict[int, dict[str, Any]] = {
        400: {"$ref": f"{_SHARED}Unreadable"},
        contract.status: {
            "description": "Success.",
            "headers": headers(own + kept),
            "content": bodies(schema, media_types, sample),
        },
    }
    if contract.conditional:
        answers[304] = {
            "description": "What the client has is still right.",
            "headers": headers(own + kept),
        }
    for status in contract.refusals():
        meaning = contract.meanings.get(status)
        name = _shared_name(status, is_open=contract.access == "open")
        answers[status] = (
            _refusal(status, meaning, is_open=contract.access == "open")
            if meaning is not None
            else {"$ref": _SHARED + name}
        )
    return statuses(answers)


def _shared_responses() -> dict[str, Any]:
    """Refusals that say the same wherever they are given, by name."""
    return {
        "Unreadable": UNREADABLE,
        **{
            _shared_name(status, is_open=is_open): _refusal(status, meaning, is_open=is_open)
            for status, meaning in _MEANINGS.items()
            for is_open in ((False, True) if status in _ALSO_OPEN else (False,))
        },
    }


def _shared_name(status: int, *, is_open: bool) -> str:
    words = HTTPStatus(status).phrase.title()
    return "".join(filter(str.isalpha, words)) + ("WithoutToken" if is_open else "")


def _refusal(status: int, meaning: str, *, is_open: bool) -> dict[str, Any]:
    return {
        "description": meaning,
        "headers": headers(_header_names(status, is_open=is_open)),
        "content": bodies(reference(RequestErrorEnvelope), NAMES),
    }


def _shapes(contracts: Iterable[Contract]) -> list[type[msgspec.Struct]]:
    shapes: list[type[msgspec.Struct]] = [RequestErrorEnvelope]
    for contract in contracts:
        shapes += [shape for shape in (contract.answer, contract.body) if shape is not None]
    return shapes


@endpoint(
    "GET",
    "/openapi.json",
    Contract(
        name="getOpenAPI",
        summary="This description",
        description="The OpenAPI 3.1 description of every operation of this server.",
        tag="Description",
        answer=None,
        media_type=JSON,
        access="open",
    ),
)
def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
    return Response(
        request.app.state.openapi, media_type=JSON, headers={"Cache-Control": "no-cache"}
    )


OPENAPI_HANDLERS = [openapi_json]
