"""Live messages: takes write keys and a tracking address, posts with segment-analytics-python.

Gives what was sent, for the naive count; refuses to run where that SDK is not installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import date
from typing import Any

from headcount.demo.traffic import APP, SERVER, WEB, Sent
from headcount.errors import UsageError
from headcount.extras import install_command

__all__ = ["post_live_messages", "tracking_client"]

_VISITORS = 24
# Else each source's client waits half a second for more messages, and again when it ends.
_GATHER_S = 0.05


def tracking_client() -> Callable[..., Any]:
    """The client class of segment-analytics-python.

    Raises:
        UsageError: it is not installed.
    """
    try:
        client: Callable[..., Any] = importlib.import_module("segment.analytics.client").Client
    except ImportError as error:
        raise UsageError(
            "The demo posts live messages with segment-analytics-python, which is not installed.",
            f"Install it with: {install_command('demo')}",
        ) from error
    return client


def post_live_messages(host: str, write_keys: dict[str, str], today: date) -> list[Sent]:
    """Post what some visitors do at this moment; some of it twice, as clients do.

    Args:
        host: where tracking SDKs post, as the beginning of a URL.
        write_keys: write key by source name.
        today: the UTC day on which the server receives it.

    Returns:
        What was sent and acknowledged, repeated messages too.

    Raises:
        UsageError: the server did not take it.
    """
    make_client = tracking_client()
    failures: list[Exception] = []
    clients = {
        source: make_client(
            write_key=key,
            host=host,
            on_error=lambda error, _: failures.append(error),
            upload_interval=_GATHER_S,
        )
        for source, key in write_keys.items()
    }
    post = _Poster(clients, today)
    for number in range(_VISITORS):
        device, phone = f"live-device-{number:03d}", f"live-phone-{number:03d}"
        post(WEB, "page", None, device, name="Home")
        if number % 3 == 0:
            user = f"live-user-{number:03d}"
            post(WEB, "identify", user, device, traits={"plan": "free"})
            post(APP, "screen", user, phone, name="Home")
            post(SERVER, "track", user, None, event="Order Completed")
    for client in clients.values():
        client.shutdown()
    if failures:
        raise UsageError(
            f"The tracking SDK could not deliver its messages: {failures[0]}.",
            "See the server's log, then run the demo again.",
        )
    return post.sent


class _Poster:
    """Hands messages to the SDK, every tenth twice, and remembers them."""

    def __init__(self, clients: dict[str, Any], today: date) -> None:
        self._clients = clients
        self._today = today
        self.sent: list[Sent] = []

    def __call__(
        self, source: str, call: str, user_id: str | None, anonymous_id: str | None, **rest: Any
    ) -> None:
        message_id = f"live-{len(self.sent):05d}"
        method: Callable[..., Any] = getattr(self._clients[source], call)
        for _ in range(2 if len(self.sent) % 10 == 7 else 1):
            method(user_id=user_id, anonymous_id=anonymous_id, message_id=message_id, **rest)
            self.sent.append(Sent(self._today, source, message_id, user_id, anonymous_id))
