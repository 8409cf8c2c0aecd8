"""A month in one answer: totals to date, by source, and against the month before.

Takes two readings, of the month and of the one before it, each from one moment and saying which.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.month import MonthView, moment_text, read_month
from headcount.api.v1.plan_limits import LimitsRecord, limits_of
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, endpoint
from headcount.api.wire.query import OPTIONAL_PERIOD, pairs_of, parse_period_param
from headcount.counting.by_metric import by_metric
from headcount.counting.forecast import pace_of
from headcount.counting.metrics import API_CALLS, HEADLINES, REPORTED
from headcount.counting.usage import Counts, all_of

__all__ = ["SUMMARY_HANDLERS"]

_ESTIMATED = "At the end of the month; absent while nothing can be told."


class Totals(by_metric(REPORTED, int)):  # type: ignore[misc]
    """Counts from the start of a month up to and including a day."""


class TotalsChange(by_metric(HEADLINES, int, "Now, less then.")):  # type: ignore[misc]
    """How much more than in the month before, up to the day that is compared with."""


class MonthTotals(msgspec.Struct, rename="camel"):
    """A month up to a day."""

    period: Annotated[str, Meta(description="First day of the month, YYYY-MM-DD.")]
    day: Annotated[str, Meta(description="Day up to which the totals count, YYYY-MM-DD.")]
    counted_until: Annotated[str, Meta(description="Messages received until then are in here.")]
    totals: Totals


class SourceTotals(msgspec.Struct, rename="camel", gc=False):
    """A source in the month and up to the same day of the month before."""

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


class SummaryBody(msgspec.Struct, rename="camel"):
    """A month in one answer."""

    month: MonthTotals
    sources: Annotated[list[SourceTotals], Meta(description="Sources with usage, by id.")]
    plan_limits: Annotated[LimitsRecord, Meta(description="Those in force on the month's day.")]
    previous: MonthTotals | UnsetType = UNSET
    change: TotalsChange | UnsetType = UNSET
    estimates: Estimates | UnsetType = UNSET


class SummaryAnswer(msgspec.Struct):
    """A month in one answer."""

    data: SummaryBody


@endpoint(
    "GET",
    "/headcount/v1/summary",
    Contract(
        name="getSummary",
        summary="A month in one answer",
        description="Totals to date of the workspace and of every source, the plan's limits, and"
        " the change against the month before: up to the same day of it (or its last, when it is"
        " shorter) while the month runs, all of it once the month is over. `previous` and `change`"
        " are absent when the month before holds no usage of this workspace. `estimates` says where"
        " the month that runs will end, if days go on as the last ones did; each is absent while"
        " nothing can be told: for up to three complete days of usage, for a single message, and"
        " for one day's usage alone.",
        tag="Reports",
        answer=SummaryAnswer,
        query=(OPTIONAL_PERIOD,),
        errors=(404, 422),
    ),
)
def read_summary(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    pairs = pairs_of(request.scope["query_string"])
    month = read_month(caller, parse_period_param(pairs, required=False))
    before = _month_before(caller, month)
    month_totals = _month_totals(month, month.days)
    body = SummaryBody(month_totals, [], limits_of(caller, month))
    compared_days = 0
    if before is not None:
        compared_days = before.days if month.past else min(month.days, before.days)
        body.previous = _month_totals(before, compared_days)
        body.change = _change(month_totals.totals, body.previous.totals)
    body.sources = _sources(caller, month, before, compared_days)
    body.estimates = _estimates(month)
    return answer(SummaryAnswer(body), month.headers())


def _month_before(caller: Caller, month: MonthView) -> MonthView | None:
    first = month.reading.first_period
    if first is None or month.period <= first:
        return None
    return read_month(caller, month.period.shifted(-1))


def _estimates(month: MonthView) -> Estimates | UnsetType:
    found = {}
    for metric in HEADLINES:
        totals = metric.of(month.reading.workspace[: month.days]).cumsum().tolist()
        if pace := pace_of(totals, runs=not month.past):
            found[metric.name] = Estimate(*pace.at_end_of(month.period.length))
    return Estimates(**found) if found else UNSET


def _month_totals(month: MonthView, days: int) -> MonthTotals:
    return MonthTotals(
        str(month.period),
        month.day_names()[days - 1],
        moment_text(month.reading.counted_until_ms),
        *_totals(month.reading.workspace[:days].sum(axis=0, keepdims=True)),
    )


def _sources(
    caller: Caller, month: MonthView, before: MonthView | None, compared_days: int
) -> list[SourceTotals]:
    now = _by_source(month, month.days)
    past = _by_source(before, compared_days) if before is not None else {}
    numbers = sorted(now.keys() | past.keys())
    known = caller.services.directory.sources(caller.workspace.number)
    ids = caller.services.directory.source_ids(caller.workspace.number, numbers)
    entries = []
    for number, source_id in sorted(zip(numbers, ids, strict=True), key=lambda pair: pair[1]):
        name = known[number].name if number in known else source_id
        entry = SourceTotals(source_id, name, now.get(number, _NOTHING))
        if before is not None:
            entry.previous = past.get(number, _NOTHING)
            entry.change = _change(entry.totals, entry.previous)
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
