"""The OpenAPI description of the tracking address: takes routes and reasons, gives a document.

Of reasons and statuses it says what `reasons` holds, and of paths what `routes` does, so that
neither is written twice.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

import headcount
from headcount.counting.facts import MESSAGE_TYPES
from headcount.intake.description.shapes import (
    SAMPLE_VALUES,
    SHAPES,
    BatchBody,
    ImportBody,
    Taken,
    TakenBatch,
    TrackingHealth,
    TrackingRefusal,
)
from headcount.intake.reasons import EXPLANATIONS, Reason
from headcount.intake.routes import other_paths
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

__all__ = ["tracking_document"]

_JSON, _GIF = "application/json", "image/gif"
_INTRODUCTION = (
    "Where tracking SDKs post messages. A message is answered 200 once it is durable. The write key"
    " names the source: it is the user name of HTTP Basic, or else `writeKey` in the body, or else"
    " in a message of a batch. Bodies are JSON whatever their Content-Type says, at most 4 MiB,"
    " and may be compressed with gzip. Every path under /v1/ may be used from any page of a"
    " browser. What is answered 429 or 503 is to be sent again after `Retry-After` seconds, with"
    " the same `messageId`: whatever arrives twice counts once. GET includes HEAD."
)
_GROUPS = {
    "Messages": "One message a request.",
    "Batches": "Many messages a request; one that is refused fails none of the others.",
    "Browsers": "What only pages of browsers ask for.",
    "This address": "Whether it lives, and what describes it.",
}

_OF_KEY = (Reason.NO_WRITE_KEY, Reason.UNKNOWN_WRITE_KEY)
_OF_LOAD = (
    Reason.OVERLOADED,
    Reason.SOURCE_OVER_SHARE,
    Reason.SOURCE_OVER_BUDGET,
    Reason.MEMORY_SHORT,
    Reason.STORAGE_UNAVAILABLE,
    Reason.INTERNAL_ERROR,
)
_OF_BODY = (
    Reason.BODY_TOO_LARGE,
    Reason.BODY_TIMEOUT,
    Reason.BODY_TOO_SLOW,
    Reason.INVALID_GZIP,
    Reason.TOO_MANY_GZIP_MEMBERS,
    Reason.UNSUPPORTED_ENCODING,
)
_OF_JSON = (Reason.MALFORMED_JSON, Reason.NOT_AN_OBJECT, Reason.TOO_COMPLEX)
_OF_MESSAGE = (
    *_OF_JSON,
    Reason.MESSAGE_TOO_LARGE,
    Reason.INVALID_ID,
    Reason.INVALID_MESSAGE_ID,
    Reason.NO_USER_ANON_ID,
)
_OF_TYPE = {
    "track": (Reason.EVENT_NOT_STRING,),
    "group": (Reason.NO_GROUP_ID,),
    "alias": (Reason.NO_USER_ID, Reason.NO_PREVIOUS_ID),
}
_OF_BATCH = (*_OF_JSON, Reason.BATCH_NOT_ARRAY, Reason.BATCH_TOO_LONG)
_OF_TOKEN = (Reason.INVALID_TOKEN, Reason.ADMIN_TOKEN_REQUIRED)


def tracking_document() -> dict[str, Any]:
    """The document, as plain JSON values."""
    shapes: list[type[msgspec.Struct]] = [*SHAPES.values()]
    shapes += [BatchBody, ImportBody, Taken, TakenBatch, TrackingRefusal, TrackingHealth]
    components = schemas(shapes)
    _require(components)
    samples = Samples(components, SAMPLE_VALUES)
    paths = {
        **{f"/v1/{kind}": {"post": _message(kind, samples)} for kind in MESSAGE_TYPES},
        "/v1/batch": {"post": _batch(samples)},
        "/v1/import": {"post": _import(samples)},
        "/v1/pixel/{type}": {"get": _pixel()},
        "/v1/projects/{writeKey}/settings": {"get": _settings()},
        "/v1/m": {"post": _self_metrics(samples)},
        "/healthz": {"get": _health(samples)},
        "/openapi.json": {"get": _description()},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headcount tracking",
            "version": headcount.__version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": words} for name, words in _GROUPS.items()],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "writeKey": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The write key as user name, and no password.",
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token of scope `admin`, for imports.",
                },
            },
        },
    }


def _require(components: dict[str, Any]) -> None:
    """Say which members a message cannot do without: of a struct, only the last may be so."""
    for shape, members in {
        "TrackMessage": ["event"],
        "GroupMessage": ["groupId"],
        "AliasMessage": ["userId", "previousId"],
        "BatchMessage": ["type"],
        "ImportedMessage": ["type"],
    }.items():
        components[shape]["required"] = members
        for member in members:
            components[shape]["properties"][member].pop("default", None)


def _message(kind: str, samples: Samples) -> dict[str, Any]:
    article = "an" if kind[0] in "ai" else "a"
    return _posting(
        kind,
        f"Send {article} {kind} message",
        "Messages",
        f"/v1/{kind}",
        body=SHAPES[kind],
        answer=Taken,
        reasons=(*_OF_MESSAGE, *_OF_TYPE.get(kind, ()), *_OF_KEY, *_OF_BODY, *_OF_LOAD),
        samples=samples,
    )


def _batch(samples: Samples) -> dict[str, Any]:
    return _posting(
        "batch",
        "Send many messages",
        "Batches",
        "/v1/batch",
        "What is wrong with one of them is listed under `rejected`, and the others are taken.",
        body=BatchBody,
        answer=TakenBatch,
        reasons=(*_OF_BATCH, *_OF_KEY, *_OF_BODY, *_OF_LOAD),
        samples=samples,
    )


def _import(samples: Samples) -> dict[str, Any]:
    return _posting(
        "import",
        "Send messages of the past",
        "Batches",
        "/v1/import",
        "With an API token of scope `admin`, each message counts on the day of its `receivedAt`, in"
        " the source that it names. With a write key, it is a batch like any other, of today.",
        body=ImportBody,
        answer=TakenBatch,
        reasons=(*_OF_BATCH, *_OF_KEY, *_OF_TOKEN, *_OF_BODY, *_OF_LOAD),
        samples=samples,
        access="token",
    )


def _posting(
    name: str,
    summary: str,
    tag: str,
    path: str,
    words: str = "",
    *,
    body: type[msgspec.Struct],
    answer: type[msgspec.Struct],
    reasons: Iterable[Reason],
    samples: Samples,
    access: Literal["token", "write key"] = "write key",
) -> dict[str, Any]:
    """An operation that takes a body and a write key."""
    sample = samples.of_body(reference(body))
    call = Call(base="TRACKING", method="POST", path=path, body=sample, access=access)
    either: list[dict[str, Any]] = [{"writeKey": []}, {}]
    return {
        "operationId": name,
        "summary": summary,
        "description": _also(path, words),
        "tags": [tag],
        "parameters": [],
        "requestBody": {"required": True, "content": bodies(reference(body), (_JSON,), sample)},
        "responses": _responses(reference(answer), samples.of(reference(answer)), reasons),
        "security": [{"token": []}, *either] if access == "token" else either,
        "x-codeSamples": code_samples(shell=in_curl(call), python=in_python(call)),
    }


def _also(path: str, words: str) -> str:
    others = ", ".join(f"`{other}`" for other in other_paths(path))
    return f"{words} Also at {others}.".strip() if others else words


def _responses(
    schema: dict[str, Any], sample: object, reasons: Iterable[Reason] = ()
) -> dict[str, Any]:
    success = {
        "description": "Taken, and durable.",
        "headers": headers(["Access-Control-Allow-Origin"]),
        "content": bodies(schema, (_JSON,), sample),
    }
    refusals = _refusals(reasons, bodies(reference(TrackingRefusal), (_JSON,)))
    unreadable: dict[str, Any] = dict(UNREADABLE)
    if 400 in refusals:
        content = {**refusals[400]["content"], **UNREADABLE["content"]}
        words = f"{refusals[400]['description']} As plain text: {UNREADABLE['description']}"
        unreadable = {**refusals[400], "description": words, "content": content}
    return statuses({**refusals, 200: success, 400: unreadable})


def _refusals(reasons: Iterable[Reason], content: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Refusals by status, with the codes that each may have."""
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for reason in reasons:
        status, sentence = EXPLANATIONS[reason]
        by_status[status].append(f"`{reason.value}`: {sentence}")
    names = ["Access-Control-Allow-Origin"]
    return {
        status: {
            "description": " ".join(said),
            "headers": headers([*names, "Retry-After"] if status in (429, 503) else names),
            "content": content,
        }
        for status, said in by_status.items()
    }


