"""Every reason for which intake refuses a message or a request: once, with status and remedy.

The codes are part of the tracking API; rejections are tallied under them. Append, never rename.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from headcount.intake.ports import SourceRef

__all__ = [
    "EXPLANATIONS",
    "FOR_WANT_OF_ROOM",
    "OF_FORM",
    "OF_ONE_SOURCE",
    "Explanation",
    "Reason",
    "Refused",
]


class Reason(StrEnum):
    """Why a message or a request was refused; the value is the code on the wire."""

    # One message.
    MALFORMED_JSON = "malformed_json"
    NOT_AN_OBJECT = "not_an_object"
    MESSAGE_TOO_LARGE = "message_too_large"
    UNKNOWN_TYPE = "unknown_type"
    INVALID_ID = "invalid_id"
    INVALID_MESSAGE_ID = "invalid_message_id"
    NO_USER_ANON_ID = "no_user_anon_id"
    NO_USER_ID = "no_user_id"
    NO_PREVIOUS_ID = "no_previous_id"
    NO_GROUP_ID = "no_group_id"
    EVENT_NOT_STRING = "event_not_string"
    TOO_COMPLEX = "too_complex"
    BOT = "bot"
    # The write key, of a request or of one message.
    NO_WRITE_KEY = "no_write_key"
    UNKNOWN_WRITE_KEY = "unknown_write_key"
    # The API token of an import over HTTP.
    INVALID_TOKEN = "invalid_token"  # noqa: S105
    ADMIN_TOKEN_REQUIRED = "admin_token_required"  # noqa: S105
    # A whole request.
    BATCH_NOT_ARRAY = "batch_not_array"
    BATCH_TOO_LONG = "batch_too_long"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TIMEOUT = "body_timeout"
    BODY_TOO_SLOW = "body_too_slow"
    INVALID_GZIP = "invalid_gzip"
    TOO_MANY_GZIP_MEMBERS = "too_many_gzip_members"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    INVALID_PIXEL_DATA = "invalid_pixel_data"
    NOT_FOUND = "not_found"
    NO_LIBRARY = "no_library"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    OVERLOADED = "overloaded"
    SOURCE_OVER_SHARE = "source_over_share"
    SOURCE_OVER_BUDGET = "source_over_budget"
    QUOTA_REACHED = "quota_reached"
    MEMORY_SHORT = "memory_short"
    FORWARDING_FULL = "forwarding_full"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    INTERNAL_ERROR = "internal_error"
    # An imported record.
    NOT_UTF8 = "not_utf8"
    MALFORMED_ROW = "malformed_row"
    UNKNOWN_SOURCE = "unknown_source"
    NO_RECEIVED_AT = "no_received_at"
    INVALID_RECEIVED_AT = "invalid_received_at"
    RECEIVED_AT_WITHOUT_ZONE = "received_at_without_zone"
    RECEIVED_AT_IN_FUTURE = "received_at_in_future"
    RECEIVED_AT_BEFORE_2000 = "received_at_before_2000"
    PERIOD_SEALED = "period_sealed"


OF_ONE_SOURCE = (
    Reason.SOURCE_OVER_SHARE,
    Reason.SOURCE_OVER_BUDGET,
    Reason.QUOTA_REACHED,
    Reason.MEMORY_SHORT,
    Reason.FORWARDING_FULL,
)
"""Why one source has to send again later, and others need not."""

FOR_WANT_OF_ROOM = (Reason.OVERLOADED, Reason.BODY_TOO_SLOW, *OF_ONE_SOURCE)
"""Why whoever was refused sends again."""


class Explanation(NamedTuple):
    """The HTTP status of a refusal, and a sentence that says what would have been right."""

    status: int
    sentence: str


EXPLANATIONS: dict[Reason, Explanation] = {
    Reason.MALFORMED_JSON: Explanation(
        400, "A message, and what stands around it, must be JSON (RFC 8259) in UTF-8."
    ),
    Reason.NOT_AN_OBJECT: Explanation(400, "A message must be a JSON object."),
    Reason.MESSAGE_TOO_LARGE: Explanation(
        400,
        "A message may have at most 32 KiB of JSON, an imported record 128 KiB; send less in it.",
    ),
    Reason.UNKNOWN_TYPE: Explanation(
        400, '"type" must be "track", "identify", "page", "screen", "group" or "alias".'
    ),
    Reason.INVALID_ID: Explanation(
        400,
        '"userId", "anonymousId", "previousId" and "groupId" must be strings or integers,'
        " the first three of at most 1024 characters.",
    ),
    Reason.INVALID_MESSAGE_ID: Explanation(
        400, '"messageId" must be a string or an integer of at most 100 characters.'
    ),
    Reason.NO_USER_ANON_ID: Explanation(400, 'A message needs a "userId" or an "anonymousId".'),
    Reason.NO_USER_ID: Explanation(400, 'An alias message needs a "userId".'),
    Reason.NO_PREVIOUS_ID: Explanation(400, 'An alias message needs a "previousId".'),
    Reason.NO_GROUP_ID: Explanation(400, 'A group message needs a "groupId".'),
    Reason.EVENT_NOT_STRING: Explanation(400, 'A track message needs "event", a string.'),
    Reason.TOO_COMPLEX: Explanation(
        400,
        "The message, or what stands around it, takes too much work to read:"
        " send simpler JSON, or fewer messages at a time.",
    ),
    Reason.BOT: Explanation(
        400,
        "This source refuses messages of known crawlers, and the User-Agent is that of one.",
    ),
    Reason.NO_WRITE_KEY: Explanation(
        401,
        'Send the source\'s write key as HTTP Basic user name, as X-Write-Key, or as "writeKey" in'
        " the query or the body.",
    ),
    Reason.UNKNOWN_WRITE_KEY: Explanation(
        401, "No enabled source has this write key; compare it with the list of sources."
    ),
    Reason.INVALID_TOKEN: Explanation(
        401, "This API token is unknown, expired or revoked; see the workspace's list of tokens."
    ),
    Reason.ADMIN_TOKEN_REQUIRED: Explanation(
        403, 'Only a token of scope "admin" may import; this one may read.'
    ),
    Reason.BATCH_NOT_ARRAY: Explanation(
        400, 'The body must be an object whose "batch" is an array of messages.'
    ),
    Reason.BATCH_TOO_LONG: Explanation(
        400, '"batch" may hold at most 100,000 messages; send several batches.'
    ),
    Reason.BODY_TOO_LARGE: Explanation(
        400, "A body may have at most 4 MiB, decompressed; send several batches."
    ),
    # Not 408: some clients drop what a status below 500 refuses.
    Reason.BODY_TIMEOUT: Explanation(503, "The body did not arrive in time; send it again."),
    Reason.BODY_TOO_SLOW: Explanation(
        503, "Too many bodies were arriving, and this was among the slowest; send it again."
    ),
    Reason.INVALID_GZIP: Explanation(
        400, "The body is not the gzip data that Content-Encoding promises."
    ),
    Reason.TOO_MANY_GZIP_MEMBERS: Explanation(
        400, "A gzip body may have at most 1,000 members; send several bodies."
    ),
    Reason.UNSUPPORTED_ENCODING: Explanation(
        415, "Content-Encoding must be gzip, identity or absent."
    ),
    Reason.INVALID_PIXEL_DATA: Explanation(
        400,
        'The query parameter "data" must be the message\'s JSON in base64; without it, the'
        " message's fields must be parameters.",
    ),
    Reason.NOT_FOUND: Explanation(404, "There is nothing at this address."),
    Reason.NO_LIBRARY: Explanation(
        404,
        "This server was given no analytics.min.js to serve: start it with --analytics-js FILE, or"
        " load the library from elsewhere.",
    ),
    Reason.METHOD_NOT_ALLOWED: Explanation(405, "Use a method that the Allow header names."),
    Reason.OVERLOADED: Explanation(
        429, "The server has more requests than it can take; send again after Retry-After."
    ),
    Reason.SOURCE_OVER_SHARE: Explanation(
        429,
        "The server has more to do than it can, and this source has the most waiting; send again"
        " after Retry-After.",
    ),
    Reason.SOURCE_OVER_BUDGET: Explanation(
        429,
        "This source has used the messages, or the new ids, that it may bring in a minute; send"
        " again after Retry-After.",
    ),
    Reason.QUOTA_REACHED: Explanation(
        429,
        "This source has used its quota of the month; send again after Retry-After, which is an"
        " hour at most, and ask who set it.",
    ),
    Reason.MEMORY_SHORT: Explanation(
        429,
        "The meter has no memory for more ids of this source; send again after Retry-After, and"
        " tell the operator.",
    ),
    Reason.FORWARDING_FULL: Explanation(
        429,
        "This source forwards to a vendor that has fallen behind, and what waits for it takes all"
        " the room there is; send again after Retry-After, and tell the operator.",
    ),
    Reason.STORAGE_UNAVAILABLE: Explanation(
        503, "The messages could not be stored and are not counted; send them again."
    ),
    Reason.INTERNAL_ERROR: Explanation(
        500, "The server failed on this request and has logged why; send it again."
    ),
    Reason.NOT_UTF8: Explanation(400, "A record must be in UTF-8; convert the file first."),
    Reason.MALFORMED_ROW: Explanation(
        400,
        "A row of a table must have a cell for each column that the heading names, and its quotes"
        " must be closed.",
    ),
    Reason.UNKNOWN_SOURCE: Explanation(
        400,
        'The record\'s "writeKey", "sourceId" or "projectId" must name a source of the workspace.',
    ),
    Reason.NO_RECEIVED_AT: Explanation(
        400, 'An imported record needs "receivedAt", or else "timestamp".'
    ),
    Reason.INVALID_RECEIVED_AT: Explanation(
        400, '"receivedAt" (else "timestamp") must look like 2026-11-23T10:00:00Z.'
    ),
    Reason.RECEIVED_AT_WITHOUT_ZONE: Explanation(
        400, '"receivedAt" (else "timestamp") needs a zone: a final Z, or an offset like +02:00.'
    ),
    Reason.RECEIVED_AT_IN_FUTURE: Explanation(
        400, '"receivedAt" (else "timestamp") must not lie in the future.'
    ),
    Reason.RECEIVED_AT_BEFORE_2000: Explanation(
        400,
        '"receivedAt" (else "timestamp") must not lie before 2000-01-01 in UTC; a time of the year'
        " 1 is how some programs write that they know none.",
    ),
    Reason.PERIOD_SEALED: Explanation(
        400,
        "The month of this record is closed for good: 35 days after its end, or after the last"
        " import into it, its ids are dropped and nothing more can be counted in it.",
    ),
}


OF_FORM = (
    Reason.MALFORMED_JSON,
    Reason.NOT_AN_OBJECT,
    Reason.BATCH_NOT_ARRAY,
    Reason.INVALID_PIXEL_DATA,
    Reason.UNKNOWN_TYPE,
    Reason.NO_USER_ANON_ID,
    Reason.EVENT_NOT_STRING,
)
"""What is wrong with a body that is made for another address, and so may need that one's name."""


class Refused(Exception):
    """A request that ends here.

    Args:
        reason: why.
        source: whose single message it was, when that is known, so that it can be tallied.
    """

    def __init__(self, reason: Reason, source: SourceRef | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.source = source
