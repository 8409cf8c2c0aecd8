"""Records of alerts: rules, channels, deliveries and quotas, as the catalog keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from headcount.counting.alerts import AlertKind

__all__ = [
    "NO_CHANNEL",
    "AlertRuleRecord",
    "Attempt",
    "Channel",
    "ChannelKind",
    "DeliveryRecord",
    "DeliveryState",
    "DigestWhen",
    "NewDelivery",
    "QuotaRecord",
]

NO_CHANNEL = 0
"""The channel of what nobody could be told."""

ChannelKind = Literal["webhook", "email", "apprise"]
"""How a channel tells: by a signed webhook, by e-mail, or by one of the services that Apprise
knows, such as Slack."""

ChannelState = Literal["on", "off", "gone"]
"""Whether a channel is told anything; one is gone that has answered that it is."""

DigestWhen = Literal["none", "daily", "weekly"]
"""How often a channel is sent a digest."""

DeliveryKind = Literal["alert", "test", "digest"]
"""What is told."""

DeliveryState = Literal["waiting", "delivered", "failed", "dropped"]
"""What became of it: it is tried, or tried again; the channel took it; it was tried for days in
vain; or it is not to be told, or could not be: there was no channel, or too much waited for it."""


@dataclass(frozen=True, slots=True)
class AlertRuleRecord:
    """A rule as it was made.

    Attributes:
        number: 1, 2, 3, ... over all workspaces; never reused.
        id: random text.
        workspace: the workspace's number.
        source: the number of the source that it is about; None for the whole workspace.
        name: what people call it.
        kind, metric, quiet_hours: as for `AlertRule`.
        thresholds: in the spelling of `parse_threshold`.
        channels: numbers of those that tell; none for all that the workspace has.
        enabled: whether it is judged by.
        created_at_ms: milliseconds since 1970, UTC.
        removed_at_ms: when it was removed; None while it is there.
    """

    number: int
    id: str
    workspace: int
    source: int | None
    name: str
    kind: AlertKind
    metric: str
    thresholds: tuple[str, ...]
    quiet_hours: int
    channels: tuple[int, ...]
    enabled: bool
    created_at_ms: int
    removed_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel.

    Attributes:
        number: 1, 2, 3, ... over all workspaces; never reused.
        id: random text.
        workspace: the workspace's number.
        name: unique among the workspace's channels.
        kind: how it tells.
        shown: where to, without a secret.
        sealed: all that is needed to tell it.
        digest: how often it is sent a digest.
        state: whether it is told anything.
        said: why it is gone; empty where it is not.
        created_at_ms, changed_at_ms: milliseconds since 1970, UTC.
        removed_at_ms: when it was removed; None while it is there.
    """

    number: int
    id: str
    workspace: int
    name: str
    kind: ChannelKind
    shown: str
    sealed: bytes
    digest: DigestWhen
    state: ChannelState
    said: str
    created_at_ms: int
    changed_at_ms: int
    removed_at_ms: int | None


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One try to tell something.

    Attributes:
        at_ms: when, milliseconds since 1970.
        status: the HTTP status; 0 where there was none.
        said: what the receiver said, or why nothing could be said to it.
        took_ms: how long it took.
    """

    at_ms: int
    status: int
    said: str
    took_ms: int


class NewDelivery(NamedTuple):
    """Something to be told to one channel.

    Attributes:
        workspace, channel: by number; `NO_CHANNEL` where there is none.
        event: by which it is known, to who receives it too.
        kind: what it is.
        body: what is told, as JSON; it never changes.
    """

    workspace: int
    channel: int
    event: str
    kind: DeliveryKind
    body: str


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """What is told to one channel, and what became of it.

    Attributes:
        id: 1, 2, 3, ...; never reused.
        workspace, channel, event, kind, body: as for `NewDelivery`.
        state: what became of it.
        made_at_ms: when it was written down.
        attempts: how often it was tried since it was, or was last asked for again.
        next_at_ms: when it is tried next, while it waits.
        ended_at_ms: when it was delivered or given up.
        log: the last tries, the latest last.
    """

    id: int
    workspace: int
    channel: int
    event: str
    kind: DeliveryKind
    state: DeliveryState
    made_at_ms: int
    attempts: int
    next_at_ms: int
    ended_at_ms: int | None
    log: tuple[Attempt, ...]
    body: str


class QuotaRecord(NamedTuple):
    """What a source may use of a metric in a month.

    Attributes:
        source: its number.
        metric: the metric's name.
        amount: how much.
        past: `"refuse"` or `"mark"`: what happens to messages past it.
        changed_at_ms: milliseconds since 1970, UTC.
    """

    source: int
    metric: str
    amount: int
    past: str
    changed_at_ms: int
