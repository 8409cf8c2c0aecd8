"""Where the month that runs will end, day by day, of the workspace or of one source.

Takes readings of the month and of the twelve before it, gives what `counting.forecast` tells.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.month import MonthView, read_month, read_workspace_month
from headcount.api.v1.daily import counts_of_source, source_named
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, QueryParameter, answer, endpoint
from headcount.api.wire.query import pairs_of, parse_value_param
from headcount.catalog import Source
from headcount.counting.by_metric import by_metric
from headcount.counting.calendar import Period, day_text, moment_text
from headcount.counting.forecast import FORMER_MONTHS, Forecast, Range, forecast_of
from headcount.counting.metrics import HEADLINES, Metric
from headcount.counting.months import periods_of
from headcount.counting.usage import Counts, is_possible
from headcount.errors import DamagedDataError

__all__ = ["FORECAST_HANDLERS", "ForecastBody", "forecasts_of"]

_SOURCE_ID = QueryParameter(
    "sourceId", "A source whose forecast is wanted, instead of the workspace's.", {"type": "string"}
)


class ForecastRecord(msgspec.Struct, rename="camel", gc=False):
    """Running totals to come, one entry in each list for each day."""

    days: Annotated[list[str], Meta(description="From today to the month's last day.")]
    likely: Annotated[list[int], Meta(description="In the middle, at the end of the day.")]
    low: Annotated[list[int], Meta(description="Four cases of five lie from here on.")]
    high: Annotated[list[int], Meta(description="Four cases of five lie up to here.")]
    learned_days: Annotated[
        int, Meta(description="Complete days of usage that this was learned from.", ge=0)
    ]
    learned_months: Annotated[int, Meta(description="Months before among them.", ge=0)]

    @classmethod
    def of(cls, forecast: Forecast, period: Period) -> ForecastRecord:
        """What is answered of a forecast of a month."""
        first = period.first_day + forecast.today - 1
        likely, low, high = (list(each) for each in zip(*forecast.days, strict=True))
        return cls(
            [day_text(first + place) for place in range(len(likely))],
            likely,
            low,
            high,
            forecast.learned_days,
            forecast.learned_months,
        )

    def told(self) -> Forecast:
        """The forecast that this was made of."""
        ranges = tuple(map(Range, self.likely, self.low, self.high))
        return Forecast(int(self.days[0][-2:]), ranges, self.learned_days, self.learned_months)


class Forecasts(
    by_metric(  # type: ignore[misc]
        HEADLINES, ForecastRecord | UnsetType, "Absent while nothing can be told.", default=UNSET
    )
):
    """Of each headline metric."""

    def of(self, metric: Metric) -> Forecast | None:
        """The forecast of a metric; None while nothing can be told."""
        found = getattr(self, metric.name)
        return None if found is UNSET else found.told()


class ForecastBody(msgspec.Struct, rename="camel"):
    """Where the month that runs will end."""

    period: Annotated[str, Meta(description="First day of the month that runs, YYYY-MM-DD.")]
    counted_until: Annotated[str, Meta(description="Messages received until then are in here.")]
    forecasts: Forecasts
    damaged: Annotated[
        list[str],
        Meta(
            description="First days of months, this one or former ones, whose counts are damaged:"
            " nothing is learned from these and those before them. `headcount doctor` says more."
        ),
    ]


class ForecastAnswer(msgspec.Struct):
    """Where the month that runs will end."""

    data: ForecastBody


@endpoint(
    "GET",
    "/headcount/v1/forecast",
    Contract(
        name="getForecast",
        summary="Where the month will end",
        description="Running totals to come of the month that runs, by day, each with the range in"
        f" which four cases of five lie: learned from its complete days and from up to"
        f" {FORMER_MONTHS} months before. A metric is absent while nothing can be told: for up to"
        " three complete days of usage, for a single message, and for one day's usage alone.",
        tag="Reports",
        answer=ForecastAnswer,
        query=(_SOURCE_ID,),
        errors=(404, 422),
    ),
)
def read_forecast(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    source_id = parse_value_param(pairs_of(request.scope["query_string"]), "sourceId")
    month = read_month(caller, None)
    ahead = forecasts_of(caller, month, source_id)
    found = {
        metric.name: ForecastRecord.of(forecast, month.period)
        for metric, forecast in ahead.told.items()
    }
    until = moment_text(month.reading.counted_until_ms)
    damaged = [str(period) for period in ahead.damaged]
    body = ForecastBody(str(month.period), until, Forecasts(**found), damaged)
    return answer(ForecastAnswer(body), month.headers())


class MonthAhead(NamedTuple):
    """Where a month will end.

    Attributes:
        told: forecasts of the headline metrics of which something can be told.
        damaged: months, this one or former ones, whose counts cannot be learned from.
    """

    told: dict[Metric, Forecast]
    damaged: list[Period]


def forecasts_of(caller: Caller, month: MonthView, source_id: str | None = None) -> MonthAhead:
    """Where a month will end; of one that is over nothing is told.

    Args:
        caller: whose usage it is.
        month: a reading.
        source_id: of which source; None for the workspace.

    Raises:
        Problem: 404 where the workspace has no such source.
    """
    source = None if source_id is None else source_named(caller, source_id)
    if month.past:
        return MonthAhead({}, [])
    periods = periods_of(month.reading.first_period, month.period)[FORMER_MONTHS:0:-1]
    now = month.reading.workspace if source is None else counts_of_source(month, source)
    before = [_counts_before(caller, period, source) for period in periods]
    told = (
        (each, forecast_of(each, month.period, now[: month.days], before)) for each in HEADLINES
    )
    damaged = [
        period
        for period, counts in zip((*periods, month.period), (*before, now), strict=True)
        if counts is None or not is_possible(counts)
    ]
    return MonthAhead({each: forecast for each, forecast in told if forecast is not None}, damaged)


def _counts_before(caller: Caller, period: Period, source: Source | None) -> Counts | None:
    """What was new on each day of a former month: of a source, or of the workspace.

    None where it is damaged, which must not keep anybody from the month that runs.
    """
    try:
        if source is None:
            return read_workspace_month(caller, period).reading.workspace
        return counts_of_source(read_month(caller, period), source)
    except DamagedDataError:
        return None


FORECAST_HANDLERS = [read_forecast]
