"""What messages and answers of the tracking address look like, for its description alone.

What is taken apart here is never taken in by these: `decoding` and `batches` are more forgiving.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = [
    "SAMPLE_VALUES",
    "SHAPES",
    "BatchBody",
    "BatchMessage",
    "ImportBody",
    "Taken",
    "TakenBatch",
    "TrackingHealth",
    "TrackingRefusal",
]

Id = Annotated[
    str | int, Meta(description="At most 1,024 characters; a number is taken as its text.")
]
MessageId = Annotated[
    str | int,
    Meta(
        description="Tells deliveries of one message apart from another message: at most 100"
        " characters. Without one, a delivery that is repeated counts again."
    ),
]
Moment = Annotated[
    str, Meta(description="RFC 3339 with a zone.", extra_json_schema={"format": "date-time"})
]
WriteKey = Annotated[str, Meta(description="Of the source, where HTTP Basic does not name it.")]
Anything = Annotated[dict[str, Any], Meta(description="Whatever you like to send; it is not kept.")]


class SentMessage(msgspec.Struct, rename="camel"):
    """What any message may hold."""

    user_id: Id | UnsetType = UNSET
    anonymous_id: Id | UnsetType = UNSET
    message_id: MessageId | UnsetType = UNSET
    timestamp: Moment | UnsetType = UNSET
    context: Anything | UnsetType = UNSET
    write_key: WriteKey | UnsetType = UNSET


class TrackMessage(SentMessage):
    """Something that somebody did; needs a `userId` or an `anonymousId`."""

    event: Annotated[str, Meta(description="What was done.")] = ""
    properties: Anything | UnsetType = UNSET


class IdentifyMessage(SentMessage):
    """Who somebody is; needs a `userId` or an `anonymousId`."""

    traits: Anything | UnsetType = UNSET


class PageMessage(SentMessage):
    """A page that somebody saw; needs a `userId` or an `anonymousId`."""

    name: str | UnsetType = UNSET
    properties: Anything | UnsetType = UNSET


class ScreenMessage(SentMessage):
    """A screen that somebody saw; needs a `userId` or an `anonymousId`."""

    name: str | UnsetType = UNSET
    properties: Anything | UnsetType = UNSET


class GroupMessage(SentMessage):
    """A group that somebody belongs to; needs a `userId` or an `anonymousId`."""

    group_id: Annotated[str | int, Meta(description="The group's id; it is not counted.")] = ""
    traits: Anything | UnsetType = UNSET


class AliasMessage(SentMessage):
    """That an id seen before is somebody's; needs a `userId` too."""

    previous_id: Annotated[str | int, Meta(description="Taken as an anonymousId.")] = ""


class BatchMessage(SentMessage):
    """A message of any type, with what that type needs."""

    type: Literal["track", "identify", "page", "screen", "group", "alias"] = "track"
    event: str | UnsetType = UNSET
    group_id: str | int | UnsetType = UNSET
    previous_id: Id | UnsetType = UNSET


class BatchBody(msgspec.Struct, rename="camel"):
    """Several messages."""

    batch: Annotated[list[BatchMessage], Meta(max_length=100_000)]
    write_key: WriteKey | UnsetType = UNSET


class ImportedMessage(BatchMessage):
    """A message of the past, which brings its time and its source."""

    received_at: (
        Annotated[
            str,
            Meta(
                description="Counts on this day, in UTC; else on that of `timestamp`.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | UnsetType
    ) = UNSET
    source_id: (
        Annotated[str, Meta(description="Id of the source; else its `writeKey`.")] | UnsetType
    ) = UNSET


class ImportBody(msgspec.Struct, rename="camel"):
    """Several messages of the past."""

    batch: Annotated[list[ImportedMessage], Meta(max_length=100_000)]
    write_key: WriteKey | UnsetType = UNSET


class Taken(msgspec.Struct):
    """That everything is durable."""

    success: bool


class RejectedItem(msgspec.Struct):
    """A message of a batch that was not taken."""

    index: Annotated[int, Meta(description="Its place in the batch, from 0.", ge=0)]
    code: Annotated[str, Meta(description="Why.")]


class TakenBatch(msgspec.Struct, rename="camel"):
    """That whatever was taken is durable, and what was not taken."""

    success: bool
    rejected: (
        Annotated[list[RejectedItem], Meta(description="The first hundred; absent without any.")]
        | UnsetType
    ) = UNSET
    rejected_more: Annotated[int, Meta(description="How many more were rejected.")] | UnsetType = (
        UNSET
    )


class TrackingRefusal(msgspec.Struct):
    """Why a request was refused; nothing of it was taken."""

    code: Annotated[str, Meta(description="A word that stays the same.")]
    message: Annotated[str, Meta(description="What would have been right.")]


class TrackingHealth(msgspec.Struct):
    """That this process lives."""

    status: Annotated[str, Meta(description='"ok".')]


SHAPES: dict[str, type[SentMessage]] = {
    "track": TrackMessage,
    "identify": IdentifyMessage,
    "page": PageMessage,
    "screen": ScreenMessage,
    "group": GroupMessage,
    "alias": AliasMessage,
}
SAMPLE_VALUES: dict[str, Any] = {
    "TrackMessage": {"userId": "user-1", "event": "Signed up"},
    "IdentifyMessage": {"userId": "user-1", "traits": {"plan": "free"}},
    "PageMessage": {"anonymousId": "browser-1", "name": "Prices"},
    "ScreenMessage": {"userId": "user-1", "name": "Basket"},
    "GroupMessage": {"userId": "user-1", "groupId": "company-1"},
    "AliasMessage": {"userId": "user-1", "previousId": "browser-1"},
    "BatchBody": {
        "batch": [
            {"type": "page", "anonymousId": "browser-1"},
            {"type": "track", "userId": "user-1", "event": "Bought"},
        ]
    },
    "BatchMessage": {"type": "track", "userId": "user-1", "event": "Bought"},
    "ImportBody": {
        "batch": [
            {
                "type": "track",
                "userId": "user-1",
                "event": "Bought",
                "messageId": "order-1001",
                "receivedAt": "2026-11-01T10:00:00Z",
                "sourceId": "$SOURCE_ID",
            }
        ]
    },
    "RejectedItem": {"index": 3, "code": "no_user_anon_id"},
    "TakenBatch.rejectedMore": ...,
    "status": "ok",
}
