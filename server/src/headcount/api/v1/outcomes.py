"""What became of every message: accepted, duplicate, or rejected for a reason.

Takes one reading, gives totals and days of the workspace or of one source, and totals of every
source. An accepted message is an API call; a duplicate was answered like a success and is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.month import MonthView, read_month
from headcount.api.v1.cluster import ClusterLoss, losses_shown
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, QueryParameter, answer, endpoint
from headcount.api.wire.problems import Problem
from headcount.api.wire.query import (
    OPTIONAL_PERIOD,
    pairs_of,
    parse_period_param,
    parse_value_param,
)
from headcount.counting.calendar import moment_text
from headcount.counting.conflicts import CONFLICTING
from headcount.counting.facts import Rejection
from headcount.counting.metrics import BY_NAME
from headcount.counting.usage import Counts, all_of
from headcount.errors import DamagedDataError

__all__ = ["OUTCOME_HANDLERS", "OutcomesBody", "ReachedQuota"]


class Outcomes(msgspec.Struct, rename="camel", gc=False):
    """How many messages had each outcome."""

    accepted: Annotated[int, Meta(description="Messages that are API calls.", ge=0)]
    duplicate: Annotated[int, Meta(description="Deliveries of a message already known.", ge=0)]
    rejected: Annotated[int, Meta(description="Messages refused, for all reasons.", ge=0)]
    rejected_by_reason: Annotated[
        dict[str, int], Meta(description="Messages refused, by the code that their sender got.")
    ]
    conflicting_duplicate: (
        Annotated[
            int,
            Meta(
                description="Deliveries with a known message id, but of another type or with other"
                " tracked ids: their sender makes message ids badly. Told of recent ones; not"
                " counted, and not in `duplicate`. Absent where there are none.",
                ge=0,
            ),
        ]
        | UnsetType
    ) = UNSET

    @property
    def duplicates(self) -> int:
        """Deliveries that are not counted, since their message id is known."""
        return self.duplicate + (self.conflicting_duplicate or 0)


class DayOutcomes(msgspec.Struct):
    """The outcomes of one day."""

    day: Annotated[str, Meta(description="YYYY-MM-DD, UTC.")]
    outcomes: Outcomes


class SourceOutcomes(msgspec.Struct, rename="camel", gc=False):
    """The outcomes of one source."""

    source_id: str
    source_name: str
    outcomes: Outcomes


class ReachedQuota(msgspec.Struct, rename="camel"):
    """A quota of a source that the month has reached."""

    source_id: str
    source_name: str
    metric: str
    quota: Annotated[int, Meta(description="What the source may use in a month.")]
    reached_at: Annotated[str, Meta(description="RFC 3339, UTC; when it was seen to be reached.")]
    past: Annotated[
        Literal["refuse", "mark"],
        Meta(description="Whether messages past it are refused with 429, or only marked here."),
    ]


class OutcomesBody(msgspec.Struct, rename="camel"):
    """The outcomes of a month."""

    period: Annotated[str, Meta(description="First day of the month, YYYY-MM-DD.")]
    counted_until: Annotated[str, Meta(description="Messages received until then are in here.")]
    totals: Outcomes
    days: Annotated[list[DayOutcomes], Meta(description="Every day of the month up to today.")]
    sources: Annotated[list[SourceOutcomes], Meta(description="Sources with any, by id.")]
    quotas_reached: Annotated[
        list[ReachedQuota], Meta(description="Where quotas of sources began to hold.")
    ] = []
    losses: (
        Annotated[
            list[ClusterLoss],
            Meta(description="What a cluster has lost for good that may concern the month."),
        ]
        | UnsetType
    ) = UNSET


class OutcomesAnswer(msgspec.Struct):
    """The outcomes of a month."""

    data: OutcomesBody


_SHOWN = (BY_NAME["api_calls"], BY_NAME["duplicate"])
_NOTHING = (0, 0)
_NO_SOURCE = 0
_SOURCE_ID = QueryParameter(
    "sourceId",
    "Only this source: totals and days are then its own. Without it they are the workspace's.",
    {"type": "string"},
    example="$SOURCE_ID",
)


@endpoint(
    "GET",
    "/headcount/v1/outcomes",
    Contract(
        name="getOutcomes",
        summary="Outcomes by source and reason",
        description="What became of every message of a month: accepted (an API call), duplicate"
        " (answered like a success, not counted again), a duplicate that conflicts with what came"
        " first, or rejected, by reason; in total, by day"
        " and by source.",
        tag="Reports",
        answer=OutcomesAnswer,
        query=(OPTIONAL_PERIOD, _SOURCE_ID),
        errors=(404, 422),
    ),
)
def read_outcomes(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    pairs = pairs_of(request.scope["query_string"])
    period, source_id = (
        parse_period_param(pairs, required=False),
        parse_value_param(pairs, "sourceId"),
    )
    month = read_month(caller, period)
    return answer(OutcomesAnswer(_body(caller, month, source_id)), month.headers())


def _body(caller: Caller, month: MonthView, source_id: str | None) -> OutcomesBody:
    reading, workspace = month.reading, caller.workspace.number
    counted = reading.source_numbers.tolist()
    rejected: defaultdict[int, list[Rejection]] = defaultdict(list)
    for rejection in (*reading.rejected, *reading.conflicting):
        rejected[rejection.source].append(rejection)
    # A source whose messages were all rejected has no counts, one without rejections no list.
    numbers = sorted({*counted, *rejected})
    ids = dict(zip(caller.services.directory.source_ids(workspace, numbers), numbers, strict=True))
    names = {each.id: each.name for each in caller.services.directory.sources(workspace).values()}
    of_days, of_reasons = reading.workspace, (*reading.rejected, *reading.conflicting)
    if source_id is not None:
        if source_id not in ids and source_id not in names:
            raise Problem(404, "This workspace has no source of that id.", field="sourceId")
        ids = {each: number for each, number in ids.items() if each == source_id}
        number = ids.get(source_id, _NO_SOURCE)
        place = counted.index(number) if number in counted else None
        of_days = reading.workspace * 0 if place is None else reading.sources[place]
        of_reasons = tuple(rejected[number])
    totals = dict(zip(counted, all_of(_SHOWN, reading.sources.sum(axis=1)).tolist(), strict=True))
    sources = [
        SourceOutcomes(
            each,
            names.get(each, each),
            _outcomes(totals.get(ids[each], _NOTHING), rejected[ids[each]]),
        )
        for each in sorted(ids)
    ]
    return OutcomesBody(
        str(month.period),
        moment_text(reading.counted_until_ms),
        _outcomes(all_of(_SHOWN, of_days.sum(axis=0)).tolist(), of_reasons),
        _days(month, of_days, of_reasons),
        sources,
        _quotas(caller, month, source_id),
        losses_shown(caller.services.losses(), month.period),
    )


def _quotas(caller: Caller, month: MonthView, source_id: str | None) -> list[ReachedQuota]:
    number = caller.workspace.number
    sources = caller.services.directory.sources(number)
    own = caller.services.store.alerts.quotas_reached(number, month.period)
    # Nodes of a cluster see it a moment apart, and show what they have agreed upon.
    agreed = caller.services.catalog.quotas_reached(number, month.period)
    reached = {(each.source, each.metric): each for each in (*own, *agreed)}
    return [
        ReachedQuota(
            sources[each.source].id,
            sources[each.source].name,
            BY_NAME[each.metric].wire,
            each.amount,
            moment_text(each.reached_at_ms),
            each.past,  # type: ignore[arg-type]
        )
        for each in reached.values()
        if each.source in sources and source_id in (None, sources[each.source].id)
    ]


def _days(month: MonthView, counts: Counts, rejected: Iterable[Rejection]) -> list[DayOutcomes]:
    first = month.period.first_day
    by_day: defaultdict[int, list[Rejection]] = defaultdict(list)
    for rejection in rejected:
        by_day[rejection.day - first].append(rejection)
    shown = all_of(_SHOWN, counts).tolist()
    return [
        DayOutcomes(name, _outcomes(shown[day], by_day[day]))
        for day, name in enumerate(month.day_names())
    ]


def _outcomes(counts: Sequence[int], rejected: Iterable[Rejection]) -> Outcomes:
    """Outcomes out of the counts of `_SHOWN` and tallies of rejections and conflicts.

    Raises:
        DamagedDataError: there would be fewer than none.
    """
    reasons: defaultdict[str, int] = defaultdict(int)
    for rejection in rejected:
        reasons[rejection.reason] += rejection.messages
    told = reasons.pop(CONFLICTING, 0)
    by_reason = dict(sorted(reasons.items()))
    accepted, duplicate = counts
    if accepted < 0 or duplicate < 0:
        raise DamagedDataError("A count of outcomes is below zero.", "See headcount doctor.")
    # A partition of a cluster that was put back may find the copies of before on another day, or
    # not at all; what was told of them stays, and may be more than there are now.
    conflicting = min(told, duplicate)
    return Outcomes(
        accepted,
        duplicate - conflicting,
        sum(by_reason.values()),
        by_reason,
        conflicting or UNSET,
    )


OUTCOME_HANDLERS = [read_outcomes]
