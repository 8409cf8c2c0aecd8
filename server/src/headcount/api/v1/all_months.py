"""The last thirteen months of a workspace, one small record each: what a year looks like.

Takes a reading of each month, from one moment and saying which; gives totals, months without usage
included.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.month import WorkspaceMonth, read_workspace_month
from headcount.api.v1.plan_limits import LimitsRecord, limits_of
from headcount.api.v1.plan_prices import Costs, overage_costs, prices_of
from headcount.api.v1.summary import Overage, Totals, overage_of
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, endpoint
from headcount.counting.calendar import moment_text
from headcount.counting.metrics import REPORTED
from headcount.counting.months import periods_of
from headcount.counting.usage import all_of

__all__ = ["MONTHS_HANDLERS", "MonthRecord", "MonthsBody"]

_MONTHS_MAX = 13
"""A year, and the month that this one is compared with."""


class MonthRecord(msgspec.Struct, rename="camel", gc=False):
    """A month, up to today if it runs."""

    period: Annotated[str, Meta(description="First day of the month, YYYY-MM-DD.")]
    counted_until: Annotated[str, Meta(description="Messages received until then are in here.")]
    totals: Totals
    plan_limits: Annotated[
        LimitsRecord, Meta(description="In force on its last day; today while it runs.")
    ]
    overage: Overage | UnsetType = UNSET
    overage_cost: Costs | UnsetType = UNSET


class MonthsBody(msgspec.Struct, rename="camel"):
    """The last months."""

    months: Annotated[
        list[MonthRecord],
        Meta(description="Thirteen at most, not before the first usage; the one that runs last."),
    ]


class MonthsAnswer(msgspec.Struct):
    """The last months."""

    data: MonthsBody


@endpoint(
    "GET",
    "/headcount/v1/months",
    Contract(
        name="getMonths",
        summary="The last thirteen months",
        description="Totals of the workspace in the month that runs and the twelve before it, not"
        " before its first usage; months without usage are included.",
        tag="Reports",
        answer=MonthsAnswer,
    ),
)
def read_months(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    current = read_workspace_month(caller, None)
    periods = periods_of(current.reading.first_period, current.period)[:_MONTHS_MAX]
    months = [current, *(read_workspace_month(caller, period) for period in periods[1:])]
    body = MonthsBody([_record(caller, month) for month in reversed(months)])
    return answer(MonthsAnswer(body), current.headers())


def _record(caller: Caller, month: WorkspaceMonth) -> MonthRecord:
    totals = Totals(*all_of(REPORTED, month.reading.workspace[: month.days].sum(axis=0)).tolist())
    limits = limits_of(caller, month)
    until = moment_text(month.reading.counted_until_ms)
    return MonthRecord(
        str(month.period),
        until,
        totals,
        limits,
        overage_of(totals, limits),
        overage_costs(totals, limits, prices_of(caller, month)),
    )


MONTHS_HANDLERS = [read_months]
