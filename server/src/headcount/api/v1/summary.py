"""A month in one answer: totals to date, by source, and against another month.

Takes two readings, of the month and of the other one, each from one moment and saying which.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.month import MonthView, read_month
from headcount.api.v1.cluster import ClusterLoss, losses_shown
from headcount.api.v1.month_end import forecasts_of
from headcount.api.v1.plan_limits import LimitsRecord, limits_of
from headcount.api.v1.plan_prices import Costs, costs_of, overage_costs, prices_of
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, QueryParameter, answer, endpoint
from headcount.api.wire.query import (
    OPTIONAL_PERIOD,
    PERIOD_TEXT,
    pairs_of,
    parse_period_param,
)
from headcount.counting.by_metric import by_metric
from headcount.counting.calendar import Period, moment_text
from headcount.counting.cost import Cost, Price
from headcount.counting.metrics import API_CALLS, HEADLINES, REPORTED
from headcount.counting.usage import Counts, all_of

__all__ = ["SUMMARY_HANDLERS", "overage_of"]

_AGAINST = QueryParameter(
    "against",
    "The month to compare with, named as `period` is: any other, earlier or later. Without it, the"
    " month before.",
    PERIOD_TEXT,
)
_OVER = "How much more than the plan includes; absent while it is not more, or without a limit."
_ESTIMATED = "At the end of the month; absent while nothing can be told."


class Totals(by_metric(REPORTED, int)):  # type: ignore[misc]
    """Counts from the start of a month up to and including a day."""


class TotalsChange(by_metric(HEADLINES, int, "Now, less then.")):  # type: ignore[misc]
    """How much more than in the other month, over the days that are compared."""


class Overage(by_metric(HEADLINES, int | UnsetType, _OVER, default=UNSET)):  # type: ignore[misc]
    """What was used beyond the plan."""


class MonthTotals(msgspec.Struct, rename="camel"):
    """A month up to a day."""

    period: Annotated[str, Meta(description="First day of the month, YYYY-MM-DD.")]
    day: Annotated[str, Meta(description="Day up to which the totals count, YYYY-MM-DD.")]
    counted_until: Annotated[str, Meta(description="Messages received until then are in here.")]
    totals: Totals


class SourceTotals(msgspec.Struct, rename="camel", gc=False):
    """A source in the month, and in the other month up to the day that is compared with."""

    source_id: str
    source_name: str
    totals: Totals
    previous: Totals | UnsetType = UNSET
    change: TotalsChange | UnsetType = UNSET


class Estimate(msgspec.Struct, gc=False):
    """Where a count will end at the end of the month, if days go on as the last ones did."""

    likely: Annotated[int, Meta(description="In the middle of the range.", ge=0)]
    low: Annotated[int, Meta(description="Four cases of five lie from here on.", ge=0)]
    high: Annotated[int, Meta(description="Four cases of five lie up to here.", ge=0)]


class Estimates(by_metric(HEADLINES, Estimate | UnsetType, _ESTIMATED, default=UNSET)):  # type: ignore[misc]
    """Where the month will end."""


class CostEstimate(msgspec.Struct, gc=False):
    """What use beyond the plan will cost, where the count ends as `estimates` says."""

    likely: Annotated[str, Meta(description="An amount of money, exact.")]
    low: Annotated[str, Meta(description="Where the count ends low.")]
    high: Annotated[str, Meta(description="Where the count ends high.")]
    currency: Annotated[str, Meta(description="Code of the currency in ISO 4217, such as USD.")]


class CostEstimates(by_metric(HEADLINES, CostEstimate | UnsetType, _ESTIMATED, default=UNSET)):  # type: ignore[misc]
    """What the month will cost beyond the plan."""


class SummaryBody(msgspec.Struct, rename="camel"):
    """A month in one answer."""

    month: MonthTotals
    sources: Annotated[list[SourceTotals], Meta(description="Sources with usage, by id.")]
    plan_limits: Annotated[LimitsRecord, Meta(description="Those in force on the month's day.")]
    overage: Overage | UnsetType = UNSET
    overage_cost: Costs | UnsetType = UNSET
    previous: MonthTotals | UnsetType = UNSET
    compared: (
        Annotated[
            MonthTotals,
            Meta(description="This month up to the day that is compared, where that is not `day`."),
        ]
        | UnsetType
    ) = UNSET
    change: TotalsChange | UnsetType = UNSET
    estimates: Estimates | UnsetType = UNSET
    estimated_overage_cost: CostEstimates | UnsetType = UNSET
    losses: (
        Annotated[
            list[ClusterLoss],
            Meta(description="What a cluster has lost for good that may concern the month."),
        ]
        | UnsetType
    ) = UNSET


class SummaryAnswer(msgspec.Struct):
    """A month in one answer."""

    data: SummaryBody


@endpoint(
    "GET",
    "/headcount/v1/summary",
    Contract(
        name="getSummary",
        summary="A month in one answer",
        description="Totals to date of the workspace and of every source; what the plan included"
        " on the month's last day, or includes today while it runs, and what was used beyond it,"
        " in money too where the plan has a price;"
        " and the change against another month, the one before unless `against` names one: up to"
        " the same day of it (or its last, when it is shorter) while the month runs, all of it once"
        " both are over. Against the month that runs, `compared` is this month up to the same day,"
        " and `change` is between these two. `previous` and `change` are absent when there is no"
        " month before with usage of this workspace. `estimates` says where"
        " the month that runs will end, if days go on as the last ones did; each is absent while"
        " nothing can be told: for up to three complete days of usage, for a single message, and"
        " for one day's usage alone.",
        tag="Reports",
        answer=SummaryAnswer,
        query=(OPTIONAL_PERIOD, _AGAINST),
        errors=(404, 422),
    ),
)
def read_summary(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    pairs = pairs_of(request.scope["query_string"])
    month = read_month(caller, parse_period_param(pairs, required=False))
    against = parse_period_param(pairs, "against", required=False)
    other = _other_month(caller, month, against)
    totals = _month_totals(month, month.days)
    limits = limits_of(caller, month)
    prices = prices_of(caller, month)
    body = SummaryBody(totals, [], limits, overage_of(totals.totals, limits))
    body.overage_cost = overage_costs(totals.totals, limits, prices)
    if other is not None:
        body.previous = _month_totals(other.month, other.days)
        now = _month_totals(month, other.days_now)
        if other.days_now != month.days:
            body.compared = now
        body.change = _change(now.totals, body.previous.totals)
    body.sources = _sources(caller, month, other)
    body.estimates = _estimates(caller, month)
    body.losses = losses_shown(caller.services.losses(), month.period)
    if body.estimates is not UNSET and prices:
        body.estimated_overage_cost = _cost_estimates(body.estimates, limits, prices)
    return answer(SummaryAnswer(body), month.headers())


class _Other(NamedTuple):
    """The month that is compared with: how many of its days, and of this month's, are."""

    month: MonthView
    days: int
    days_now: int


