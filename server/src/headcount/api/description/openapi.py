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
from headcount.api.wire.contract import CONTRACT_KEY, Contract, QueryParameter, endpoint
from headcount.api.wire.media import JSON, NAMES
from headcount.api.wire.problems import RequestErrorEnvelope

__all__ = ["OPENAPI_HANDLERS", "openapi_document"]

_PREFIX = "#/components/schemas/"
_TOKEN_SCHEME = "token"  # noqa: S105 - the name of a scheme
_INTRODUCTION = (
    "Exact daily usage, by workspace and source: API calls and monthly tracked users. Every"
    " operation but the open ones takes an API token as `Authorization: Bearer`. Each token has a"
    " number of requests a minute; `X-RateLimit-Remaining`, `X-RateLimit-Consumed` and"
    " `X-RateLimit-Reset` say where it stands. Every answer names itself in `X-Request-Id`."
    " GET includes HEAD. The one JSON body answers to several media types: "
    + ", ".join(f"`{name}`" for name in NAMES)
    + "; it is labelled with the one that the client likes best."
)


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
    paths: dict[str, dict[str, Any]] = {}
    for path, handler in handlers:
        contract: Contract = handler.opt[CONTRACT_KEY]
        method = next(iter(handler.http_methods - {"OPTIONS"})).lower()
        paths.setdefault(_template(path), {})[method] = _operation(path, contract)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headcount",
            "version": headcount.__version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(contracts),
            "securitySchemes": {_TOKEN_SCHEME: {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(path: str, contract: Contract) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": contract.name,
        "summary": contract.summary,
        "description": contract.description,
        "tags": [contract.tag],
        "parameters": [*_path_parameters(path), *map(_query_parameter, contract.query)],
        "responses": _responses(contract),
        "security": [] if contract.access == "open" else [{_TOKEN_SCHEME: []}],
    }
    if contract.access == "admin":
        operation["description"] += " Needs a token of scope `admin`."
    if contract.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": _reference(contract.body)}},
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
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "required": parameter.required,
    }
    if parameter.content is not None:
        described["content"] = {JSON: {"schema": _reference(parameter.content)}}
    else:
        described["schema"] = parameter.schema
    return described


_HEADERS = {
    "X-Request-Id": ("Names this answer, in the server's log too.", {"type": "string"}),
    "X-RateLimit-Remaining": ("Requests left in this window.", {"type": "string"}),
    "X-RateLimit-Consumed": ("Requests made in this window.", {"type": "string"}),
    "X-RateLimit-Reset": ("When it starts again, an RFC 5322 date.", {"type": "string"}),
    "Retry-After": ("Whole seconds to wait.", {"type": "string", "pattern": "^[0-9]+$"}),
    "ETag": ("Names this answer's bytes; past months only.", {"type": "string"}),
    "Last-Modified": ("Messages received until then are counted.", {"type": "string"}),
    "Allow": ("Methods that the path takes.", {"type": "string"}),
    "WWW-Authenticate": ("How to authenticate.", {"type": "string"}),
}


def _headers(status: int, contract: Contract) -> dict[str, Any]:
    names = ["X-Request-Id"]
    if contract.access != "open" and status != HTTPStatus.UNAUTHORIZED:
        names += ["X-RateLimit-Remaining", "X-RateLimit-Consumed", "X-RateLimit-Reset"]
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        names.append("Retry-After")
    if status == HTTPStatus.UNAUTHORIZED:
        names.append("WWW-Authenticate")
    if contract.conditional and status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
        names += ["ETag", "Last-Modified"]
    return {name: {"description": _HEADERS[name][0], "schema": _HEADERS[name][1]} for name in names}


def _responses(contract: Contract) -> dict[str, Any]:
    statuses = {*contract.errors, 500}
    if contract.access != "open":
        statuses |= {401, 406, 429, 503}
    if contract.access == "admin":
        statuses.add(403)
    media_types = NAMES if contract.media_type == JSON else (contract.media_type,)
    schema = {"type": "string"} if contract.answer is None else _reference(contract.answer)
    success = {
        "description": "Success.",
        "headers": _headers(contract.status, contract),
        "content": {name: {"schema": schema} for name in media_types},
    }
    responses: dict[str, Any] = {str(contract.status): success}
    if contract.conditional:
        responses["304"] = {
            "description": "What the client has is still right.",
            "headers": _headers(304, contract),
        }
    envelope = {name: {"schema": _reference(RequestErrorEnvelope)} for name in NAMES}
    for status in sorted(statuses):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase + ".",
            "headers": _headers(status, contract),
            "content": envelope,
        }
    return responses


def _reference(shape: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _PREFIX + shape.__name__}


def _schemas(contracts: Iterable[Contract]) -> dict[str, Any]:
    shapes: list[type[msgspec.Struct]] = [RequestErrorEnvelope]
    for contract in contracts:
        shapes += [shape for shape in (contract.answer, contract.body) if shape is not None]
        shapes += [query.content for query in contract.query if query.content is not None]
    _, components = msgspec.json.schema_components(
        list(dict.fromkeys(shapes)), ref_template=_PREFIX + "{name}"
    )
    return dict(sorted(components.items()))


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
