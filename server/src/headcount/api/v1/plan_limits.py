"""What a workspace's plan includes in a month: read it, replace it. Limits refuse no message."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import Meta

from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, body_of, endpoint
from headcount.counting.by_metric import by_metric
from headcount.counting.metrics import HEADLINES

__all__ = ["LIMIT_HANDLERS", "LimitsRecord", "limits_of"]

Limit = Annotated[int, Meta(description="A count a month; null for no limit.", ge=0, le=10**15)]


class LimitsRecord(by_metric(HEADLINES, Limit | None), forbid_unknown_fields=True):  # type: ignore[misc, call-arg]
    """What the plan includes in a month; null where it sets no limit."""


class LimitsBody(msgspec.Struct, rename="camel"):
    """The limits of the plan."""

    plan_limits: LimitsRecord


class LimitsAnswer(msgspec.Struct):
    """The limits of the plan."""

    data: LimitsBody


def limits_of(caller: Caller) -> LimitsRecord:
    """The limits of the caller's workspace."""
    return LimitsRecord(**caller.services.catalog.plan_limits(caller.workspace.number))


@endpoint(
    "GET",
    "/headcount/v1/plan-limits",
    Contract(
        name="getPlanLimits",
        summary="The plan's limits",
        description="What the plan includes of each metric. Limits refuse"
        " nothing: they are what usage is compared with.",
        tag="Plan limits",
        answer=LimitsAnswer,
    ),
)
def read_limits(request: Request[Any, Any, Any]) -> Response[bytes]:
    return answer(LimitsAnswer(LimitsBody(limits_of(caller_of(request)))))


@endpoint(
    "PUT",
    "/headcount/v1/plan-limits",
    Contract(
        name="setPlanLimits",
        summary="Replace the plan's limits",
        description="Sets all of them; null takes a limit away.",
        tag="Plan limits",
        answer=LimitsAnswer,
        body=LimitsRecord,
        errors=(413, 422),
        access="admin",
    ),
)
async def replace_limits(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    wanted = await body_of(request, LimitsRecord)
    caller.services.catalog.set_plan_limits(caller.workspace.number, msgspec.structs.asdict(wanted))
    return answer(LimitsAnswer(LimitsBody(limits_of(caller))))


LIMIT_HANDLERS = [read_limits, replace_limits]