def _other_month(caller: Caller, month: MonthView, named: Period | None) -> _Other | None:
    if named is None:
        first = month.reading.first_period
        if first is None or month.period <= first:
            return None
        named = month.period.shifted(-1)
    other = read_month(caller, named, "against")
    if month.past and other.past:
        return _Other(other, other.days, month.days)
    days = min(month.days, other.days)
    return _Other(other, days, days if month.past else month.days)


def overage_of(totals: Totals, limits: LimitsRecord) -> Overage | UnsetType:
    """What was used beyond what the plan included; nothing while it is not more."""
    over = {
        metric.name: getattr(totals, metric.name) - limit
        for metric in HEADLINES
        if (limit := getattr(limits, metric.name)) is not None
    }
    beyond = {name: count for name, count in over.items() if count > 0}
    return Overage(**beyond) if beyond else UNSET


def _estimates(caller: Caller, month: MonthView) -> Estimates | UnsetType:
    told = forecasts_of(caller, month).told
    found = {metric.name: Estimate(*forecast.at_end) for metric, forecast in told.items()}
    return Estimates(**found) if found else UNSET


def _cost_estimates(
    estimates: Estimates, limits: LimitsRecord, prices: dict[str, Price]
) -> CostEstimates | UnsetType:
    told = {
        metric.name: estimate
        for metric in HEADLINES
        if (estimate := getattr(estimates, metric.name)) is not UNSET
    }
    likely, low, high = (
        costs_of({name: getattr(each, end) for name, each in told.items()}, limits, prices)
        for end in ("likely", "low", "high")
    )
    found = {
        name: CostEstimate(_money(likely[name]), _money(low[name]), _money(cost), cost.currency)
        for name, cost in high.items()
        if cost.steps
    }
    return CostEstimates(**found) if found else UNSET


def _money(cost: Cost) -> str:
    return f"{cost.amount:f}"


def _month_totals(month: MonthView, days: int) -> MonthTotals:
    return MonthTotals(
        str(month.period),
        month.day_names()[days - 1],
        moment_text(month.reading.counted_until_ms),
        *_totals(month.reading.workspace[:days].sum(axis=0, keepdims=True)),
    )


def _sources(caller: Caller, month: MonthView, other: _Other | None) -> list[SourceTotals]:
    now = _by_source(month, month.days)
    past = _by_source(other.month, other.days) if other is not None else {}
    compared = now
    if other is not None and other.days_now != month.days:
        compared = _by_source(month, other.days_now)
    numbers = sorted(now.keys() | past.keys())
    known = caller.services.directory.sources(caller.workspace.number)
    ids = caller.services.directory.source_ids(caller.workspace.number, numbers)
    entries = []
    for number, source_id in sorted(zip(numbers, ids, strict=True), key=lambda pair: pair[1]):
        name = known[number].name if number in known else source_id
        entry = SourceTotals(source_id, name, now.get(number, _NOTHING))
        if other is not None:
            entry.previous = past.get(number, _NOTHING)
            entry.change = _change(compared.get(number, _NOTHING), entry.previous)
        entries.append(entry)
    return entries


def _by_source(month: MonthView, days: int) -> dict[int, Totals]:
    """Totals of the sources that have usage up to a day, by number."""
    summed = month.reading.sources[:, :days].sum(axis=1)
    used = summed[:, API_CALLS] > 0
    numbers = month.reading.source_numbers[used].tolist()
    return dict(zip(numbers, _totals(summed[used]), strict=True))


def _totals(counts: Counts) -> list[Totals]:
    """Totals of each scope."""
    return [Totals(*values) for values in all_of(REPORTED, counts).tolist()]


def _change(now: Totals, before: Totals) -> TotalsChange:
    return TotalsChange(
        *(getattr(now, each.name) - getattr(before, each.name) for each in HEADLINES)
    )


_NOTHING = Totals(*[0] * len(REPORTED))

SUMMARY_HANDLERS = [read_summary]
