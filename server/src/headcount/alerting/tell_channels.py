"""Telling one channel one thing: takes what was written down, gives what became of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import msgspec

from headcount.alerting.apprise_services import tell_service
from headcount.alerting.channels import ChannelConfig, EmailConfig, WebhookConfig, opened
from headcount.alerting.digest_pictures import Drawings
from headcount.alerting.mail import send_mail
from headcount.alerting.notice_page import notice_of
from headcount.alerting.webhook_posts import ReceiverAnswer, post
from headcount.alerting.written_down import written_down
from headcount.catalog import Attempt, Catalog, Channel, DeliveryState, NewDelivery
from headcount.counting.calendar import second_text
from headcount.errors import DataFolderError

__all__ = ["tell_channel", "try_now", "try_out"]


def tell_channel(
    key: Callable[[], bytes],
    channel: Channel,
    event: str,
    body: str,
    now_ms: int,
    drawings: Drawings | None = None,
) -> ReceiverAnswer:
    """Tell once; never raises for what a receiver or a network does.

    Args:
        key: gives the key that channels are sealed under.
        channel: whom.
        event: by which what is told is known.
        body: what is told, as JSON.
        now_ms: milliseconds since 1970.
        drawings: draws its charts.
    """
    try:
        config = opened(key(), channel)
    except DataFolderError as error:
        return ReceiverAnswer(0, error.problem.rstrip("."), taken=False)
    try:
        return _told(config, event, body, now_ms, drawings or Drawings())
    except Exception as error:
        # A try that is not written down would be made again and again.
        return ReceiverAnswer(0, f"it cannot be told ({type(error).__name__})", taken=False)


def _told(
    config: ChannelConfig, event: str, body: str, now_ms: int, drawings: Drawings
) -> ReceiverAnswer:
    if isinstance(config, WebhookConfig):
        return post(config, event, _without_charts(body), now_ms)
    if isinstance(config, EmailConfig):
        charts = drawings.of(body)
        answer = send_mail(config, event, notice_of(body, *charts), now_ms)
        if answer.taken and charts.missing:
            return answer._replace(said=f"{answer.said}, without its charts: {charts.missing}")
        return answer
    return tell_service(config, notice_of(body))


def _without_charts(body: str) -> str:
    told = msgspec.json.decode(body)
    if told["data"].pop("charts", None) is None:
        return body
    return msgspec.json.encode(told).decode()


def try_out(workspace: tuple[str, str], channel: Channel, what: str, now_ms: int) -> NewDelivery:
    """A message that says that it is a test.

    Args:
        workspace: the workspace's id and name.
        channel: whom it is for.
        what: the rule that is tried; empty for the channel alone.
        now_ms: milliseconds since 1970.
    """
    event = f"test_{secrets.token_hex(12)}"
    said = f'This is a test of the channel "{channel.name}"' + (
        f' by the rule "{what}".' if what else "."
    )
    data = {
        "id": event,
        "workspace": {"id": workspace[0], "name": workspace[1]},
        "title": f"Headcount: a test for {workspace[1]}",
        "lines": [said, "Nothing was reached."],
    }
    body = {"type": "headcount.test", "timestamp": second_text(now_ms), "data": data}
    return NewDelivery(
        channel.workspace, channel.number, event, "test", msgspec.json.encode(body).decode()
    )


def try_now(
    catalog: Catalog,
    key: Callable[[], bytes],
    channel: Channel,
    new: NewDelivery,
    clock_ms: Callable[[], int],
) -> ReceiverAnswer:
    """Tell a channel something at once, and write down what became of it.

    Args:
        catalog: where it is written.
        key: gives the key that channels are sealed under.
        channel: whom.
        new: what.
        clock_ms: the time, in milliseconds since 1970.
    """
    began_ms, began_s = clock_ms(), time.monotonic()
    answer = tell_channel(key, channel, new.event, new.body, began_ms)
    took_ms = round(1000 * (time.monotonic() - began_s))
    attempt = Attempt(began_ms, answer.status, answer.said, took_ms)
    state: DeliveryState = "delivered" if answer.taken else "failed"
    written_down(lambda: catalog.add_tried(new, attempt, state))
    if answer.gone:
        said = f"{answer.said}: it wants no more"
        written_down(
            lambda: catalog.change_channel(channel.number, clock_ms(), state="gone", said=said)
        )
    return answer
