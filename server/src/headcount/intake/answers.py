"""Every answer of the tracking application: takes results and reasons, gives status, headers, body.

All answers are small and complete, so each is one pair of ASGI events.
"""

from __future__ import annotations

import logging
import random
import traceback
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import msgspec

from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.intake.asgi import Event, Send
from headcount.intake.reasons import EXPLANATIONS, Reason

__all__ = [
    "SUCCESS",
    "Answer",
    "batch_answer",
    "description_answer",
    "events_of",
    "failure_answer",
    "json_answer",
    "options_answer",
    "pixel_answer",
    "refusal",
    "send_answer",
]

_log = logging.getLogger("headcount.intake")

_Headers = tuple[tuple[bytes, bytes], ...]

_GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b"!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
"""One transparent pixel."""

# Write keys are public in browsers and no cookie is read, so any page may post and read answers.
_CORS: _Headers = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"Retry-After"),
)
# An asterisk does not cover Authorization, and older browsers do not know it at all.
_PREFLIGHT: _Headers = (
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Content-Encoding, X-Retry-Count, X-Write-Key,"
        b" X-Enable-Debug, AnonymousId, *",
    ),
    (b"access-control-max-age", b"86400"),
)
# Retried at once, an overloaded server stays so; a disk, or a minute's budget, takes longer. Each
# client is told another number of seconds in between, so that they do not all come back at once.
_RETRY_AFTER_S: dict[Reason, tuple[int, int]] = {
    Reason.OVERLOADED: (1, 4),
    Reason.SOURCE_OVER_SHARE: (1, 8),
    Reason.SOURCE_OVER_BUDGET: (10, 60),
    # Somebody may raise it at any time, and senders keep only so much.
    Reason.QUOTA_REACHED: (1_800, 3_600),
    Reason.MEMORY_SHORT: (30, 90),
    Reason.BODY_TIMEOUT: (1, 4),
    Reason.BODY_TOO_SLOW: (1, 4),
    Reason.STORAGE_UNAVAILABLE: (5, 15),
}
# What is still to come of these bodies would be taken for the next request.
_CUT_OFF = (Reason.BODY_TIMEOUT, Reason.BODY_TOO_SLOW)
# So that an answer is never much larger than the request was.
_REJECTED_LISTED_MAX = 100


class Answer(NamedTuple):
    """A complete answer; `send_answer` adds its length and the CORS headers.

    Attributes:
        status, headers, body: as HTTP has them.
        reason: why the request was refused; empty where it was not.
        brought: whether it may have brought messages that were taken.
    """

    status: int
    headers: _Headers
    body: bytes
    reason: str = ""
    brought: bool = True


def json_answer(status: int, document: object, headers: _Headers = ()) -> Answer:
    """A JSON document as an answer."""
    body = msgspec.json.encode(document)
    return Answer(status, ((b"content-type", b"application/json"), *headers), body)


SUCCESS = json_answer(200, {"success": True})


def batch_answer(rejected: Sequence[tuple[int, Reason]]) -> Answer:
    """What a batch is told: success, and which of its messages were rejected.

    The first 100 are listed; where there are more, `rejectedMore` says how many.
    """
    if not rejected:
        return SUCCESS
    listed = [
        {"index": index, "code": reason.value} for index, reason in rejected[:_REJECTED_LISTED_MAX]
    ]
    document = {"success": True, "rejected": listed}
    if len(rejected) > len(listed):
        document["rejectedMore"] = len(rejected) - len(listed)
    return json_answer(200, document)


@cache
def description_answer() -> Answer:
    """What describes the tracking address; the same all the time."""
    # Imported when it is asked for: most workers never are.
    from headcount.intake.description import tracking_document

    return json_answer(200, tracking_document())._replace(brought=False)


def refusal(reason: Reason, methods: Sequence[str] = (), more: str = "") -> Answer:
    """What a refused request is told.

    Args:
        reason: why it is refused.
        methods: those that the address takes, for METHOD_NOT_ALLOWED.
        more: a sentence that follows the explanation.
    """
    status, sentence = EXPLANATIONS[reason]
    sentence = f"{sentence} {more}" if more else sentence
    headers: _Headers = ((b"allow", _listed(methods)),) if methods else ()
    if reason in _RETRY_AFTER_S:
        # How clients spread is no secret.
        seconds = random.randint(*_RETRY_AFTER_S[reason])  # noqa: S311
        headers = (*headers, (b"retry-after", b"%d" % seconds))
    if reason in _CUT_OFF:
        headers = (*headers, (b"connection", b"close"))
    answer = json_answer(status, {"code": reason.value, "message": sentence}, headers)
    return answer._replace(reason=reason.value)


def failure_answer(error: Exception) -> Answer:
    """What a request is told that was not kept, or brought an unexpected exception about.

    Of the latter the log gets its type and its lines of code, not its text, which may quote what
    was sent.
    """
    if isinstance(error, (StorageUnavailableError, DataFolderError)):
        return refusal(Reason.STORAGE_UNAVAILABLE)
    trace = {"trace": "".join(traceback.format_tb(error.__traceback__))}
    _log.error("%s while answering a request", type(error).__qualname__, extra=trace)
    return refusal(Reason.INTERNAL_ERROR)


def pixel_answer(answer: Answer) -> Answer:
    """The pixel, with the status that the same message gets by POST."""
    kept = tuple(header for header in answer.headers if header[0] != b"content-type")
    return Answer(
        answer.status,
        ((b"content-type", b"image/gif"), (b"cache-control", b"no-store"), *kept),
        _GIF,
        answer.reason,
    )


def options_answer(methods: Sequence[str], *, preflight: bool) -> Answer:
    """What OPTIONS is told: the methods, and what a browser asks before it posts."""
    allow = _listed(methods)
    headers: _Headers = ((b"allow", allow),)
    if preflight:
        headers = (*headers, (b"access-control-allow-methods", allow), *_PREFLIGHT)
    return Answer(204, headers, b"")


def _listed(methods: Sequence[str]) -> bytes:
    return ", ".join(methods).encode()


async def send_answer(send: Send, answer: Answer, *, cors: bool) -> None:
    """Send an answer whole."""
    start, body = events_of(answer, cors=cors)
    await send(start)
    await send(body)


def events_of(answer: Answer, *, cors: bool) -> tuple[Event, Event]:
    """The two events that an answer is."""
    return _SUCCESS_EVENTS if answer is SUCCESS and cors else _events(answer, cors=cors)


def _events(answer: Answer, *, cors: bool) -> tuple[Event, Event]:
    headers = answer.headers
    if answer.status != 204:
        headers = (*headers, (b"content-length", b"%d" % len(answer.body)))
    if cors:
        headers = (*headers, *_CORS)
    return (
        {"type": "http.response.start", "status": answer.status, "headers": headers},
        {"type": "http.response.body", "body": answer.body},
    )


# Of nearly all answers; always the same ones, by which the server knows them again.
_SUCCESS_EVENTS = _events(SUCCESS, cors=True)
