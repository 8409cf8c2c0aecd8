"""The page of alerts: rules, channels and the log. Takes forms, asks the API, gives notices."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request, Response, get
from msgspec import UNSET

from headcount.api.v1.alert_log import AlertLogBody
from headcount.api.v1.alert_log import DeliveryBody as ToldBody
from headcount.api.v1.alert_rules import AlertBody, AlertListBody
from headcount.api.v1.channels import ChannelBody, ChannelListBody, NewChannelBody
from headcount.api.v1.sources import SourceListBody
from headcount.api.v1.workspace import WorkspaceBody
from headcount.counting.alerts import BY_THE_DAY, QUIET_HOURS_MAX, SHARES
from headcount.counting.metrics import HEADLINES
from headcount.page.changes import changing
from headcount.page.sessions import Notice
from headcount.page.visits import Visit, visit_of

__all__ = ["ALERT_PAGE_HANDLERS"]

_ALERTS, _CHANNELS = "/headcount/v1/alerts", "/headcount/v1/channels"
_LOG = "/headcount/v1/alert-log"
_PAGE = "/page/alerts"
_ADMIN = "admin"
_BETWEEN = re.compile(r"[\s;]+|,(?=\s)|,(?=\d+%)")
_USUAL_HOURS = 24
_NO_HOURS = Notice(
    f"Hours of silence are a whole number from 1 to {QUIET_HOURS_MAX}; empty is {_USUAL_HOURS}.",
    "failed",
)
# What a form offers: one word for a kind and a metric together.
_LOOKS_AT = {
    **{f"count:{each.wire}": f"{each.label} so far" for each in HEADLINES},
    **{
        f"forecast:{each.wire}": f"{each.label} at the month's end (forecast)" for each in HEADLINES
    },
    **{f"count:{each.wire}": f"share of {each.label}" for each in SHARES.values()},
    f"unusual:{BY_THE_DAY.wire}": f"a day with far more {BY_THE_DAY.label} than usual",
    f"silent:{BY_THE_DAY.wire}": "nothing arrives",
}


@get(_PAGE)
async def alerts(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = visit_of(request)
    workspace = (await visit.ask(WorkspaceBody, "/headcount/v1/workspace")).workspace
    listed = (await visit.ask(SourceListBody, "/headcount/v1/sources")).sources
    channels = (await visit.ask(ChannelListBody, _CHANNELS)).channels
    return await visit.parts.pages.send(
        request,
        "alerts",
        **visit.common(),
        asset=visit.parts.assets.address,
        workspace=workspace,
        rules=(await visit.ask(AlertListBody, _ALERTS)).alerts,
        channels=channels,
        channel_names={each.id: each.name for each in channels},
        log=(await visit.ask(AlertLogBody, _LOG)).deliveries,
        sources=[each for each in listed if each.deleted_at is UNSET],
        looks_at=_LOOKS_AT,
        may_change=workspace.token_scope == _ADMIN,
        notice=visit.session.take_notice(request.query_params.get("notice", "")),
    )


@changing("/page/alerts/rules", back=_PAGE)
async def add_rule(visit: Visit, form: dict[str, str], _named: str) -> Notice:
    kind, _, metric = form.get("looks-at", "").partition(":")
    hours = _hours(form.get("hours", ""))
    if kind == "silent" and hours is None:
        return _NO_HOURS
    body = {
        "kind": kind,
        "metric": metric or None,
        "thresholds": _thresholds(form.get("at", "")),
        "sourceId": form.get("source") or None,
        "channelIds": [form["channel"]] if form.get("channel") else [],
        "name": form.get("name", "").strip(),
        "quietHours": hours or _USUAL_HOURS,
    }
    made = await visit.ask(AlertBody, _ALERTS, method="POST", body=body)
    told = "What the month has reached already is told now."
    return Notice(f"{made.alert.name} was added. {_lacking(made) or told}")


def _lacking(body: AlertBody) -> str:
    """What a rule waits for before it can tell anything; empty where that is nothing."""
    needs = body.alert.needs_limit
    if not needs:
        return ""
    return f"{', '.join(needs)} cannot be reached until the plan has a limit: set one under Manage."


def _thresholds(text: str) -> list[str]:
    """What somebody has typed: by spaces, semicolons, or commas before a space."""
    return [each for each in _BETWEEN.split(text.replace(" %", "%")) if each]


def _hours(text: str) -> int | None:
    """The hours that somebody typed, a day if none; None for what is none."""
    hours = text.strip() or f"{_USUAL_HOURS}"
    found = int(hours[:9]) if hours.isascii() and hours.isdigit() else 0
    return found if 1 <= found <= QUIET_HOURS_MAX else None


@changing("/page/alerts/rules/{named:str}/change", back=_PAGE)
async def change_rule(visit: Visit, form: dict[str, str], named: str) -> Notice:
    if (typed := form.get(f"hours-{named}")) is not None:
        if (hours := _hours(typed)) is None:
            return _NO_HOURS
        of_silence = {"quietHours": hours}
        changed = await visit.ask(AlertBody, f"{_ALERTS}/{named}", method="PATCH", body=of_silence)
        return Notice(
            f"{changed.alert.name} is told after {changed.alert.quiet_hours} hours of silence now."
        )
    body = {"thresholds": _thresholds(form.get(f"at-{named}", ""))}
    changed = await visit.ask(AlertBody, f"{_ALERTS}/{named}", method="PATCH", body=body)
    told = f"{changed.alert.name} is told at {', '.join(changed.alert.thresholds)} now."
    return Notice(f"{told} {_lacking(changed)}".strip())


@changing("/page/alerts/rules/{named:str}/off", back=_PAGE)
async def switch_rule_off(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    body = {"enabled": False}
    changed = await visit.ask(AlertBody, f"{_ALERTS}/{named}", method="PATCH", body=body)
    return Notice(f"{changed.alert.name} is off, and tells nothing.")


@changing("/page/alerts/rules/{named:str}/on", back=_PAGE)
async def switch_rule_on(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    body = {"enabled": True}
    changed = await visit.ask(AlertBody, f"{_ALERTS}/{named}", method="PATCH", body=body)
    return Notice(f"{changed.alert.name} is on.")


@changing("/page/alerts/rules/{named:str}/test", back=_PAGE)
async def try_rule(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    await visit.ask(AlertBody, f"{_ALERTS}/{named}/test", method="POST")
    return Notice("A test is on its way: the log below says what becomes of it.")


@changing("/page/alerts/rules/{named:str}/remove", back=_PAGE)
async def remove_rule(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    gone = await visit.ask(AlertBody, f"{_ALERTS}/{named}", method="DELETE")
    return Notice(f"{gone.alert.name} is removed.")


@changing("/page/alerts/channels", back=_PAGE)
async def add_webhook(visit: Visit, form: dict[str, str], _named: str) -> Notice:
    body = {"name": form.get("name", ""), "webhook": form.get("webhook", "")}
    made = await visit.ask(NewChannelBody, _CHANNELS, method="POST", body=body)
    missed = (
        f" What was told to nobody before ({made.untold}) stands in the log, and can be resent."
        if made.untold
        else ""
    )
    return Notice(
        "Copy the webhook's secret now: it is not shown again. Receivers verify posts with it."
        + missed,
        secret=made.secret,
    )


@changing("/page/alerts/channels/{named:str}/test", back=_PAGE)
async def try_channel_out(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    await visit.ask(ToldBody, f"{_CHANNELS}/{named}/test", method="POST")
    return Notice("A test is on its way: the log below says what becomes of it.")


@changing("/page/alerts/channels/{named:str}/on", back=_PAGE)
async def switch_channel_on(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    body = {"state": "on"}
    path = f"{_CHANNELS}/{named}"
    changed = await visit.ask(ChannelBody, path, method="PATCH", body=body)
    return Notice(f"{changed.channel.name} is on.")


@changing("/page/alerts/channels/{named:str}/off", back=_PAGE)
async def switch_channel_off(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    body = {"state": "off"}
    path = f"{_CHANNELS}/{named}"
    changed = await visit.ask(ChannelBody, path, method="PATCH", body=body)
    return Notice(f"{changed.channel.name} is off. What is to be told to it is kept.")


@changing("/page/alerts/channels/{named:str}/rotate", back=_PAGE)
async def rotate_channel(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    made = await visit.ask(NewChannelBody, f"{_CHANNELS}/{named}/rotate-secret", method="POST")
    return Notice(
        "Copy the new secret now: it is not shown again. For a day, the former one holds too.",
        secret=made.secret,
    )


@changing("/page/alerts/channels/{named:str}/remove", back=_PAGE)
async def remove_channel(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    gone = await visit.ask(ChannelBody, f"{_CHANNELS}/{named}", method="DELETE")
    return Notice(f"{gone.channel.name} is removed.")


@changing("/page/alerts/log/{named:str}/resend", back=_PAGE)
async def resend(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    again = await visit.ask(ToldBody, f"{_LOG}/{named}/resend", method="POST")
    return Notice(f"It is told to {again.delivery.channel_name}.")


ALERT_PAGE_HANDLERS = [
    alerts, add_rule, change_rule, switch_rule_off, switch_rule_on, try_rule, remove_rule,
    add_webhook, try_channel_out, switch_channel_on, switch_channel_off, rotate_channel,
    remove_channel, resend,
]  # fmt: skip
