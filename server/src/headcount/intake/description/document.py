"""The OpenAPI description of the tracking address: takes routes and reasons, gives a document.

Of reasons and statuses it says what `reasons` holds, and of paths that do the same as others what
`routes` does, so that neither is written twice.
"""

from __future__ import annotations

from typing import Any

import msgspec

import headcount
from headcount.intake.description.operations import operations
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
from headcount.openapi import Samples, headers, schemas

__all__ = ["tracking_document"]

_JSON, _GIF = "application/json", "image/gif"
_INTRODUCTION = (
    "Where tracking SDKs post messages. A message is answered 200 once it is durable. The write key"
    " names the source: it is the user name of HTTP Basic, or else `X-Write-Key`, or else"
    " `writeKey` in the query, in the body or in a message of a batch. Slashes too many, or one at"
    " the end, change no path. Bodies are JSON whatever their Content-Type says, at most 4 MiB,"
    " and may be compressed with gzip. Whatever takes messages may be used from any page of a"
    " browser. What is answered 429 or 503 is to be sent again after `Retry-After` seconds, with"
    " the same `messageId`: whatever arrives twice counts once. Every answer names its request in"
    " `X-Request-Id`, as the server's log does where it is refused. GET includes HEAD."
)
_GROUPS = {
    "Messages": "One message a request.",
    "Batches": "Many messages a request; one that is refused fails none of the others.",
    "Browsers": "What only pages of browsers ask for.",
    "This address": "Whether it lives, and what describes it.",
}


def tracking_document() -> dict[str, Any]:
    """The document, as plain JSON values."""
    shapes: list[type[msgspec.Struct]] = [*SHAPES.values()]
    shapes += [BatchBody, ImportBody, Taken, TakenBatch, TrackingRefusal, TrackingHealth]
    components = schemas(shapes)
    _require(components)
    samples = Samples(components, SAMPLE_VALUES)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headcount tracking",
            "version": headcount.__version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": words} for name, words in _GROUPS.items()],
        "paths": _named(operations(samples)),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "writeKey": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The write key as user name, and no password.",
                },
                "writeKeyInHeader": {"type": "apiKey", "in": "header", "name": "X-Write-Key"},
                "writeKeyInQuery": {"type": "apiKey", "in": "query", "name": "writeKey"},
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token of scope `admin`, for imports.",
                },
            },
        },
    }


def _named(paths: dict[str, Any]) -> dict[str, Any]:
    """Say of every answer that it has the id of its request."""
    for operation in (each for path in paths.values() for each in path.values()):
        if isinstance(operation, dict):
            for status, response in operation["responses"].items():
                named = {**response.get("headers", {}), **headers(["X-Request-Id"])}
                operation["responses"][status] = {**response, "headers": named}
    return paths


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
