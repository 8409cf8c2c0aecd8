"""The channels of alerts: list, add, change, try out and remove.

Over the API, webhooks are added that lead to public addresses. E-mail and services, whose servers
may be anywhere, are the operator's to add: `headcount channel add`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.alerting.channels import rotated, sealed, shown, webhook_config
from headcount.alerting.tell_channels import try_out
from headcount.api.v1.alert_log import DeliveryAnswer, DeliveryBody, entry_of
from headcount.api.v1.tokens import Moment
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, body_of, endpoint
from headcount.api.wire.problems import Problem
from headcount.catalog import Channel, ChannelKind, DigestWhen
from headcount.catalog.entities import fresh_id
from headcount.counting.calendar import moment_text
from headcount.errors import DataFolderError, UsageError

__all__ = [
    "CHANNEL_HANDLERS",
    "ChannelBody",
    "ChannelListBody",
    "ChannelRecord",
    "NewChannelBody",
]

_ROTATES_FOR_MS = 24 * 3_600_000


class ChannelRecord(msgspec.Struct, rename="camel"):
    """A channel, without its secrets."""

    id: str
    name: str
    kind: Annotated[ChannelKind, Meta(description="How it tells; `apprise` for Slack and others.")]
    leads_to: Annotated[str, Meta(description="Where to, without anything that is a secret.")]
    state: Annotated[
        Literal["on", "off", "gone"],
        Meta(description="`gone` once it has answered 410: it is told nothing more."),
    ]
    digest: Annotated[DigestWhen, Meta(description="How often it is sent a digest.")]
    created_at: Moment
    said: Annotated[str, Meta(description="Why it is gone.")] | UnsetType = UNSET


class ChannelListBody(msgspec.Struct):
    """All channels of the workspace."""

    channels: list[ChannelRecord]


class ChannelListAnswer(msgspec.Struct):
    """All channels of the workspace, oldest first."""

    data: ChannelListBody


class ChannelBody(msgspec.Struct):
    """One channel."""

    channel: ChannelRecord


class ChannelAnswer(msgspec.Struct):
    """One channel."""

    data: ChannelBody


class NewChannelBody(msgspec.Struct):
    """A channel and its secret."""

    channel: ChannelRecord
    secret: Annotated[
        str, Meta(description="With which posts are signed (Standard Webhooks); not shown again.")
    ]
    untold: (
        Annotated[
            int,
            Meta(
                description="Of a new channel: how many alerts nobody was told, for there was none."
                " The log has them, and resends them."
            ),
        ]
        | UnsetType
    ) = UNSET


class NewChannelAnswer(msgspec.Struct):
    """A channel and its secret."""

    data: NewChannelBody


class NewChannel(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A webhook to add."""

    name: Annotated[str, Meta(description="Unique in the workspace.", max_length=200)]
    webhook: Annotated[
        str, Meta(description="A public address that begins with https://.", max_length=1000)
    ]


class ChannelChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change of a channel; what is not named stays."""

    state: (
        Annotated[Literal["on", "off"], Meta(description="Tell it, or keep what is to be told.")]
        | UnsetType
    ) = UNSET
    digest: DigestWhen | UnsetType = UNSET


def _record(channel: Channel) -> ChannelRecord:
    return ChannelRecord(
        channel.id, channel.name, channel.kind, channel.shown, channel.state, channel.digest,
        moment_text(channel.created_at_ms), channel.said or UNSET,
    )  # fmt: skip


def _channel(caller: Caller, channel_id: str) -> Channel:
    channels = caller.services.catalog.channels(caller.workspace.number)
    found = next((each for each in channels if each.id == channel_id), None)
    if found is None:
        raise Problem(404, "This workspace has no channel of that id.", field="channelId")
    return found


def _key(caller: Caller) -> bytes:
    try:
        return caller.services.channel_key()
    except DataFolderError as error:
        raise Problem(503, f"{error.problem} {error.remedy}") from error


@endpoint(
    "GET",
    "/headcount/v1/channels",
    Contract(
        name="listChannels",
        summary="All channels of alerts",
        description="Where alerts are told. Their secrets, and addresses that are one, nobody can"
        " read.",
        tag="Alerts",
        answer=ChannelListAnswer,
    ),
)
def list_channels(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    channels = caller.services.catalog.channels(caller.workspace.number)
    return answer(ChannelListAnswer(ChannelListBody([_record(each) for each in channels])))


@endpoint(
    "POST",
    "/headcount/v1/channels",
    Contract(
        name="addChannel",
        summary="Add a webhook",
        description="Alerts are posted there, signed as Standard Webhooks says. The secret is in"
        " this answer and nowhere else. E-mail and services such as Slack are added by the"
        " operator, on the command line.",
        tag="Alerts",
        answer=NewChannelAnswer,
        body=NewChannel,
        status=201,
        errors=(413, 422),
        access="admin",
    ),
)
async def add_channel(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    new = await body_of(request, NewChannel)
    channel_id = fresh_id()
    try:
        # Its name is looked up, which may take a while, and others are not to wait for it.
        config = await asyncio.to_thread(webhook_config, new.webhook, by_token=True)
        made = caller.services.catalog.add_channel(
            caller.workspace.number,
            channel_id=channel_id,
            name=new.name,
            kind="webhook",
            shown=shown(config),
            sealed=sealed(_key(caller), channel_id, config),
            digest="none",
            now_ms=caller.services.clock(),
        )
    except UsageError as error:
        raise Problem(422, f"{error.problem} {error.remedy}", field="webhook") from error
    untold = len(caller.services.catalog.untold(caller.workspace.number))
    return answer(NewChannelAnswer(NewChannelBody(_record(made), config.secret, untold)))


@endpoint(
    "PATCH",
    "/headcount/v1/channels/{channel_id:str}",
    Contract(
        name="changeChannel",
        summary="Change a channel",
        description="Switches it on or off, or says how often it is sent a digest by e-mail.",
        tag="Alerts",
        answer=ChannelAnswer,
        body=ChannelChange,
        errors=(404, 413, 422),
        access="admin",
    ),
)
async def change_channel(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    wanted = await body_of(request, ChannelChange)
    channel = _channel(caller, request.path_params["channel_id"])
    changes: dict[str, Any] = {}
    if wanted.state is not UNSET:
        changes |= {"state": wanted.state, "said": ""}
    if wanted.digest is not UNSET:
        if channel.kind != "email" and wanted.digest != "none":
            raise Problem(422, "A digest is sent by e-mail.", field="digest")
        changes["digest"] = wanted.digest
    changed = caller.services.catalog.change_channel(
        channel.number, caller.services.clock(), **changes
    )
    return answer(ChannelAnswer(ChannelBody(_record(changed))))


@endpoint(
    "POST",
    "/headcount/v1/channels/{channel_id:str}/rotate-secret",
    Contract(
        name="rotateChannelSecret",
        summary="Give a webhook a new secret",
        description="For a day, posts are signed with both. The new one is in this answer only.",
        tag="Alerts",
        answer=NewChannelAnswer,
        errors=(404,),
        access="admin",
    ),
)
def rotate_channel_secret(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    channel = _channel(caller, request.path_params["channel_id"])
    now_ms, key = caller.services.clock(), _key(caller)
    try:
        config = rotated(key, channel, now_ms + _ROTATES_FOR_MS)
    except UsageError as error:
        raise Problem(404, f"{error.problem} {error.remedy}", field="channelId") from error
    changed = caller.services.catalog.change_channel(
        channel.number, now_ms, sealed=sealed(key, channel.id, config)
    )
    return answer(NewChannelAnswer(NewChannelBody(_record(changed), config.secret)))


@endpoint(
    "DELETE",
    "/headcount/v1/channels/{channel_id:str}",
    Contract(
        name="removeChannel",
        summary="Remove a channel",
        description="What waits for it is told to nobody.",
        tag="Alerts",
        answer=ChannelAnswer,
        errors=(404,),
        access="admin",
    ),
)
def remove_channel(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    channel = _channel(caller, request.path_params["channel_id"])
    now_ms = caller.services.clock()
    caller.services.catalog.change_channel(channel.number, now_ms, removed_at_ms=now_ms)
    return answer(ChannelAnswer(ChannelBody(_record(channel))))


@endpoint(
    "POST",
    "/headcount/v1/channels/{channel_id:str}/test",
    Contract(
        name="testChannel",
        summary="Try a channel out",
        description="Tells it that this is a test; the log says what became of it. Not while many"
        " tests wait for it.",
        tag="Alerts",
        answer=DeliveryAnswer,
        errors=(404, 422),
        access="admin",
    ),
)
def try_channel(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    channel = _channel(caller, request.path_params["channel_id"])
    if channel.state != "on":
        raise Problem(404, f"The channel is {channel.state}, and tells nobody.", field="channelId")
    now_ms, workspace = caller.services.clock(), caller.workspace
    new = try_out((workspace.id, workspace.name), channel, "", now_ms)
    try:
        made = caller.services.catalog.add_delivery(new, now_ms)
    except UsageError as error:
        raise Problem(422, f"{error.problem} {error.remedy}", field="channelId") from error
    return answer(DeliveryAnswer(DeliveryBody(entry_of(made, {channel.number: channel}))))


CHANNEL_HANDLERS = [
    list_channels,
    add_channel,
    change_channel,
    rotate_channel_secret,
    remove_channel,
    try_channel,
]
