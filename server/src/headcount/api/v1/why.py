"""Why a count moved: takes what is asked, gives contributions that add up to the change, and likely
causes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, NamedTuple

import msgspec
from litestar import Request, Response
from msgspec import Meta

from headcount.api.usage.month import WorkspaceMonth, http_date, read_month, read_workspace_month
from headcount.api.v1.contribution_words import KIND_WORDS, origin_words
from headcount.api.v1.explained_months import ExplainedMonths, Wanted
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, QueryParameter, answer, endpoint
from headcount.api.wire.problems import Problem, invalid
from headcount.api.wire.query import (
    OPTIONAL_PERIOD,
    PERIOD_TEXT,
    Pairs,
    pairs_of,
    parse_period_param,
    parse_value_param,
)
from headcount.counting.calendar import Period, moment_text
from headcount.counting.explaining import PARTS, RANKS, Contribution
from headcount.counting.likely_causes import CAUSES, LikelyCause
from headcount.counting.metrics import HEADLINES
from headcount.counting.months import current_period
from headcount.counting.usage import DAYS_MAX

__all__ = [
    "EXPLAIN_HANDLERS",
    "NOT_IN_A_CLUSTER",
    "ContributionRow",
    "ExplainBody",
    "NamedCause",
]

NOT_IN_A_CLUSTER = (
    "Explaining a count is not available in a cluster, because its partitions do not follow which"
    " message first brought an id. The counts themselves are complete: compare days and sources."
)

_LIMIT, _LIMIT_MAX = 50, 1000
_METRICS = {name: metric for metric in HEADLINES for name in (metric.option, metric.wire)}


class ContributionRow(msgspec.Struct, rename="camel", gc=False):
    """What the messages of one kind added to a count, and to the change."""

    source_id: Annotated[str, Meta(description="Empty where it was not asked for.")]
    source_name: str
    library: Annotated[
        str,
        Meta(
            description="`other` beyond those that are told apart, `unknown` where nothing is known"
            " of the messages."
        ),
    ]
    library_version: str
    type: str
    event: Annotated[str, Meta(description="Of a track message.")]
    bot: Annotated[bool, Meta(description="Whether the User-Agent is a known bot's.")]
    kind: Annotated[
        str,
        Meta(
            description="`message`; `identified` or `anonymous`, an id seen for the first time;"
            " `linked`, an anonymous id that became a known user's, which is negative; or"
            " `unattributed`."
        ),
    ]
    origin: Annotated[
        str, Meta(description="Where it comes from, in words beside the name of the source.")
    ]
    kind_words: Annotated[str, Meta(description="The `kind` in words.")]
    now: int
    before: int
    change: int
    share: Annotated[float, Meta(description="Of all that changed, whichever way.")]
    surprise: Annotated[
        float,
        Meta(
            description="How far it is from its share of the month before, in standard deviations."
        ),
    ]


class RestOfRows(msgspec.Struct, rename="camel", gc=False):
    """The contributions that are not listed, together."""

    rows: int
    now: int
    before: int
    change: int


class NamedCause(msgspec.Struct, rename="camel", gc=False):
    """A likely cause, and what to do."""

    name: str
    title: str
    effect: Annotated[int, Meta(description="How many it explains, about, of `unit`.")]
    unit: Annotated[str, Meta(description="`tracked users`, or `missing links to known users`.")]
    source_id: str
    source_name: str
    library: str
    library_version: str
    evidence: Annotated[str, Meta(description="What was looked at.")]
    now: float
    before: Annotated[float, Meta(description="What that was before, or would be without it.")]
    remedy: str


class ExplainBody(msgspec.Struct, rename="camel"):
    """Why a count moved."""

    period: Annotated[str, Meta(description="First day of the month, YYYY-MM-DD.")]
    against: Annotated[str, Meta(description="First day of the month it is held against.")]
    days: Annotated[int, Meta(description="How many days of `period` are compared.")]
    whole_months: Annotated[
        bool,
        Meta(description="Whether both months are compared whole; else the same days of both."),
    ]
    first_period: Annotated[
        str | None, Meta(description="First day of the month of the first usage; null before any.")
    ]
    current_period: Annotated[str, Meta(description="First day of the month that runs.")]
    counted_until: str
    metric: str
    now: int
    before: int
    change: int
    contributions: Annotated[
        list[ContributionRow],
        Meta(description="Their changes and the rest's add up to the change."),
    ]
    rest: RestOfRows
    causes: Annotated[list[NamedCause], Meta(description="The one that explains most first.")]
    notes: Annotated[list[str], Meta(description="What cannot be told, and why.")]


class ExplainAnswer(msgspec.Struct):
    """Why a count moved."""

    data: ExplainBody


_QUERY = (
    OPTIONAL_PERIOD,
    QueryParameter(
        "against", "The month to hold it against. Default: the one before.", PERIOD_TEXT
    ),
    QueryParameter(
        "metric", "Which count.", {"type": "string", "enum": [each.option for each in HEADLINES]}
    ),
    QueryParameter(
        "sourceId", "Of this source's own counts.", {"type": "string"}, example="$SOURCE_ID"
    ),
    QueryParameter(
        "by",
        "Which attributes to tell apart, separated by commas. Default: all of them.",
        {"type": "string", "example": "source,library,version"},
    ),
    QueryParameter(
        "rank", "By what contributions are ranked.", {"type": "string", "enum": list(RANKS)}
    ),
    QueryParameter(
        "limit",
        "How many contributions to list.",
        {"type": "integer", "minimum": 1, "maximum": _LIMIT_MAX, "default": _LIMIT},
    ),
)


def _wanted(pairs: Pairs) -> Wanted:
    metric = parse_value_param(pairs, "metric") or HEADLINES[0].option
    if metric not in _METRICS:
        raise invalid("metric", f"must be one of {', '.join(each.option for each in HEADLINES)}.")
    parts = frozenset((parse_value_param(pairs, "by") or ",".join(PARTS)).split(","))
    if not parts <= set(PARTS):
        raise invalid("by", f"must name some of {', '.join(PARTS)}.")
    rank = parse_value_param(pairs, "rank") or next(iter(RANKS))
    if rank not in RANKS:
        raise invalid("rank", f"must be one of {', '.join(RANKS)}.")
    limit = parse_value_param(pairs, "limit") or str(_LIMIT)
    plain = limit.isascii() and limit.isdigit() and len(limit) <= len(str(_LIMIT_MAX))
    if not plain or not 1 <= int(limit) <= _LIMIT_MAX:
        raise invalid("limit", f"must be a whole number from 1 to {_LIMIT_MAX}.")
    return Wanted(_METRICS[metric], parts, rank, int(limit))


@endpoint(
    "GET",
    "/headcount/v1/explain",
    Contract(
        name="explainChange",
        summary="Why a count moved",
        description="What a month's count is made of beside another's: each first-seen id is"
        " attributed once, to the message that first put it in its set, so contributions add up"
        " to the change exactly. Of a month that runs, and the other, the same days are compared."
        " Likely causes have a name, and what to do. Not available in a cluster (404), whose"
        " partitions do not follow which message brought an id.",
        tag="Reports",
        answer=ExplainAnswer,
        query=_QUERY,
        errors=(404, 422),
    ),
)
async def explain_change(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    pairs = pairs_of(request.scope["query_string"])
    wanted = _wanted(pairs)
    view = read_month(caller, parse_period_param(pairs, required=False))
    against = parse_period_param(pairs, "against", required=False)
    months: list[WorkspaceMonth] = [view]
    if against is None:
        against = view.period.shifted(-1)
    else:
        months.append(read_workspace_month(caller, against, "against"))
    reading = view.reading
    frame = _Frame(
        all(each.past for each in months),
        reading.first_period,
        current_period(caller.services.clock(), reading.last_metered_day),
    )
    sources = _Sources(caller)
    source = sources.number_of(parse_value_param(pairs, "sourceId"))

    def explain() -> Response[bytes]:
        store, workspace = caller.services.store, caller.workspace.number
        # Of a month that runs, and the other, the same days; of others all, however many.
        days = min((each.days for each in months if not each.past), default=DAYS_MAX)
        if store.attribution is None:
            raise Problem(404, NOT_IN_A_CLUSTER)
        with store.attribution.attributed(workspace, (view.period, against)) as usage:
            found = ExplainedMonths(usage, days, wanted, sources.names, source)
        body = _body(found, wanted, sources, frame)
        until = found.readings[0].counted_until_ms
        return answer(ExplainAnswer(body), {"Last-Modified": http_date(until)})

    # Of many sources, each with as many contributions as are told apart, that takes seconds; others
    # are not to wait for it.
    return await asyncio.to_thread(explain)


class _Frame(NamedTuple):
    """Whether both months are compared whole, and which months there are to choose from."""

    whole: bool
    first: Period | None
    current: Period


def _body(found: ExplainedMonths, wanted: Wanted, sources: _Sources, frame: _Frame) -> ExplainBody:
    now, before = found.readings
    told = found.result()
    rest = told.rest
    return ExplainBody(
        str(now.period),
        str(before.period),
        min(found.days, now.period.length),
        frame.whole,
        None if frame.first is None else str(frame.first),
        str(frame.current),
        moment_text(now.counted_until_ms),
        wanted.metric.wire,
        told.now,
        told.before,
        told.change,
        [_row(each, told.moved, sources, wanted.parts) for each in told.contributions],
        RestOfRows(rest.rows, rest.now, rest.before, rest.change),
        [_cause(each, sources) for each in found.causes.ranked()],
        list(found.notes(told)),
    )


class _Sources:
    """The sources of the caller's workspace, by their numbers."""

    def __init__(self, caller: Caller) -> None:
        self._directory = caller.services.directory
        self._workspace = caller.workspace.number
        self._known = self._directory.sources(self._workspace)
        self.names = {number: each.name for number, each in self._known.items()}

    def number_of(self, source_id: str | None) -> int | None:
        """The number of a source, by its id; None where none is asked for.

        Raises:
            Problem: 404 for no such source.
        """
        if source_id is None:
            return None
        for number, each in self._known.items():
            if each.id == source_id:
                return number
        raise Problem(404, "This workspace has no source of that id.", field="sourceId")

    def named(self, number: int | None) -> tuple[str, str]:
        """A source's id and name; empty for none."""
        if not number:
            return "", ""
        [source_id] = self._directory.source_ids(self._workspace, [number])
        return source_id, self.names.get(number, source_id)


def _row(
    row: Contribution, moved: int, sources: _Sources, parts: frozenset[str]
) -> ContributionRow:
    source_id, name = sources.named(row.whence and row.whence.source)
    of = row.whence.attributes if row.whence else None
    return ContributionRow(
        source_id,
        name,
        of.library if of else "",
        of.version if of else "",
        of.type if of else "",
        of.event if of else "",
        of.bot if of else False,
        row.kind,
        origin_words(of, parts),
        KIND_WORDS[row.kind],
        row.now,
        row.before,
        row.change,
        round(row.change / moved, 4) if moved else 0.0,
        round(row.surprise, 1),
    )


def _cause(cause: LikelyCause, sources: _Sources) -> NamedCause:
    words = CAUSES[cause.name]
    return NamedCause(
        cause.name,
        words.title,
        cause.effect,
        words.unit,
        *sources.named(cause.source),
        cause.library,
        cause.version,
        cause.evidence,
        cause.now,
        cause.before,
        words.remedy,
    )


EXPLAIN_HANDLERS = [explain_change]
