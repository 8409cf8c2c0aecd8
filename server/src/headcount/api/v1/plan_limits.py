"""What a workspace's plan includes in a month, and since when: read it, set it, take it back.

A limit holds from its day on until the next one of its metric, and refuses no message. A month is
judged by what was in force on its last day; the month that runs, by what is in force today.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.month import WorkspaceMonth, read_workspace_month
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, body_of, endpoint
from headcount.api.wire.problems import Problem, invalid
from headcount.api.wire.query import OPTIONAL_PERIOD, pairs_of, parse_period_param
from headcount.catalog import FROM_THE_BEGINNING, LIMIT_MAX, DatedLimit
from headcount.counting.by_metric import by_metric
from headcount.counting.calendar import day_text, moment_text, parse_day
from headcount.counting.metrics import HEADLINES
from headcount.openapi import TODAY

__all__ = [
    "BEGINNING",
    "BY_NAME",
    "BY_WIRE",
    "DATE",
    "LIMIT_HANDLERS",
    "DatedLimitRecord",
    "LimitsBody",
    "LimitsRecord",
    "first_day",
    "limits_of",
    "named_day",
]

BEGINNING = "beginning"
BY_WIRE = {metric.wire: metric for metric in HEADLINES}
BY_NAME = {metric.name: metric.wire for metric in HEADLINES}
DATE = {"format": "date"}

Limit = Annotated[int, Meta(description="A count a month; null for no limit.", ge=0, le=LIMIT_MAX)]


class LimitsRecord(by_metric(HEADLINES, Limit | None)):  # type: ignore[misc]
    """What the plan includes in a month; null where it sets no limit."""


class NewLimits(by_metric(HEADLINES, Limit | None), rename="camel", forbid_unknown_fields=True):  # type: ignore[misc, call-arg]
    """What the plan is to include in a month from a day on; null for no limit."""

    in_force_from: (
        Annotated[
            str,
            Meta(
                description="First day on which they are in force, YYYY-MM-DD, in the past or to"
                " come; today when it is not given.",
                extra_json_schema=DATE,
            ),
        ]
        | None
    ) = None


class DatedLimitRecord(msgspec.Struct, rename="camel"):
    """A limit and the day from which it is in force, until the next one of the same metric."""

    metric: Literal[tuple(BY_WIRE)]  # type: ignore[valid-type]
    limit: Limit | None
    in_force_from: (
        Annotated[str, Meta(description="YYYY-MM-DD.", extra_json_schema=DATE)] | UnsetType
    ) = UNSET
    set_at: Annotated[str, Meta(description="RFC 3339, UTC.")] | UnsetType = UNSET


class LimitsBody(msgspec.Struct, rename="camel"):
    """The limits of the plan."""

    plan_limits: Annotated[LimitsRecord, Meta(description="Those in force on `day`.")]
    day: Annotated[str, Meta(description="The month's last day; today while it runs.")]
    dated: Annotated[
        list[DatedLimitRecord],
        Meta(
            description="All that were ever set, by day; `inForceFrom` is absent where a limit has"
            " always been in force, and `setAt` where nobody knows."
        ),
    ]


class LimitsAnswer(msgspec.Struct):
    """The limits of the plan."""

    data: LimitsBody


def limits_of(caller: Caller, month: WorkspaceMonth) -> LimitsRecord:
    """The limits that a month of the caller's workspace is judged by."""
    limits = caller.services.catalog.plan_limits(caller.workspace.number, month.last_day)
    return LimitsRecord(*(limits.get(metric.name) for metric in HEADLINES))


def _body(caller: Caller, month: WorkspaceMonth) -> LimitsBody:
    dated = caller.services.catalog.dated_limits(caller.workspace.number)
    return LimitsBody(
        limits_of(caller, month),
        day_text(month.last_day),
        [_record(each) for each in dated if each.metric in BY_NAME],
    )


def _record(dated: DatedLimit) -> DatedLimitRecord:
    return DatedLimitRecord(
        BY_NAME[dated.metric],
        dated.amount,
        UNSET if dated.from_day == FROM_THE_BEGINNING else day_text(dated.from_day),
        UNSET if dated.set_at_ms is None else moment_text(dated.set_at_ms),
    )


@endpoint(
    "GET",
    "/headcount/v1/plan-limits",
    Contract(
        name="getPlanLimits",
        summary="The plan's limits",
        description="What the plan includes of each metric in a month: as in force on the month's"
        " last day, or today while it runs. Limits refuse nothing: they are what usage is compared"
        " with.",
        tag="Plan limits",
        answer=LimitsAnswer,
        query=(OPTIONAL_PERIOD,),
        errors=(404, 422),
    ),
)
def read_limits(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    pairs = pairs_of(request.scope["query_string"])
    month = read_workspace_month(caller, parse_period_param(pairs, required=False))
    return answer(LimitsAnswer(_body(caller, month)))


@endpoint(
    "PUT",
    "/headcount/v1/plan-limits",
    Contract(
        name="setPlanLimits",
        summary="Set the plan's limits",
        description="Sets all of them from a day on; null takes a limit away from then on. What"
        " was in force before that day stays, and so does what is set from a later one. The answer"
        " is as for today.",
        tag="Plan limits",
        answer=LimitsAnswer,
        body=NewLimits,
        errors=(413, 422),
        access="admin",
    ),
)
async def set_limits(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    wanted = await body_of(request, NewLimits)
    month = read_workspace_month(caller, None)
    day = month.last_day if wanted.in_force_from is None else first_day(wanted.in_force_from)
    caller.services.catalog.set_plan_limits(
        caller.workspace.number,
        {metric.name: getattr(wanted, metric.name) for metric in HEADLINES},
        from_day=day,
        now_ms=caller.services.clock(),
    )
    return answer(LimitsAnswer(_body(caller, month)))


def first_day(text: str) -> int:
    """The day from which something is to be in force.

    Raises:
        Problem: it is no date.
    """
    try:
        return parse_day(text)
    except ValueError:
        raise invalid("inForceFrom", "must be a date such as 2026-11-01.") from None


@endpoint(
    "DELETE",
    "/headcount/v1/plan-limits/{metric:str}/{day:str}",
    Contract(
        name="takeBackPlanLimit",
        summary="Take back a plan's limit",
        description="Undoes the setting of a limit from a day on: the one before it is in force"
        f" instead. The day is that of `dated`, or `{BEGINNING}`. The answer is as for today.",
        tag="Plan limits",
        answer=LimitsAnswer,
        path_examples={"metric": HEADLINES[0].wire, "day": TODAY},
        errors=(404,),
        access="admin",
    ),
)
def take_back_limit(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    metric = BY_WIRE.get(request.path_params["metric"])
    day = named_day(request.path_params["day"])
    number = caller.workspace.number
    if metric is None or day is None:
        found = None
    else:
        found = caller.services.catalog.take_back_limit(number, metric.name, day)
    if found is None:
        raise Problem(404, "No limit of that metric was set from that day on.", field="day")
    return answer(LimitsAnswer(_body(caller, read_workspace_month(caller, None))))


def named_day(text: str) -> int | None:
    """The day that an address names, which may be the beginning; None where it names none."""
    if text == BEGINNING:
        return FROM_THE_BEGINNING
    try:
        return parse_day(text)
    except ValueError:
        return None


LIMIT_HANDLERS = [read_limits, set_limits, take_back_limit]
