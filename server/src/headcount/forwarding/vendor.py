"""One request to a vendor: takes a path and a body, gives what became of it.

Speaks TLS as the system trusts it, goes through the proxy that the environment names, follows no
redirect, since the key would go along, and reads no more of an answer than it needs.
"""

from __future__ import annotations

import base64
import time
import urllib.parse
from enum import Enum, auto
from http.client import HTTPException
from typing import NamedTuple

import urllib3

from headcount import __version__
from headcount.forwarding_targets import public_addresses
from headcount.outgoing_answers import retry_after_s, why_unanswered
from headcount.outgoing_connections import pool_of

__all__ = ["DeliveryVerdict", "Vendor", "VendorAnswer", "verdict_of"]

_TIMEOUT = urllib3.Timeout(connect=10, read=30)
_ANSWER_BYTES_MAX = 1 << 16
# Statuses of the client's fault that are over when they are over.
_AGAIN = frozenset({408, 425, 429})


class DeliveryVerdict(Enum):
    """What an answer means for the request."""

    DELIVERED = auto()
    REFUSED = auto()
    AGAIN = auto()


class VendorAnswer(NamedTuple):
    """What a vendor answered.

    Attributes:
        status: the HTTP status; None where there was no answer.
        retry_after_s: for how long it asks to be left alone; None where it does not say.
        said: the answer, or why there is none, as a clause.
    """

    status: int | None
    retry_after_s: float | None
    said: str


def verdict_of(status: int | None) -> DeliveryVerdict:
    """What a status means: all of 2xx takes the request, all of 4xx refuses it for good but what is
    over in a while; and the rest, redirects included, is tried again."""
    if status is None or status in _AGAIN:
        return DeliveryVerdict.AGAIN
    if 200 <= status < 300:
        return DeliveryVerdict.DELIVERED
    return DeliveryVerdict.REFUSED if 400 <= status < 500 else DeliveryVerdict.AGAIN


class Vendor:
    """Where one source's messages go.

    Args:
        url: the beginning of its addresses.
        write_key: its key.
        by_token: whether it has to be public, since a token's holder named it.
    """

    def __init__(self, url: str, write_key: str, *, by_token: bool) -> None:
        self._url = url
        self._split = urllib.parse.urlsplit(url)
        self._by_token = by_token
        self._pool = pool_of(self._split, by_token=by_token)
        basic = base64.b64encode(f"{write_key}:".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {basic}",
            "Content-Type": "application/json",
            "User-Agent": f"headcount/{__version__}",
        }

    def post(self, path: str, body: bytes) -> VendorAnswer:
        """Post one request; never raises for what a vendor or a network does."""
        try:
            if self._by_token:
                public_addresses(self._split.hostname or "", self._split.port or 443)
            response = self._pool.request(
                "POST",
                self._url + path,
                body=body,
                headers=self._headers,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=_TIMEOUT,
            )
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            return VendorAnswer(None, None, why_unanswered(error))
        _leave(response)
        asked = retry_after_s(response.headers.get("Retry-After"), time.time())
        return VendorAnswer(response.status, asked, f"it answers {response.status}")

    def close(self) -> None:
        """Close its connections; idempotent."""
        self._pool.clear()


def _leave(response: urllib3.BaseHTTPResponse) -> None:
    """Read the rest of an answer, if it is short, so that its connection serves once more."""
    try:
        response.read(_ANSWER_BYTES_MAX, decode_content=False)
        whole = not response.read(1, decode_content=False)
    except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError):
        whole = False
    if whole:
        response.release_conn()
    else:
        response.close()
