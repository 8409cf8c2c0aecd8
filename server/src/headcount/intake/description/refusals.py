"""Why a request to the tracking address may be refused: takes reasons, gives answers by status.

What each reason says, and with which status, stands in `headcount.intake.reasons`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from headcount.intake.description.shapes import TrackingRefusal
from headcount.intake.reasons import EXPLANATIONS, Reason
from headcount.openapi import bodies, headers, reference, statuses
from headcount.openapi.parts import UNREADABLE

__all__ = [
    "OF_ANY_TYPE",
    "OF_BATCH",
    "OF_BODY",
    "OF_KEY",
    "OF_LOAD",
    "OF_MESSAGE",
    "OF_TOKEN",
    "OF_TYPE",
    "refusals_of",
    "responses_of",
]

_JSON = "application/json"

OF_KEY = (Reason.NO_WRITE_KEY, Reason.UNKNOWN_WRITE_KEY)
OF_LOAD = (
    Reason.OVERLOADED,
    Reason.SOURCE_OVER_SHARE,
    Reason.SOURCE_OVER_BUDGET,
    Reason.QUOTA_REACHED,
    Reason.MEMORY_SHORT,
    Reason.FORWARDING_FULL,
    Reason.STORAGE_UNAVAILABLE,
    Reason.INTERNAL_ERROR,
)
OF_BODY = (
    Reason.BODY_TOO_LARGE,
    Reason.BODY_TIMEOUT,
    Reason.BODY_TOO_SLOW,
    Reason.INVALID_GZIP,
    Reason.TOO_MANY_GZIP_MEMBERS,
    Reason.UNSUPPORTED_ENCODING,
)
_OF_JSON = (Reason.MALFORMED_JSON, Reason.NOT_AN_OBJECT, Reason.TOO_COMPLEX)
OF_MESSAGE = (
    *_OF_JSON,
    Reason.MESSAGE_TOO_LARGE,
    Reason.INVALID_ID,
    Reason.INVALID_MESSAGE_ID,
    Reason.NO_USER_ANON_ID,
    Reason.BOT,
)
OF_TYPE = {
    "track": (Reason.EVENT_NOT_STRING,),
    "group": (Reason.NO_GROUP_ID,),
    "alias": (Reason.NO_USER_ID, Reason.NO_PREVIOUS_ID),
}
OF_ANY_TYPE = (
    *OF_MESSAGE,
    *(reason for kind in OF_TYPE.values() for reason in kind),
)
OF_BATCH = (*_OF_JSON, Reason.BATCH_NOT_ARRAY, Reason.BATCH_TOO_LONG)
OF_TOKEN = (Reason.INVALID_TOKEN, Reason.ADMIN_TOKEN_REQUIRED)


def responses_of(
    schema: dict[str, Any],
    sample: object,
    reasons: Iterable[Reason] = (),
    words: str = "Success.",
) -> dict[str, Any]:
    """All answers of an operation whose body is JSON.

    Args:
        schema: of a success.
        sample: of one; None for none.
        reasons: why it may be refused.
        words: what a success says.
    """
    success = {
        "description": words,
        "headers": headers(["Access-Control-Allow-Origin"]),
        "content": bodies(schema, (_JSON,), sample),
    }
    refusals = refusals_of(reasons, bodies(reference(TrackingRefusal), (_JSON,)))
    unreadable: dict[str, Any] = dict(UNREADABLE)
    if 400 in refusals:
        content = {**refusals[400]["content"], **UNREADABLE["content"]}
        words = f"{refusals[400]['description']} As plain text: {UNREADABLE['description']}"
        unreadable = {**refusals[400], "description": words, "content": content}
    return statuses({**refusals, 200: success, 400: unreadable})


def refusals_of(reasons: Iterable[Reason], content: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Refusals by status, with the codes that each may have."""
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for reason in reasons:
        status, sentence = EXPLANATIONS[reason]
        by_status[status].append(f"`{reason.value}`: {sentence}")
    names = ["Access-Control-Allow-Origin"]
    return {
        status: {
            "description": " ".join(said),
            "headers": headers([*names, "Retry-After"] if status in (429, 503) else names),
            "content": content,
        }
        for status, said in by_status.items()
    }
