"""Usage and what it costs in the shape of the FinOps field's tables: takes a month, gives CSV.

The columns are named as in the FinOps Open Cost and Usage Specification 1.0 (FOCUS,
https://focus.finops.org/focus-specification/v1-0/). A row is one metric on one day: how many were
new, and by how much what is charged beyond the plan grew with them, so that a month's rows add up
to what it costs. It is shaped like that specification and does not conform to it: nobody here
knows the vendor's invoice, and tracked users may become fewer, with a negative quantity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

from headcount.cli.reading.own import get_own, workspace_name
from headcount.counting.calendar import Period, day_text
from headcount.counting.cost import Price, cost_of
from headcount.errors import UsageError
from headcount.spreadsheets import csv_line

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection
    from headcount.cli.reading.usage_rows import Query, Row
    from headcount.counting.metrics import Metric

__all__ = ["FOCUS_COLUMNS", "write_focus"]

FOCUS_COLUMNS = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass"),
    *("ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart"),
    *("ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice"),
    *("EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory"),
    *("PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "RegionId", "ResourceId"),
    *("ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId"),
    *("SubAccountId", "SubAccountName", "Tags"),
)
_ISSUER = "Headcount"
_SERVICE = "Customer data pipeline"
_NOTHING = Decimal(0)


def write_focus(
    connection: ApiConnection, query: Query, month: Period, rows: Sequence[Row], stream: BinaryIO
) -> None:
    """Write a month, with a heading.

    Args:
        connection: whom to ask for the plan.
        query: what the rows were read by; of the workspace, which has a plan.
        month: which it is.
        rows: its rows, ascending by day.
        stream: where to.

    Raises:
        UsageError: it is by source, or the server tells no plan.
    """
    if query.by != "workspace":
        raise UsageError(
            "--format focus goes with --by workspace: no source has a plan.", "Leave --by out."
        )
    limits = get_own(connection, "plan-limits", period=str(month))
    prices = get_own(connection, "plan-prices", period=str(month))
    workspace = get_own(connection, "workspace")
    if limits is None or prices is None or workspace is None:
        raise UsageError(
            "This server tells no plan, without which there are no costs.",
            "Read from Headcount, with --host.",
        )
    fixed = {
        "BillingAccountId": workspace["workspace"]["id"],
        "BillingAccountName": workspace_name(connection),
        "BillingPeriodStart": _moment(day_text(month.first_day)),
        "BillingPeriodEnd": _moment(day_text(month.last_day + 1)),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "InvoiceIssuerName": _ISSUER,
        "PricingCategory": "Standard",
        "ProviderName": _ISSUER,
        "PublisherName": _ISSUER,
        "ServiceCategory": "Analytics",
        "ServiceName": _SERVICE,
    }
    lines = [csv_line(FOCUS_COLUMNS)]
    for metric in query.headlines:
        told = prices["planPrices"][metric.wire]
        price = told and Price(Decimal(told["amount"]), told["step"], told["currency"])
        limit = limits["planLimits"][metric.wire]
        since = _in_force_from(prices["dated"], metric, prices["day"])
        for cells in _days(metric, rows, limit, price):
            if price:
                cells["SkuPriceId"] = f"{metric.wire}@{since}"
            lines.append(csv_line([(fixed | cells).get(name) for name in FOCUS_COLUMNS]))
    stream.write(b"".join(lines))


def _days(
    metric: Metric, rows: Sequence[Row], limit: int | None, price: Price | None
) -> list[dict[str, Any]]:
    """What differs from day to day."""
    found = []
    used, charged, steps = 0, _NOTHING, 0
    for row in rows:
        now = row[metric.name] or 0
        cost = cost_of(now, limit, price) if price else None
        cells: dict[str, Any] = {
            "ChargeDescription": f"{metric.label} new on this day",
            "ChargePeriodStart": _moment(row["day"].isoformat()),
            "ChargePeriodEnd": _moment((row["day"] + timedelta(1)).isoformat()),
            "ConsumedQuantity": now - used,
            "ConsumedUnit": metric.label,
            "SkuId": metric.wire,
        }
        if price and cost:
            grown = cost.amount - charged
            cells |= {
                "BillingCurrency": price.currency,
                "PricingQuantity": cost.steps - steps,
                "PricingUnit": f"{price.step} {metric.label}",
                "ListUnitPrice": price.amount,
                "ContractedUnitPrice": price.amount,
            }
            charged, steps = cost.amount, cost.steps
        else:
            grown = _NOTHING
        for column in ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"):
            cells[column] = grown
        used = now
        found.append(cells)
    return found


def _in_force_from(dated: Sequence[Mapping[str, Any]], metric: Metric, day: str) -> str:
    begun = [
        each.get("inForceFrom", "")
        for each in dated
        if each["metric"] == metric.wire and each.get("inForceFrom", "") <= day
    ]
    return max(begun, default="") or "beginning"


def _moment(day: str) -> str:
    return f"{day}T00:00:00Z"
