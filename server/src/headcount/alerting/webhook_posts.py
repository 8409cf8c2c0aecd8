"""One post to a webhook: takes where to and what, gives what was answered.

Signed as the specification of Standard Webhooks says, by its own library; with two secrets while
one takes the place of the other. What may be reached is looked up and judged at every connection,
those of a redirect too. However slowly a receiver, or its TLS, answers, a try ends within a minute.
"""

from __future__ import annotations

import ipaddress
import socket
import time
import urllib.parse
from datetime import UTC, datetime
from http.client import HTTPException
from typing import NamedTuple

import urllib3
from standardwebhooks import Webhook

from headcount import __version__
from headcount.alerting.channels import WebhookConfig
from headcount.forwarding_targets import is_public
from headcount.outgoing_answers import retry_after_s, why_unanswered
from headcount.outgoing_connections import TimeLimit, pool_of

__all__ = ["ReceiverAnswer", "post", "signed_headers"]

_CONNECT_WITHIN_S, _READ_WITHIN_S = 10.0, 20.0
# All of a try, looking names up too.
_WITHIN_S = 60.0
_REDIRECTS_MAX = 3
_SAID_BYTES = 300
# Those that ask for the same request, body and all, somewhere else.
_SAME_AGAIN = (307, 308)


class ReceiverAnswer(NamedTuple):
    """What became of one try.

    Attributes:
        status: the HTTP status; 0 where there was none.
        said: what was answered, or why there is no answer, as a clause.
        taken: whether it was taken.
        gone: whether nothing is to be sent there any more.
        retry_after_s: for how long it asks to be left alone; None where it does not say.
    """

    status: int
    said: str
    taken: bool
    gone: bool = False
    retry_after_s: float | None = None


def signed_headers(config: WebhookConfig, event: str, body: str, now_ms: int) -> dict[str, str]:
    """The headers that say who posts what, and when."""
    at = datetime.fromtimestamp(now_ms // 1000, UTC)
    signatures = [Webhook(each).sign(event, at, body) for each in config.secrets_at(now_ms)]
    return {
        "webhook-id": event,
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": " ".join(signatures),
    }


def post(config: WebhookConfig, event: str, body: str, now_ms: int) -> ReceiverAnswer:
    """Post once; never raises for what a receiver or a network does.

    Args:
        config: where to.
        event: by which what is told is known.
        body: JSON.
        now_ms: milliseconds since 1970.
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"headcount/{__version__}",
        **signed_headers(config, event, body, now_ms),
    }
    url = config.url
    with TimeLimit(_WITHIN_S) as limit:
        for _ in range(_REDIRECTS_MAX + 1):
            try:
                answer = _post_once(url, body, headers, config, limit)
            except ValueError:  # of a Location such as https://[
                return ReceiverAnswer(0, "it sends on to what is no address", taken=False)
            if isinstance(answer, ReceiverAnswer):
                return answer
            url = answer
    return ReceiverAnswer(0, f"it sends on more than {_REDIRECTS_MAX} times", taken=False)


def _post_once(
    url: str, body: str, headers: dict[str, str], config: WebhookConfig, limit: TimeLimit
) -> ReceiverAnswer | str:
    """One request: what was answered, or where it sends on to."""
    split = urllib.parse.urlsplit(url)
    if split.scheme != "https" and not (config.allow_private and split.scheme == "http"):
        return ReceiverAnswer(0, "it sends on to an address that is not https://", taken=False)
    if not config.allow_private and _is_private(split.hostname or ""):
        # Where a proxy is asked instead of it, nobody would judge what it connects to.
        return ReceiverAnswer(0, "it is an address of a private network", taken=False)
    # A pool of its own each time: what was judged once is not kept for the next.
    pool = pool_of(split, by_token=not config.allow_private, limit=limit)
    within = urllib3.Timeout(
        connect=min(_CONNECT_WITHIN_S, limit.left_s()), read=min(_READ_WITHIN_S, limit.left_s())
    )
    try:
        response = pool.request(
            "POST", url, body=body.encode(), headers=headers, redirect=False, retries=False,
            preload_content=False, timeout=within,
        )  # fmt: skip
        try:
            said = response.read(_SAID_BYTES, decode_content=False)
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError):
            said = b""
        status, location = response.status, response.headers.get("Location")
        asked_s = retry_after_s(response.headers.get("Retry-After"), time.time())
        response.close()
    except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        why = "it does not answer in time" if limit.is_over else why_unanswered(error)
        return ReceiverAnswer(0, why, taken=False)
    finally:
        pool.clear()
    if status in _SAME_AGAIN and location:
        return urllib.parse.urljoin(url, location)
    text = " ".join(said.decode("utf-8", "replace").split())
    words = "".join(each for each in text if each.isprintable())[:120]
    return ReceiverAnswer(
        status,
        f"it answers {status}" + (f": {words}" if words and status >= 300 else ""),
        taken=200 <= status < 300,
        gone=status == 410,
        retry_after_s=asked_s,
    )


def _is_private(host: str) -> bool:
    """Whether a host is named by an address, in any of its spellings, that is not public.

    A name is looked up and judged by whoever connects to it.
    """
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        try:
            address = socket.inet_ntoa(socket.inet_aton(host))  # such as 127.1
        except OSError:
            return False
    return not is_public(address)
