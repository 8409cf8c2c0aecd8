"""What a request's target names: takes its bytes, gives path and query as ASGI has them."""

from __future__ import annotations

import urllib.parse
from functools import lru_cache

import httptools

__all__ = ["target_of"]

# Nearly all requests go to few targets, which are short.
_KEPT = 64
_KEPT_BYTES_MAX = 128

Target = tuple[str, bytes, bytes]


def target_of(url: bytes) -> Target:
    """The path, the same as it was written, and the query string.

    Raises:
        httptools.HttpParserInvalidURLError: it is no target of a request.
    """
    return _kept(url) if len(url) <= _KEPT_BYTES_MAX else _parsed(url)


def _parsed(url: bytes) -> Target:
    parts = httptools.parse_url(url)
    path = parts.path.decode("ascii")
    return urllib.parse.unquote(path) if "%" in path else path, parts.path, parts.query or b""


_kept = lru_cache(_KEPT)(_parsed)
