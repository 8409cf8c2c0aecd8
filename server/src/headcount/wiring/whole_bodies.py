"""Bodies on the API address: an application gets them whole and in time, or goes no further.

They are small there, but their senders need no key: a form for signing in is for everybody. The
same rules hold for them as on the tracking address (`headcount.intake.receiving`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from headcount import telemetry, tracing
from headcount.api import Problem
from headcount.intake import BodyReader, ClientGone, Reason, Refused, Room

__all__ = ["BODY_STATUSES", "WholeBodies", "send_problem"]

# Above what the applications take, who say so themselves.
_BODY_BYTES_MAX = 128 * 1024
_WITHIN_S = 30.0
_ROOM = Room(bodies_max=512, bytes_max=8 << 20)
_ANSWERS = {
    Reason.BODY_TIMEOUT: (408, "The body did not arrive in time."),
    Reason.BODY_TOO_SLOW: (
        503,
        "Too many bodies were arriving, and this was among the slowest; send it again.",
    ),
    Reason.BODY_TOO_LARGE: (413, "The body is too large."),
}

BODY_STATUSES = frozenset(status for status, *_ in _ANSWERS.values())
"""The statuses with which a body is refused."""


class _Over(BaseException):
    """A request is over while its body is awaited: no error, and no application's to handle."""


class WholeBodies:
    """An ASGI application that hands whole bodies to another one.

    Args:
        app: the other one.
        within_s: how long a client may take to send a body.
        is_known: whether a request shows whose it is; the bodies of those that do not make room
            only for one another.
    """

    def __init__(
        self,
        app: Any,
        within_s: float = _WITHIN_S,
        is_known: Callable[[Mapping[str, Any]], bool] = lambda _: False,
    ) -> None:
        self._app = app
        self._is_known = is_known
        self._reader = BodyReader(_BODY_BYTES_MAX, within_s, _ROOM, _ROOM)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        is_read = False

        async def receive_whole() -> Any:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            try:
                body = await self._reader.read(receive, known=self._is_known(scope))
            except ClientGone:
                return {"type": "http.disconnect"}
            except Refused as refused:
                await _refuse(send, refused.reason)
                raise _Over from None
            return {"type": "http.request", "body": body, "more_body": False}

        with suppress(_Over):
            await self._app(scope, receive_whole, send)


async def _refuse(send: Any, reason: Reason) -> None:
    # What is still to come of the body would be taken for the next request.
    telemetry.API_BODIES_REFUSED.labels(str(_ANSWERS[reason][0])).inc()
    await send_problem(send, *_ANSWERS[reason], (b"connection", b"close"))


async def send_problem(
    send: Any, status: int, sentence: str, *headers: tuple[bytes, bytes]
) -> None:
    """Answer a request that no application sees, as the API would.

    Args:
        send: of ASGI.
        status: HTTP status.
        sentence: its `message`.
        headers: besides those of the body.
    """
    body = Problem(status, sentence).body()
    every = (
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-request-id", (tracing.current_id() or tracing.made_id()).encode()),
    )
    await send({"type": "http.response.start", "status": status, "headers": [*every, *headers]})
    await send({"type": "http.response.body", "body": body})
