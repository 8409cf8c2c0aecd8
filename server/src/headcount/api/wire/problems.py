"""Every refusal that the API can give: a status, a type, a sentence, and the one envelope.

Takes any exception, gives a `Problem`; refuses to let anything of an unexpected one leave the
server. `TYPES` is the one table from statuses to types.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar.exceptions import HTTPException
from msgspec import UNSET, Meta, UnsetType

from headcount.errors import (
    CatalogUnchangedError,
    DamagedDataError,
    DataFolderError,
    StorageUnavailableError,
)

__all__ = [
    "TYPES",
    "Problem",
    "RateLimitData",
    "RequestError",
    "RequestErrorEnvelope",
    "invalid",
    "problem_of",
]

TYPES = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    408: "request-timeout",
    413: "too-large",
    422: "input-validation",
    429: "rate-limit",
    500: "internal",
    503: "unavailable",
}
"""The `type` of an error, by the status that it is answered with."""

_SENTENCES = {
    400: "The request is not well-formed HTTP.",
    404: "There is nothing at this path; /docs lists every operation.",
    405: "This path does not take that method; the Allow header names those it takes.",
    413: "The body is too large; no operation here takes more than 64 KiB.",
}
_INTERNAL = "Something failed on the server; its log holds the details under the X-Request-Id."
_DAMAGED = (
    "What is asked for is damaged on the server's disk, and is not shown until it is repaired; the"
    " server's log and headcount doctor say more."
)
_UNAVAILABLE = "The storage cannot be read or written at the moment; try again shortly."

_log = logging.getLogger("headcount.api")


class RateLimitData(msgspec.Struct, rename="camel"):
    """What a refusal for too many requests says about the budget."""

    remaining_points: Annotated[int, Meta(description="Requests left in this window.", ge=0)]
    ms_before_next: Annotated[int, Meta(description="Milliseconds until it starts again.", ge=0)]
    consumed_points: Annotated[int, Meta(description="Requests made in it, refused ones too.")]


class RequestError(msgspec.Struct):
    """One thing that was wrong with a request."""

    type: Annotated[str, Meta(description="What kind of refusal: one word for each status.")]
    message: Annotated[str, Meta(description="What was wrong and what would have been right.")]
    field: Annotated[str, Meta(description="The field that was wrong.")] | UnsetType = UNSET
    data: RateLimitData | UnsetType = UNSET


class RequestErrorEnvelope(msgspec.Struct):
    """The body of every answer that is not a success."""

    errors: Annotated[list[RequestError], Meta(min_length=1)]


class Problem(Exception):
    """A refusal on its way to the client.

    Args:
        status: HTTP status, one of `TYPES`.
        message: one sentence or two: what was wrong, what would have been right.
        field: the query parameter or member of the body that was wrong.
        data: figures that belong to the refusal.
        headers: headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,
        data: RateLimitData | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = RequestError(
            TYPES[status],
            message,
            UNSET if field is None else field,
            UNSET if data is None else data,
        )
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """The envelope, encoded."""
        return msgspec.json.encode(RequestErrorEnvelope([self.error]))


def invalid(field: str, message: str) -> Problem:
    """A 422 about one field; the message completes the sentence that starts with its name."""
    return Problem(422, f'"{field}" {message}', field=field)


def problem_of(error: Exception) -> Problem:
    """What to answer when handling a request raised this.

    Args:
        error: anything; what was not raised on purpose is logged and becomes a 500.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException) and error.status_code in _SENTENCES:
        headers: Mapping[str, Any] = error.headers or {}
        allow = {name: value for name, value in headers.items() if name.lower() == "allow"}
        return Problem(error.status_code, _SENTENCES[error.status_code], headers=allow)
    if isinstance(error, DamagedDataError):
        _log.error("%s", error)
        return Problem(503, _DAMAGED)
    if isinstance(error, CatalogUnchangedError):
        return Problem(503, f"{error}", headers={"Retry-After": "1"})
    if isinstance(error, DataFolderError | StorageUnavailableError):
        _log.warning("storage unavailable: %s", error)
        return Problem(503, _UNAVAILABLE, headers={"Retry-After": "1"})
    _log.error("a request failed", exc_info=error)
    return Problem(500, _INTERNAL)
