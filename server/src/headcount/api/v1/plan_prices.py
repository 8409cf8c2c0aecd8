"""What a workspace's plan charges beyond its limits: read it, set it, take it back.

A price holds from its day on until the next one of its metric, as limits do, and a month is charged
by what was in force on its last day; the month that runs, by what is in force today.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.month import WorkspaceMonth, read_workspace_month
from headcount.api.v1.plan_limits import (
    BEGINNING,
    BY_NAME,
    BY_WIRE,
    DATE,
    LimitsRecord,
    first_day,
    named_day,
)
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, body_of, endpoint
from headcount.api.wire.problems import Problem, invalid
from headcount.api.wire.query import OPTIONAL_PERIOD, pairs_of, parse_period_param
from headcount.catalog import FROM_THE_BEGINNING, LIMIT_MAX, DatedPrice, prices_on
from headcount.counting.by_metric import by_metric
from headcount.counting.calendar import day_text, moment_text
from headcount.counting.cost import Cost, Price, cost_of
from headcount.counting.metrics import HEADLINES
from headcount.errors import UsageError
from headcount.openapi import TODAY

__all__ = [
    "PRICE_HANDLERS",
    "CostRecord",
    "Costs",
    "PriceRecord",
    "PricesBody",
    "costs_of",
    "overage_costs",
    "prices_of",
]

_CHARGED = "What is charged; absent without a price or a limit, and while nothing is over it."

Money = Annotated[str, Meta(description="An amount of money, exact, such as 12.50.")]
Currency = Annotated[str, Meta(description="Code of the currency in ISO 4217, such as USD.")]


class PriceRecord(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is charged for each step beyond the limit; a step that is begun counts whole."""

    amount: Money
    step: Annotated[int, Meta(description="How many are one step.", ge=1, le=LIMIT_MAX)]
    currency: Currency


class CostRecord(msgspec.Struct, rename="camel", gc=False):
    """What use beyond the plan costs."""

    amount: Money
    currency: Currency
    steps: Annotated[int, Meta(description="Steps that are charged, a begun one included.")]


class Costs(by_metric(HEADLINES, CostRecord | UnsetType, _CHARGED, default=UNSET)):  # type: ignore[misc]
    """What was used beyond the plan, in money."""


class Prices(by_metric(HEADLINES, PriceRecord | None, "null for no price.")):  # type: ignore[misc]
    """What the plan charges beyond its limits; null where it sets no price."""


