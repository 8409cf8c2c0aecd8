"""The operations of the tracking address, as OpenAPI describes each of them.

Takes shapes and reasons, gives what may be asked, what it is answered with, and examples.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from headcount.counting.facts import MESSAGE_TYPES
from headcount.intake.browser import settings_document, source_config_document
from headcount.intake.description.refusals import (
    OF_ANY_TYPE,
    OF_BATCH,
    OF_BODY,
    OF_KEY,
    OF_LOAD,
    OF_MESSAGE,
    OF_TOKEN,
    OF_TYPE,
    refusals_of,
    responses_of,
)
from headcount.intake.description.shapes import (
    SHAPES,
    BatchBody,
    BatchMessage,
    ImportBody,
    Taken,
    TakenBatch,
    TrackingHealth,
)
from headcount.intake.reasons import Reason
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
    statuses,
)
from headcount.openapi.parts import UNREADABLE

__all__ = ["operations"]

_JSON, _GIF, _SCRIPT = "application/json", "image/gif", "text/javascript"

# Where a write key may stand; else it is in the body.
_KEYS: list[dict[str, Any]] = [{"writeKey": []}, {"writeKeyInHeader": []}, {"writeKeyInQuery": []}]
_KEY = "Vb2kQ7mXt9RsJw4LpZc6HdNf8YgEu1Ta"
_IN_PATH = {"name": "writeKey", "in": "path", "required": True, "schema": {"type": "string"}}
_FIELDS = {
    "writeKey": "The source's write key.",
    "messageId": "",
    "userId": "",
    "anonymousId": "",
    "previousId": "",
    "groupId": "",
    "event": "",
}


def operations(samples: Samples) -> dict[str, dict[str, Any]]:
    """All operations, by path and method."""
    return {
        **{f"/v1/{kind}": {"post": _message(kind, samples)} for kind in MESSAGE_TYPES},
        "/api/s/event": {"post": _typed(samples)},
        "/v1/batch": {"post": _batch(samples)},
        "/v1/import": {"post": _import(samples)},
        "/v1/webhook": {"post": _webhook(samples)},
        "/v1/pixel/{type}": {"get": _pixel()},
        "/v1/projects/{writeKey}/settings": {"get": _settings()},
        "/sourceConfig": {"get": _source_config()},
        "/analytics.js/v1/{writeKey}/analytics.min.js": {"get": _library()},
        "/v1/m": {"post": _self_metrics(samples)},
        "/healthz": {"get": _health(samples)},
        "/openapi.json": {"get": _description()},
    }


def _message(kind: str, samples: Samples) -> dict[str, Any]:
    article = "an" if kind[0] in "ai" else "a"
    return _posting(
        kind,
        f"Send {article} {kind} message",
        "Messages",
        f"/v1/{kind}",
        body=SHAPES[kind],
        answer=Taken,
        reasons=(*OF_MESSAGE, *OF_TYPE.get(kind, ()), *OF_KEY, *OF_BODY, *OF_LOAD),
        samples=samples,
    )


def _typed(samples: Samples) -> dict[str, Any]:
    return _posting(
        "event",
        "Send a message of any type",
        "Messages",
        "/api/s/event",
        "As Jitsu's libraries post: the message says its own type. Those of a type of its own go to"
        " `/api/s/track` and the like.",
        body=BatchMessage,
        answer=Taken,
        reasons=(*OF_ANY_TYPE, Reason.UNKNOWN_TYPE, *OF_KEY, *OF_BODY, *OF_LOAD),
        samples=samples,
    )


def _webhook(samples: Samples) -> dict[str, Any]:
    return _posting(
        "webhook",
        "Send whatever a webhook posts",
        "Batches",
        "/v1/webhook",
        "One message that says its type, an array of them, or CloudEvents around them, in any of"
        " their three forms. PUT and PATCH do the same.",
        body=BatchMessage,
        answer=TakenBatch,
        reasons=(
            *OF_ANY_TYPE,
            Reason.UNKNOWN_TYPE,
            Reason.BATCH_TOO_LONG,
            *OF_KEY,
            *OF_BODY,
            *OF_LOAD,
        ),
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
        reasons=(*OF_BATCH, *OF_KEY, *OF_BODY, *OF_LOAD),
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
        reasons=(*OF_BATCH, *OF_KEY, *OF_TOKEN, *OF_BODY, *OF_LOAD),
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
    either: list[dict[str, Any]] = [*_KEYS, {}]
    return {
        "operationId": name,
        "summary": summary,
        "description": _also(path, words),
        "tags": [tag],
        "parameters": [],
        "requestBody": {"required": True, "content": bodies(reference(body), (_JSON,), sample)},
        "responses": responses_of(
            reference(answer), samples.of(reference(answer)), reasons, "Taken, and durable."
        ),
        "security": [{"token": []}, *either] if access == "token" else either,
        "x-codeSamples": code_samples(shell=in_curl(call), python=in_python(call)),
    }


def _also(path: str, words: str) -> str:
    others = ", ".join(f"`{other}`" for other in other_paths(path))
    return f"{words} Also at {others}.".strip() if others else words


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
    reasons = (*OF_ANY_TYPE, Reason.INVALID_PIXEL_DATA, *OF_KEY, *OF_LOAD)
    answers = refusals_of(reasons, {_GIF: image})
    answers[400]["content"] = {_GIF: image, **UNREADABLE["content"]}
    answers[200] = {
        "description": "Taken, and durable.",
        "headers": headers(["Access-Control-Allow-Origin"]),
        "content": {_GIF: image},
    }
    return _plain(
        "pixel",
        "Send a message as an image",
        "For mails and pages without scripts: a message as `data`, or its fields as"
        " parameters. Whatever became of it, the body is the image; the status is the one that the"
        " message would get by POST. A HEAD request counts nothing."
        + _also("/v1/pixel/track", "").replace("/track", "/{type}").join((" ", "")),
        call,
        statuses(answers),
        parameters=[
            {
                "name": "type",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "enum": list(MESSAGE_TYPES)},
            },
            {
                "name": "data",
                "in": "query",
                "description": "The message's JSON in base64, with its `writeKey`, unless something"
                " else names that.",
                "schema": {"type": "string"},
            },
            *(
                {
                    "name": name,
                    "in": "query",
                    "description": words or "Of the message, where there is no `data`.",
                    "schema": {"type": "string"},
                }
                for name, words in _FIELDS.items()
            ),
        ],
        security=[*_KEYS, {}],
    )


def _settings() -> dict[str, Any]:
    sample = settings_document(_KEY, "tracking.example.com", "https", "")
    reasons = (Reason.UNKNOWN_WRITE_KEY, Reason.INTERNAL_ERROR)
    return _plain(
        "settings",
        "What analytics.js asks for when it starts",
        "Names this server as the only destination.",
        Call(base="TRACKING", method="GET", path="/v1/projects/{writeKey}/settings", access="none"),
        responses_of({"type": "object"}, sample, reasons),
        parameters=[_IN_PATH],
    )


def _source_config() -> dict[str, Any]:
    sample = source_config_document(_KEY, "5tGq0cVbN1xWm8RyKp3ZaL")
    return _plain(
        "sourceConfig",
        "What RudderStack's libraries ask for when they start",
        "A source without destinations of its own, whose messages come here.",
        Call(base="TRACKING", method="GET", path="/sourceConfig", access="write key"),
        responses_of({"type": "object"}, sample, (*OF_KEY, Reason.INTERNAL_ERROR)),
        security=_KEYS,
    )


def _library() -> dict[str, Any]:
    path = "/analytics.js/v1/{writeKey}/analytics.min.js"
    reasons = (Reason.NO_LIBRARY, Reason.UNKNOWN_WRITE_KEY, Reason.INTERNAL_ERROR)
    responses = responses_of({"type": "string"}, None, reasons)
    responses["200"]["content"] = bodies({"type": "string"}, (_SCRIPT,))
    return _plain(
        "library",
        "analytics.js itself",
        "The file that the operator gave with `--analytics-js`.",
        Call(base="TRACKING", method="GET", path=path, access="none", is_json=False),
        responses,
        parameters=[_IN_PATH],
    )


def _self_metrics(samples: Samples) -> dict[str, Any]:
    return _plain(
        "selfMetrics",
        "What SDKs report of themselves",
        "Answered, and not looked at.",
        Call(base="TRACKING", method="POST", path="/v1/m", body={"series": []}, access="none"),
        responses_of(reference(Taken), samples.of(reference(Taken))),
    )


def _health(samples: Samples) -> dict[str, Any]:
    shape = reference(TrackingHealth)
    responses = responses_of(shape, samples.of(shape))
    del responses["200"]["headers"]
    return _plain(
        "trackingHealth",
        "Alive",
        "Answers as long as the process does that takes messages.",
        Call(base="TRACKING", method="GET", path="/healthz", access="none"),
        responses,
        tag="This address",
    )


def _description() -> dict[str, Any]:
    success = {"description": "Success.", "content": bodies({"type": "object"}, (_JSON,))}
    return _plain(
        "trackingDescription",
        "This description",
        "The OpenAPI 3.1 description of the tracking address.",
        Call(base="TRACKING", method="GET", path="/openapi.json", access="none"),
        statuses({200: success, 400: UNREADABLE}),
        tag="This address",
    )


def _plain(
    name: str,
    summary: str,
    words: str,
    call: Call,
    responses: dict[str, Any],
    *,
    tag: str = "Browsers",
    parameters: Sequence[dict[str, Any]] = (),
    security: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """An operation whose body nobody looks at."""
    return {
        "operationId": name,
        "summary": summary,
        "description": words,
        "tags": [tag],
        "parameters": list(parameters),
        "responses": responses,
        "security": list(security),
        "x-codeSamples": code_samples(shell=in_curl(call), python=in_python(call)),
    }
