"""Takes values of Python; gives what travels in a request. Pure; refuses unusable headers."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from .exceptions import ApiValueError

COLLECTION_SEPARATORS = {"csv": ",", "ssv": " ", "tsv": "\t", "pipes": "|"}

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


# Exactly these: what derives from them, an enum's text say, may have to become something else.
_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})


def sanitized(value: Any) -> Any:
    """`value` as plain JSON types: models by their API names, dates as ISO 8601."""
    if type(value) in _PLAIN:
        return value
    if type(value) is dict:
        return {
            name: item if type(item) in _PLAIN else sanitized(item) for name, item in value.items()
        }
    if value is None or isinstance(value, (str, int, float, bool, bytes)):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return type(value)(sanitized(item) for item in value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    # Asked of the class: a model searches long for what it does not have.
    if hasattr(type(value), "to_dict"):
        return sanitized(value.to_dict())
    if hasattr(value, "get_secret_value"):
        return sanitized(value.get_secret_value())
    return {name: sanitized(item) for name, item in value.items()}


def url_query(
    params: Mapping[str, Any] | Iterable[tuple[str, Any]],
    collection_formats: Mapping[str, str] | None = None,
) -> str:
    """A query string. Objects travel as JSON, lists as their collection format says.

    Args:
        params: names and values, after `sanitized`.
        collection_formats: name to `multi`, `csv`, `ssv`, `tsv` or `pipes`; default `csv`.
    """
    formats = collection_formats or {}
    pairs: list[tuple[str, str]] = []
    for name, value in params.items() if isinstance(params, Mapping) else params:
        if type(value) is str:
            pairs.append((name, quote(value)))
        elif isinstance(value, (list, tuple)):
            items = [_query_text(item) for item in value]
            if formats.get(name) == "multi":
                pairs += [(name, item) for item in items]
            else:
                separator = COLLECTION_SEPARATORS[formats.get(name, "csv")]
                pairs.append((name, separator.join(items)))
        else:
            pairs.append((name, _query_text(value)))
    return "&".join([f"{_quoted_name(name)}={text}" for name, text in pairs])


@functools.lru_cache(maxsize=64)
def _quoted_name(name: str) -> str:
    return quote(name, safe="[]")


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, dict):
        value = json.dumps(value)
    return quote(str(value))


def checked_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """`headers` as text.

    Raises:
        ApiValueError: one that would break the request apart. The message names the header and
            never shows its value, which may be the access token.
    """
    checked: dict[str, str] = {}
    for name, given in headers.items():
        checked[name] = value = str(given)
        if not _HEADER_NAME.fullmatch(name):
            raise ApiValueError(f"{name!r} is no name for a header")
        if not _HEADER_VALUE.fullmatch(value) or value != value.strip():
            what = "access_token" if name == "Authorization" else f"header {name}"
            raise ApiValueError(
                f"{what} holds a character that HTTP does not allow; "
                "is there a line break or a space at its end?"
            )
    return checked


def apply_auth(
    headers: dict[str, Any], queries: list[tuple[str, Any]], auth: Mapping[str, Any]
) -> None:
    """Put one authentication into `headers` or `queries`, where its `in` says.

    Raises:
        ApiValueError: `in` is none of `header`, `query`, `cookie`, or `key` or `value` is missing.
    """
    try:
        place, key, value = auth["in"], auth["key"], auth["value"]
    except KeyError as missing:
        raise ApiValueError(f"_request_auth needs {missing}") from None
    if place == "header":
        headers[key] = value
    elif place == "query":
        queries.append((key, value))
    elif place == "cookie":
        headers["Cookie"] = value
    else:
        raise ApiValueError("_request_auth: 'in' must be 'header', 'query' or 'cookie'")


def credentials(headers: Mapping[str, str], auth_value: str | None = None) -> tuple[str, ...]:
    """The secrets of a request, longest first, to keep out of every message."""
    found = {headers.get("Authorization"), headers.get("Cookie"), auth_value} - {None, ""}
    parts = {part for secret in found if secret for part in (secret, secret.split(" ")[-1])}
    return tuple(sorted(parts, key=len, reverse=True))


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets`."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
