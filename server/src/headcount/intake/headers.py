"""What the headers of a tracking request say: its length, its credentials, whose library sent it.

Takes headers, gives what can be read of them; refuses nothing.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping

__all__ = ["HeaderMap", "basic_user_name", "bearer_token", "length_bytes", "library_of"]

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


def bearer_token(authorization: bytes) -> str | None:
    """The API token of an Authorization header; None when it is of another kind, or missing."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None


def library_of(headers: HeaderMap, *, short: bool) -> str:
    """The tracking library that sent a request, one of `LIBRARIES`."""
    agent = headers.get(b"user-agent", b"")
    for prefix, library in _LIBRARY_PREFIXES:
        if agent.startswith(prefix):
            return library
    # A script cannot name itself in a browser; but no other library uses the short addresses.
    return "analytics.js" if short and agent.startswith(b"Mozilla/") else "other"
