"""Parts of an OpenAPI 3.1 document: takes shapes and words, gives plain JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

__all__ = ["UNREADABLE", "bodies", "code_samples", "headers", "reference", "schemas", "statuses"]

_PREFIX = "#/components/schemas/"

_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "X-Request-Id": ("Names this answer, in the server's log too.", {"type": "string"}),
    "X-RateLimit-Remaining": ("Requests left in this window.", {"type": "string"}),
    "X-RateLimit-Consumed": ("Requests made in this window.", {"type": "string"}),
    "X-RateLimit-Reset": ("When it starts again, an RFC 5322 date.", {"type": "string"}),
    "Retry-After": ("Whole seconds to wait.", {"type": "string", "pattern": "^[0-9]+$"}),
    "ETag": ("Names this answer's bytes; past months only.", {"type": "string"}),
    "Last-Modified": ("Messages received until then are counted.", {"type": "string"}),
    "WWW-Authenticate": ("How to authenticate.", {"type": "string"}),
    "Access-Control-Allow-Origin": ("`*`: any page may read the answer.", {"type": "string"}),
}


def reference(shape: type[msgspec.Struct]) -> dict[str, str]:
    """A reference to the schema of a shape."""
    return {"$ref": _PREFIX + shape.__name__}


def schemas(shapes: Iterable[type[msgspec.Struct]]) -> dict[str, Any]:
    """The schemas of shapes, and of what they hold, by name."""
    _, components = msgspec.json.schema_components(
        list(dict.fromkeys(shapes)), ref_template=_PREFIX + "{name}"
    )
    return dict(sorted(components.items()))


def headers(names: Iterable[str]) -> dict[str, Any]:
    """Headers of an answer, described."""
    return {name: {"description": _HEADERS[name][0], "schema": _HEADERS[name][1]} for name in names}


UNREADABLE: dict[str, Any] = {
    "description": "This is not HTTP, or the head of the request is larger than 64 KiB or has more"
    " than 256 headers; the connection is closed.",
    "headers": headers(["X-Request-Id"]),
    "content": {"text/plain": {"schema": {"type": "string"}}},
}
"""What any address answers with status 400 to what is no request."""


def bodies(
    schema: Mapping[str, Any], media_types: Iterable[str], sample: object = None
) -> dict[str, Any]:
    """A body by its media types; the first of them holds the sample, if there is one."""
    content: dict[str, Any] = {name: {"schema": schema} for name in media_types}
    if sample is not None:
        next(iter(content.values()))["example"] = sample
    return content


def statuses(answers: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Answers by status, those that come about first."""
    return {str(status): answers[status] for status in sorted(answers)}


def code_samples(**sources: str) -> list[dict[str, str]]:
    """Code that asks an operation, as `x-codeSamples`, which many readers of descriptions show.

    Args:
        sources: the code, by the name of its language.
    """
    labels = {"shell": "curl", "python": "Python"}
    return [
        {"lang": lang, "label": labels[lang], "source": source} for lang, source in sources.items()
    ]
