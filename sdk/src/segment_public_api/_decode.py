"""Takes an answer's body and what it should be; gives the model, or an error that shows it."""

from __future__ import annotations

import functools
import json
import re
from types import GenericAlias
from typing import Any

from pydantic import TypeAdapter, ValidationError

from . import models
from .exceptions import ApiException, ApiValueError, InvalidResponseException
from .models._base import AS_READ
from .models.request_error_envelope import RequestErrorEnvelope

SHOWN_BYTES = 120

_PRIMITIVES: dict[str, Any] = {
    "object": Any,
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "bytes": bytes,
}


def decode(raw: bytes, response_type: Any, content_type: str | None) -> Any:
    """The body as `response_type`.

    Args:
        raw: the body.
        response_type: a model, a type, or its name: `"PaginationOutput"`, `"List[str]"`; None
            decodes nothing.
        content_type: the answer's media type; None is taken for JSON.

    Raises:
        InvalidResponseException: another media type, no JSON, or JSON of another shape.
    """
    if response_type is None:
        return None
    if content_type is not None and not is_json(content_type):
        if response_type in ("str", str) and content_type.startswith("text/"):
            return raw.decode("utf-8", "replace")
        raise _invalid(f"the answer is {content_type!r} where JSON is due", raw)
    try:
        return _adapter(response_type).validate_json(raw, context=AS_READ)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        at = f" at {place}" if place else ""
        # Not chained: pydantic's error quotes the body, in which a secret may be echoed.
        raise _invalid(f"the answer is not what was promised: {first['msg']}{at}", raw) from None


def error_envelope(raw: bytes) -> RequestErrorEnvelope | None:
    """The error envelope that a body holds, or None."""
    try:
        return RequestErrorEnvelope.model_validate_json(raw, context=AS_READ)
    except ValidationError:
        return None


def decode_text(text: str, response_type: Any, content_type: str | None) -> Any:
    """Like `decode`, for text; without a content type, text that is not JSON stays text."""
    if content_type is None:
        try:
            json.loads(text)
        except ValueError:
            return text
    elif not is_json(content_type) and not content_type.startswith("text/"):
        raise ApiException(status=0, reason=f"Unsupported content type: {content_type}")
    return decode(text.encode(), response_type, content_type)


def is_json(content_type: str) -> bool:
    """Whether a media type is JSON: `application/json`, or one that ends in `+json`."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


@functools.lru_cache(maxsize=64)
def _adapter(response_type: Any) -> TypeAdapter[Any]:
    return TypeAdapter(_resolved(response_type))


def _resolved(response_type: Any) -> Any:
    if not isinstance(response_type, str):
        return response_type
    if response_type in _PRIMITIVES:
        return _PRIMITIVES[response_type]
    if match := re.fullmatch(r"List\[(.+)\]", response_type):
        return GenericAlias(list, (_resolved(match[1]),))
    if match := re.fullmatch(r"Dict\[str, ?(.+)\]", response_type):
        return GenericAlias(dict, (str, _resolved(match[1])))
    if response_type not in models.__all__:
        raise ApiValueError(f"{response_type!r} is no model of segment_public_api")
    return getattr(models, response_type)


def _invalid(reason: str, raw: bytes) -> InvalidResponseException:
    start = raw[:SHOWN_BYTES].decode("utf-8", "replace")
    more = " …" if len(raw) > SHOWN_BYTES else ""
    return InvalidResponseException(reason=f"{reason}; it starts with {start!r}{more}")