def _pixel() -> dict[str, Any]:
    data = base64.b64encode(b'{"userId": "user-1", "event": "Opened"}').decode()
    call = Call(
        base="TRACKING",
        method="GET",
        path="/v1/pixel/track",
        query={"data": data},
        access="write key",
        binary="pixel.gif",
    )
    image = {"schema": {"type": "string", "contentMediaType": _GIF}}
    reasons = (
        *_OF_MESSAGE,
        *(reason for kind in _OF_TYPE.values() for reason in kind),
        Reason.INVALID_PIXEL_DATA,
        *_OF_KEY,
        *_OF_LOAD,
    )
    answers = _refusals(reasons, {_GIF: image})
    answers[400]["content"] = {_GIF: image, **UNREADABLE["content"]}
    answers[200] = {
        "description": "Taken, and durable.",
        "headers": headers(["Access-Control-Allow-Origin"]),
        "content": {_GIF: image},
    }
    return {
        "operationId": "pixel",
        "summary": "Send a message as an image",
        "description": "For mails and pages without scripts. Whatever became of the message, the"
        " body is the image; the status is the one that the message would get by POST. A HEAD"
        " request counts nothing.",
        "tags": ["Browsers"],
        "parameters": [
            {
                "name": "type",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "enum": list(MESSAGE_TYPES)},
            },
            {
                "name": "data",
                "in": "query",
                "required": True,
                "description": "The message's JSON in base64, with its `writeKey`, unless HTTP"
                " Basic names that.",
                "schema": {"type": "string"},
            },
        ],
        "responses": statuses(answers),
        "security": [{"writeKey": []}, {}],
        "x-codeSamples": code_samples(shell=in_curl(call), python=in_python(call)),
    }


