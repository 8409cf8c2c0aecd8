"""The rules of alerts: what people are told of. List, add, change, remove and try out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.alerting.rules import checked_rule, needing_limit
from headcount.alerting.tell_channels import try_out
from headcount.api.v1.tokens import Moment
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, body_of, endpoint
from headcount.api.wire.problems import Problem
from headcount.catalog import AlertRuleRecord, limits_on
from headcount.counting.alerts import ALERT_METRICS, QUIET_HOURS_MAX, THRESHOLDS_MAX, AlertKind
from headcount.counting.calendar import day_of_ms, moment_text
from headcount.errors import UsageError

__all__ = ["ALERT_RULE_HANDLERS", "AlertBody", "AlertListBody", "AlertRecord"]

_BY_WIRE = {each.wire: name for name, each in ALERT_METRICS.items()}
Thresholds = Annotated[
    list[str],
    Meta(
        description="Whole numbers such as `12000`, or shares of the plan's limit such as `80%`,"
        " also over 100%; of a share of messages, percent. None for rules that need none.",
        max_length=THRESHOLDS_MAX,
    ),
]
Hours = Annotated[
    int, Meta(description="For how long nothing must have come.", ge=1, le=QUIET_HOURS_MAX)
]
_KIND = (
    "What it looks at: the month's `count` so far, judged by the most that it has been; the"
    " `forecast` of its end, told when the low end of its range passes; a day with far more API"
    " calls than its weekday usually has (`unusual`); or that nothing arrives (`silent`)."
)
_CHANNELS = "Ids of the channels that tell; none for all that the workspace has."


class AlertRecord(msgspec.Struct, rename="camel"):
    """A rule of alerts."""

    id: str
    name: str
    kind: Annotated[AlertKind, Meta(description=_KIND)]
    metric: Literal[tuple(_BY_WIRE)]  # type: ignore[valid-type]
    thresholds: Thresholds
    channel_ids: Annotated[list[str], Meta(description=_CHANNELS)]
    enabled: bool
    created_at: Moment
    needs_limit: Annotated[
        list[str],
        Meta(
            description="Those of the thresholds that nothing can reach until the plan sets a limit"
            " of the metric."
        ),
    ] = []
    quiet_hours: Hours | UnsetType = UNSET
    source_id: str | UnsetType = UNSET
    source_name: str | UnsetType = UNSET


class AlertListBody(msgspec.Struct):
    """All rules of the workspace."""

    alerts: list[AlertRecord]


class AlertListAnswer(msgspec.Struct):
    """All rules of the workspace, oldest first."""

    data: AlertListBody


class AlertBody(msgspec.Struct):
    """One rule."""

    alert: AlertRecord


class AlertAnswer(msgspec.Struct):
    """One rule."""

    data: AlertBody


class NewAlert(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A rule to add."""

    kind: Annotated[AlertKind, Meta(description=_KIND)] = "count"
    metric: Literal[tuple(_BY_WIRE)] | None = None  # type: ignore[valid-type]
    thresholds: Thresholds = []
    quiet_hours: Hours = 24
    source_id: Annotated[str, Meta(description="Only this source.")] | None = None
    channel_ids: Annotated[list[str], Meta(description=_CHANNELS, max_length=50)] = []
    name: Annotated[str, Meta(description="What people call it.", max_length=200)] = ""


class AlertChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change of a rule; what is not named stays."""

    thresholds: Thresholds | UnsetType = UNSET
    quiet_hours: Hours | UnsetType = UNSET
    channel_ids: Annotated[list[str], Meta(description=_CHANNELS, max_length=50)] | UnsetType = (
        UNSET
    )
    name: Annotated[str, Meta(description="What people call it.", max_length=200)] | UnsetType = (
        UNSET
    )
    enabled: bool | UnsetType = UNSET


def _record(caller: Caller, rule: AlertRuleRecord) -> AlertRecord:
    ids = {each.number: each.id for each in caller.services.catalog.channels(rule.workspace)}
    record = AlertRecord(
        rule.id, rule.name, rule.kind, ALERT_METRICS[rule.metric].wire, list(rule.thresholds),
        [ids[each] for each in rule.channels if each in ids], rule.enabled,
        moment_text(rule.created_at_ms),
    )  # fmt: skip
    today = day_of_ms(caller.services.clock())
    limits = limits_on(caller.services.catalog.dated_limits(rule.workspace), today)
    record.needs_limit = needing_limit(rule.metric, rule.thresholds, limits)
    if rule.kind == "silent":
        record.quiet_hours = rule.quiet_hours
    if rule.source is not None:
        source = caller.services.directory.sources(rule.workspace).get(rule.source)
        if source is not None:
            record.source_id, record.source_name = source.id, source.name
    return record


def _rule(caller: Caller, alert_id: str) -> AlertRuleRecord:
    rules = caller.services.catalog.alert_rules(caller.workspace.number)
    found = next((each for each in rules if each.id == alert_id), None)
    if found is None:
        raise Problem(404, "This workspace has no alert of that id.", field="alertId")
    return found


def _channels(caller: Caller, ids: list[str]) -> list[int]:
    known = {each.id: each.number for each in caller.services.catalog.channels(_number(caller))}
    for each in ids:
        if each not in known:
            raise Problem(404, "This workspace has no channel of that id.", field="channelIds")
    return [known[each] for each in dict.fromkeys(ids)]


def _number(caller: Caller) -> int:
    return caller.workspace.number


@endpoint(
    "GET",
    "/headcount/v1/alerts",
    Contract(
        name="listAlerts",
        summary="All alerts",
        description="The rules by which people are told of usage, by threshold, forecast, days far"
        " above the usual, and silences. Each is told once for each rule, threshold and month.",
        tag="Alerts",
        answer=AlertListAnswer,
    ),
)
def list_alerts(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    rules = caller.services.catalog.alert_rules(caller.workspace.number)
    return answer(AlertListAnswer(AlertListBody([_record(caller, rule) for rule in rules])))


@endpoint(
    "POST",
    "/headcount/v1/alerts",
    Contract(
        name="addAlert",
        summary="Add an alert",
        description="A threshold that the month has reached already is told at once.",
        tag="Alerts",
        answer=AlertAnswer,
        body=NewAlert,
        status=201,
        errors=(404, 413, 422),
        access="admin",
    ),
)
async def add_alert(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    new = await body_of(request, NewAlert)
    sources = caller.services.directory.sources(_number(caller)).values()
    source = next((each for each in sources if each.id == new.source_id), None)
    if new.source_id is not None and source is None:
        raise Problem(404, "This workspace has no source of that id.", field="sourceId")
    channels = _channels(caller, new.channel_ids)
    try:
        rule = checked_rule(new.kind, _BY_WIRE.get(new.metric or "", ""), new.thresholds)
        made = caller.services.catalog.add_alert_rule(
            _number(caller),
            source=None if source is None else source.number,
            name=new.name.strip() or rule.name(None if source is None else source.name),
            kind=rule.kind,
            metric=rule.metric,
            thresholds=rule.thresholds,
            quiet_hours=new.quiet_hours,
            channels=channels,
            now_ms=caller.services.clock(),
        )
    except UsageError as error:
        raise Problem(422, f"{error.problem} {error.remedy}", field="thresholds") from error
    return answer(AlertAnswer(AlertBody(_record(caller, made))))


@endpoint(
    "PATCH",
    "/headcount/v1/alerts/{alert_id:str}",
    Contract(
        name="changeAlert",
        summary="Change an alert",
        description="What was told of this month is not told again, whatever is changed.",
        tag="Alerts",
        answer=AlertAnswer,
        body=AlertChange,
        errors=(404, 413, 422),
        access="admin",
    ),
)
async def change_alert(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    wanted = await body_of(request, AlertChange)
    rule = _rule(caller, request.path_params["alert_id"])
    changes: dict[str, Any] = {}
    try:
        if wanted.thresholds is not UNSET:
            checked = checked_rule(rule.kind, rule.metric, wanted.thresholds)
            changes["thresholds"] = checked.thresholds
        if wanted.channel_ids is not UNSET:
            changes["channels"] = tuple(_channels(caller, wanted.channel_ids))
        for name in ("quiet_hours", "name", "enabled"):
            if (value := getattr(wanted, name)) is not UNSET:
                changes[name] = value
        changed = caller.services.catalog.change_alert_rule(rule.number, **changes)
    except UsageError as error:
        raise Problem(422, f"{error.problem} {error.remedy}", field="thresholds") from error
    return answer(AlertAnswer(AlertBody(_record(caller, changed))))


@endpoint(
    "DELETE",
    "/headcount/v1/alerts/{alert_id:str}",
    Contract(
        name="removeAlert",
        summary="Remove an alert",
        description="Nothing more is told by it. What it has told stays in the log.",
        tag="Alerts",
        answer=AlertAnswer,
        errors=(404,),
        access="admin",
    ),
)
def remove_alert(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    rule = _rule(caller, request.path_params["alert_id"])
    record = _record(caller, rule)
    caller.services.catalog.remove_alert_rule(rule.number, caller.services.clock())
    return answer(AlertAnswer(AlertBody(record)))


@endpoint(
    "POST",
    "/headcount/v1/alerts/{alert_id:str}/test",
    Contract(
        name="testAlert",
        summary="Try an alert out",
        description="Tells its channels that this is a test; the log says what became of it. Not"
        " while many tests wait for one of them.",
        tag="Alerts",
        answer=AlertAnswer,
        errors=(404, 422),
        access="admin",
    ),
)
def try_alert(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    rule = _rule(caller, request.path_params["alert_id"])
    catalog, workspace = caller.services.catalog, caller.workspace
    channels = [
        each
        for each in catalog.channels(workspace.number)
        if each.state == "on" and (not rule.channels or each.number in rule.channels)
    ]
    if not channels:
        raise Problem(404, "There is no channel to tell that is on.", field="alertId")
    now_ms = caller.services.clock()
    try:
        for each in channels:
            new = try_out((workspace.id, workspace.name), each, rule.name, now_ms)
            catalog.add_delivery(new, now_ms)
    except UsageError as error:
        raise Problem(422, f"{error.problem} {error.remedy}", field="alertId") from error
    return answer(AlertAnswer(AlertBody(_record(caller, rule))))


ALERT_RULE_HANDLERS = [list_alerts, add_alert, change_alert, remove_alert, try_alert]
