"""What the headers of a tracking request say: its length, its credentials, whose library sent it.

Takes headers, gives what can be read of them; refuses nothing.
"""

from __future__ import annotations

import binascii
import urllib.parse
from collections.abc import Mapping
from functools import lru_cache

__all__ = [
    "HeaderMap",
    "basic_user_name",
    "bearer_token",
    "key_in_head",
    "length_bytes",
    "library_of",
    "query_fields",
    "sender_of",
]

# AMP sends a dozen, and whoever makes a pixel by hand may add what they like.
_QUERY_FIELDS_MAX = 128

HeaderMap = Mapping[bytes, bytes]
"""Names in lower case to values."""

_LIBRARY_PREFIXES = (
    (b"analytics-python", "analytics-python"),
    (b"analytics-node", "analytics-node"),
    # What the fetch of Node.js calls itself when the library does not.
    (b"node", "analytics-node"),
    (b"rudder-sdk-python", "rudder-sdk-python"),
)


def length_bytes(headers: HeaderMap) -> int | None:
    """How long the body is, as far as its headers say; None when they leave it open."""
    if b"transfer-encoding" in headers:
        return None
    # The server in front has checked that it is a number.
    return int(headers.get(b"content-length", b"0"))


def basic_user_name(authorization: bytes) -> str:
    """The user name of HTTP Basic; empty when there is none, or it cannot be read."""
    scheme, _, credentials = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return ""
    try:
        return binascii.a2b_base64(credentials).partition(b":")[0].decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


@lru_cache(1024)
def sender_of(authorization: bytes, agent: bytes, short: bool) -> tuple[str, str]:
    """The user name of HTTP Basic, and the tracking library, of headers that come again and again.

    Args:
        authorization, agent: the values of these headers; of bounded length, since they are kept.
        short: whether the address is one of those that browsers use.
    """
    return basic_user_name(authorization), _library(agent, short=short)


def key_in_head(headers: HeaderMap, query: bytes) -> str:
    """The write key of a request's head; empty where it has none that can be read.

    HTTP Basic goes first, then X-Write-Key, then the query's `writeKey`.
    """
    write_key = basic_user_name(headers.get(b"authorization", b""))
    if write_key:
        return write_key
    # Jitsu's keys have two parts, and its libraries take no others; no key of ours has a colon.
    write_key = headers.get(b"x-write-key", b"").decode("latin-1").partition(":")[0].strip()
    if write_key or b"writeKey=" not in query:
        return write_key
    try:
        return query_fields(query).get("writeKey", "")
    except ValueError:
        return ""


def query_fields(query: bytes) -> dict[str, str]:
    """The parameters of a query string; of those that occur more than once, the last.

    Raises:
        ValueError: they are too many, or no text.
    """
    # Bytes that are no UTF-8 must not all become the same character, and so two people one.
    found = urllib.parse.parse_qs(
        query.decode("ascii"), errors="strict", max_num_fields=_QUERY_FIELDS_MAX
    )
    return {name: values[-1] for name, values in found.items()}


def bearer_token(authorization: bytes) -> str | None:
    """The API token of an Authorization header; None when it is of another kind, or missing."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None


def library_of(headers: HeaderMap, *, short: bool) -> str:
    """The tracking library that sent a request, one of `LIBRARIES`."""
    return _library(headers.get(b"user-agent", b""), short=short)


def _library(agent: bytes, *, short: bool) -> str:
    for prefix, library in _LIBRARY_PREFIXES:
        if agent.startswith(prefix):
            return library
    # A script cannot name itself in a browser; but no other library uses the short addresses.
    return "analytics.js" if short and agent.startswith(b"Mozilla/") else "other"