class NewPrice(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What the plan is to charge beyond one limit from a day on; null for nothing."""

    metric: Literal[tuple(BY_WIRE)]  # type: ignore[valid-type]
    price: PriceRecord | None
    in_force_from: (
        Annotated[
            str,
            Meta(
                description="First day on which it is in force, YYYY-MM-DD, in the past or to"
                " come; today when it is not given.",
                extra_json_schema=DATE,
            ),
        ]
        | None
    ) = None


class DatedPriceRecord(msgspec.Struct, rename="camel"):
    """A price and the day from which it is in force, until the next one of the same metric."""

    metric: Literal[tuple(BY_WIRE)]  # type: ignore[valid-type]
    price: PriceRecord | None
    set_at: Annotated[str, Meta(description="RFC 3339, UTC.")]
    in_force_from: (
        Annotated[str, Meta(description="YYYY-MM-DD.", extra_json_schema=DATE)] | UnsetType
    ) = UNSET


class PricesBody(msgspec.Struct, rename="camel"):
    """The prices of the plan."""

    plan_prices: Annotated[Prices, Meta(description="Those in force on `day`.")]
    day: Annotated[str, Meta(description="The month's last day; today while it runs.")]
    dated: Annotated[
        list[DatedPriceRecord],
        Meta(
            description="All that were ever set, by day; `inForceFrom` is absent where a price has"
            " always been in force."
        ),
    ]


class PricesAnswer(msgspec.Struct):
    """The prices of the plan."""

    data: PricesBody


def prices_of(caller: Caller, month: WorkspaceMonth) -> dict[str, Price]:
    """The prices that a month of the caller's workspace is charged by, by the metric's name."""
    dated = caller.services.catalog.dated_prices(caller.workspace.number)
    return prices_on(dated, month.last_day)


def costs_of(
    used: dict[str, int], limits: LimitsRecord, prices: dict[str, Price]
) -> dict[str, Cost]:
    """What counts cost beyond the plan, by the metric's name; only where there is a price.

    Args:
        used: counts by the metric's name.
        limits, prices: of their month.
    """
    return {
        name: cost_of(count, limit, price)
        for name, count in used.items()
        if (price := prices.get(name)) and (limit := getattr(limits, name)) is not None
    }


def overage_costs(totals: Any, limits: LimitsRecord, prices: dict[str, Price]) -> Costs | UnsetType:
    """What was used beyond the plan costs; nothing while nothing does."""
    used = {metric.name: getattr(totals, metric.name) for metric in HEADLINES}
    charged = {
        name: CostRecord(f"{cost.amount:f}", cost.currency, cost.steps)
        for name, cost in costs_of(used, limits, prices).items()
        if cost.steps
    }
    return Costs(**charged) if charged else UNSET


def _body(caller: Caller, month: WorkspaceMonth) -> PricesBody:
    dated = caller.services.catalog.dated_prices(caller.workspace.number)
    in_force = prices_on(dated, month.last_day)
    return PricesBody(
        Prices(*(_record(in_force.get(metric.name)) for metric in HEADLINES)),
        day_text(month.last_day),
        [_dated(each) for each in dated if each.metric in BY_NAME],
    )


def _record(price: Price | None) -> PriceRecord | None:
    return None if price is None else PriceRecord(f"{price.amount:f}", price.step, price.currency)


def _dated(dated: DatedPrice) -> DatedPriceRecord:
    return DatedPriceRecord(
        BY_NAME[dated.metric],
        _record(dated.price),
        moment_text(dated.set_at_ms),
        UNSET if dated.from_day == FROM_THE_BEGINNING else day_text(dated.from_day),
    )


@endpoint(
    "GET",
    "/headcount/v1/plan-prices",
    Contract(
        name="getPlanPrices",
        summary="The plan's prices",
        description="What the plan charges for each step of a metric beyond its limit: as in force"
        " on the month's last day, or today while it runs. A step that is begun is charged whole."
        " Without a limit nothing is beyond it: set a limit of 0 to have all use charged.",
        tag="Plan limits",
        answer=PricesAnswer,
        query=(OPTIONAL_PERIOD,),
        errors=(404, 422),
    ),
)
def read_prices(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    pairs = pairs_of(request.scope["query_string"])
    month = read_workspace_month(caller, parse_period_param(pairs, required=False))
    return answer(PricesAnswer(_body(caller, month)))


@endpoint(
    "PUT",
    "/headcount/v1/plan-prices",
    Contract(
        name="setPlanPrice",
        summary="Set a price of the plan",
        description="Sets what is charged beyond one limit from a day on; null takes the price away"
        " from then on. What was in force before that day stays, and so does what is set from a"
        " later one. The answer is as for today.",
        tag="Plan limits",
        answer=PricesAnswer,
        body=NewPrice,
        errors=(413, 422),
        access="admin",
    ),
)
async def set_price(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    wanted = await body_of(request, NewPrice)
    month = read_workspace_month(caller, None)
    day = month.last_day if wanted.in_force_from is None else first_day(wanted.in_force_from)
    price = None if wanted.price is None else _price(wanted.price)
    try:
        caller.services.catalog.set_plan_price(
            caller.workspace.number,
            BY_WIRE[wanted.metric].name,
            price,
            from_day=day,
            now_ms=caller.services.clock(),
        )
    except UsageError as error:
        raise Problem(422, f"{error.problem} {error.remedy}", field="price") from error
    return answer(PricesAnswer(_body(caller, month)))


def _price(wanted: PriceRecord) -> Price:
    try:
        amount = Decimal(wanted.amount)
    except InvalidOperation:
        raise invalid("price.amount", "must be an amount such as 12.50.") from None
    return Price(amount, wanted.step, wanted.currency)


@endpoint(
    "DELETE",
    "/headcount/v1/plan-prices/{metric:str}/{day:str}",
    Contract(
        name="takeBackPlanPrice",
        summary="Take back a plan's price",
        description="Undoes the setting of a price from a day on: the one before it is in force"
        f" instead. The day is that of `dated`, or `{BEGINNING}`. The answer is as for today.",
        tag="Plan limits",
        answer=PricesAnswer,
        path_examples={"metric": HEADLINES[0].wire, "day": TODAY},
        errors=(404,),
        access="admin",
    ),
)
def take_back_price(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    metric = BY_WIRE.get(request.path_params["metric"])
    day = named_day(request.path_params["day"])
    found = None
    if metric is not None and day is not None:
        catalog = caller.services.catalog
        found = catalog.take_back_price(caller.workspace.number, metric.name, day)
    if found is None:
        raise Problem(404, "No price of that metric was set from that day on.", field="day")
    return answer(PricesAnswer(_body(caller, read_workspace_month(caller, None))))


PRICE_HANDLERS = [read_prices, set_price, take_back_price]
