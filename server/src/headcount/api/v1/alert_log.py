"""The log of alerts: what was told to which channel, what became of each try, and telling again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.alerting.telling_again import tell_again
from headcount.api.v1.tokens import Moment
from headcount.api.wire.context import caller_of
from headcount.api.wire.contract import Contract, answer, endpoint
from headcount.api.wire.problems import Problem
from headcount.catalog import NO_CHANNEL, Channel, DeliveryRecord, DeliveryState
from headcount.counting.calendar import moment_text
from headcount.errors import UsageError

__all__ = [
    "ALERT_LOG_HANDLERS",
    "AlertLogBody",
    "DeliveryAnswer",
    "DeliveryBody",
    "DeliveryEntry",
    "entry_of",
]

_LOG_MOST = 100
_TRY_MOST = 12
_DIGITS_MAX = 15
_NOT_THERE = {True: "no channel", False: "a channel that is removed"}


class DeliveryTry(msgspec.Struct, rename="camel"):
    """One try to tell a channel something."""

    at: Moment
    said: Annotated[str, Meta(description="What was answered, or why there is no answer.")]
    took_ms: Annotated[int, Meta(description="Milliseconds.")]
    status: int | UnsetType = UNSET


class DeliveryEntry(msgspec.Struct, rename="camel"):
    """What is told to one channel."""

    id: int
    event: Annotated[str, Meta(description="The same whenever the same is told: `webhook-id`.")]
    kind: Literal["alert", "test", "digest"]
    channel_id: Annotated[str, Meta(description="Empty where there is none.")]
    channel_name: str
    title: str
    lines: list[str]
    state: Annotated[
        DeliveryState,
        Meta(
            description="`waiting` until it is taken; `failed` after three days of tries; `dropped`"
            " where nobody could be told: the try says why."
        ),
    ]
    made_at: Moment
    attempts: int
    tries: Annotated[list[DeliveryTry], Meta(description="The last of them, oldest first.")]
    next_at: Moment | UnsetType = UNSET


class AlertLogBody(msgspec.Struct):
    """What was told, and what is to be, the latest first."""

    deliveries: list[DeliveryEntry]


class AlertLogAnswer(msgspec.Struct):
    """What was told, and what is to be: the latest 100."""

    data: AlertLogBody


class DeliveryBody(msgspec.Struct):
    """What is told to one channel."""

    delivery: DeliveryEntry


class DeliveryAnswer(msgspec.Struct):
    """What is told to one channel."""

    data: DeliveryBody


def entry_of(record: DeliveryRecord, channels: dict[int, Channel]) -> DeliveryEntry:
    """A delivery as the log shows it, given the channels by number."""
    data = msgspec.json.decode(record.body)["data"]
    lines = [each["text"] for each in data.get("crossings", ())] or data.get("lines", [])
    channel = channels.get(record.channel)
    return DeliveryEntry(
        record.id,
        record.event,
        record.kind,
        "" if channel is None else channel.id,
        _NOT_THERE[record.channel == NO_CHANNEL] if channel is None else channel.name,
        data["title"],
        lines,
        record.state,
        moment_text(record.made_at_ms),
        record.attempts,
        [
            DeliveryTry(moment_text(each.at_ms), each.said, each.took_ms, each.status or UNSET)
            for each in record.log[-_TRY_MOST:]
        ],
        moment_text(record.next_at_ms) if record.state == "waiting" else UNSET,
    )


@endpoint(
    "GET",
    "/headcount/v1/alert-log",
    Contract(
        name="readAlertLog",
        summary="What was told",
        description="Each event once for each of its channels, the latest 100 first, with what"
        " became of every try. Kept for three months.",
        tag="Alerts",
        answer=AlertLogAnswer,
    ),
)
def read_alert_log(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    catalog, number = caller.services.catalog, caller.workspace.number
    channels = {each.number: each for each in catalog.channels(number)}
    records = catalog.deliveries(number, most=_LOG_MOST)
    return answer(AlertLogAnswer(AlertLogBody([entry_of(each, channels) for each in records])))


@endpoint(
    "POST",
    "/headcount/v1/alert-log/{delivery_id:str}/resend",
    Contract(
        name="resendAlert",
        summary="Tell something again",
        description="To the same channel, under the same name. What nobody was told, for there was"
        " no channel, is told to those that are there now.",
        tag="Alerts",
        answer=DeliveryAnswer,
        path_examples={"delivery_id": "17"},
        errors=(404,),
        access="admin",
    ),
)
def resend_alert(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    catalog, number = caller.services.catalog, caller.workspace.number
    channels = {each.number: each for each in catalog.channels(number)}
    given = request.path_params["delivery_id"]
    plain = given.isascii() and given.isdigit() and len(given) <= _DIGITS_MAX
    found = catalog.delivery(int(given)) if plain else None
    if found is None or found.workspace != number:
        raise Problem(404, "This workspace has no delivery of that id.", field="deliveryId")
    try:
        again = tell_again(catalog, found, caller.services.clock())
    except UsageError as error:
        raise Problem(404, error.problem, field="deliveryId") from error
    return answer(DeliveryAnswer(DeliveryBody(entry_of(again, channels))))


ALERT_LOG_HANDLERS = [read_alert_log, resend_alert]