def _settings() -> dict[str, Any]:
    call = Call(
        base="TRACKING", method="GET", path="/v1/projects/{writeKey}/settings", access="none"
    )
    sample = {
        "integrations": {"Segment.io": {"apiKey": "Vb2kQ7mXt9RsJw4LpZc6HdNf8YgEu1Ta"}},
        "analyticsNextEnabled": True,
    }
    reasons = (Reason.UNKNOWN_WRITE_KEY, Reason.INTERNAL_ERROR)
    return {
        "operationId": "settings",
        "summary": "What analytics.js asks for when it starts",
        "description": "Names this server as the only destination.",
        "tags": ["Browsers"],
        "parameters": [
            {"name": "writeKey", "in": "path", "required": True, "schema": {"type": "string"}}
        ],
        "responses": _responses({"type": "object"}, sample, reasons),
        "security": [],
        "x-codeSamples": code_samples(shell=in_curl(call), python=in_python(call)),
    }


def _self_metrics(samples: Samples) -> dict[str, Any]:
    call = Call(base="TRACKING", method="POST", path="/v1/m", body={"series": []}, access="none")
    return {
        "operationId": "selfMetrics",
        "summary": "What SDKs report of themselves",
        "description": "Answered, and not looked at." + _also("/v1/m", ""),
        "tags": ["Browsers"],
        "parameters": [],
        "responses": _responses(reference(Taken), samples.of(reference(Taken))),
        "security": [],
        "x-codeSamples": code_samples(shell=in_curl(call), python=in_python(call)),
    }


def _health(samples: Samples) -> dict[str, Any]:
    call = Call(base="TRACKING", method="GET", path="/healthz", access="none")
    shape = reference(TrackingHealth)
    responses = _responses(shape, samples.of(shape))
    responses["200"] = {"description": "It lives.", "content": responses["200"]["content"]}
    return {
        "operationId": "trackingHealth",
        "summary": "Alive",
        "description": "Answers as long as the process does that takes messages.",
        "tags": ["This address"],
        "parameters": [],
        "responses": responses,
        "security": [],
        "x-codeSamples": code_samples(shell=in_curl(call), python=in_python(call)),
    }


def _description() -> dict[str, Any]:
    call = Call(base="TRACKING", method="GET", path="/openapi.json", access="none")
    content = bodies({"type": "object"}, (_JSON,))
    return {
        "operationId": "trackingDescription",
        "summary": "This description",
        "description": "The OpenAPI 3.1 description of the tracking address.",
        "tags": ["This address"],
        "parameters": [],
        "responses": statuses(
            {200: {"description": "Success.", "content": content}, 400: UNREADABLE}
        ),
        "security": [],
        "x-codeSamples": code_samples(shell=in_curl(call), python=in_python(call)),
    }
