"""Why a count moved: takes two readings, gives contributions that add up to the change, and likely
causes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Annotated, Any, NamedTuple

import msgspec
from litestar import Request, Response
from msgspec import Meta

from headcount.api.usage.month import MonthView, http_date, read_month
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
from headcount.counting.explaining import (
    Brought,
    Contribution,
    ExplainedMonth,
    Whence,
    brought_by,
    explained,
)
from headcount.counting.likely_causes import CAUSES, LikelyCause, causes_of
from headcount.counting.metrics import HEADLINES, Metric
from headcount.counting.usage import UsageReading

__all__ = ["EXPLAIN_HANDLERS", "ContributionRow", "ExplainBody", "NamedCause"]

_LIMIT, _LIMIT_MAX = 50, 1000
_RANKS = ("share", "surprise")
_METRICS = {name: metric for metric in HEADLINES for name in (metric.option, metric.wire)}
_PARTS = ("source", "library", "version", "type", "event", "bot")


class ContributionRow(msgspec.Struct, rename="camel", gc=False):
    """What the messages of one kind added to a count, and to the change."""

    source_id: Annotated[str, Meta(description="Empty where it was not asked for.")]
    source_name: str
    library: Annotated[str, Meta(description="`other` beyond those that are told apart.")]
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
    effect: Annotated[int, Meta(description="Tracked users that it explains, about.")]
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
    days: Annotated[int, Meta(description="How many days of each month are compared.")]
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
        "rank", "By what contributions are ranked.", {"type": "string", "enum": list(_RANKS)}
    ),
    QueryParameter(
        "limit",
        "How many contributions to list.",
        {"type": "integer", "minimum": 1, "maximum": _LIMIT_MAX, "default": _LIMIT},
    ),
)


class _Asked(NamedTuple):
    metric: Metric
    parts: frozenset[str]
    rank: str
    limit: int


def _asked(pairs: Pairs) -> _Asked:
    metric = parse_value_param(pairs, "metric") or HEADLINES[0].option
    if metric not in _METRICS:
        raise invalid("metric", f"must be one of {', '.join(each.option for each in HEADLINES)}.")
    parts = frozenset((parse_value_param(pairs, "by") or ",".join(_PARTS)).split(","))
    if not parts <= set(_PARTS):
        raise invalid("by", f"must name some of {', '.join(_PARTS)}.")
    rank = parse_value_param(pairs, "rank") or _RANKS[0]
    if rank not in _RANKS:
        raise invalid("rank", f"must be one of {', '.join(_RANKS)}.")
    limit = parse_value_param(pairs, "limit") or str(_LIMIT)
    plain = limit.isascii() and limit.isdigit() and len(limit) <= len(str(_LIMIT_MAX))
    if not plain or not 1 <= int(limit) <= _LIMIT_MAX:
        raise invalid("limit", f"must be a whole number from 1 to {_LIMIT_MAX}.")
    return _Asked(_METRICS[metric], parts, rank, int(limit))


@endpoint(
    "GET",
    "/headcount/v1/explain",
    Contract(
        name="explainChange",
        summary="Why a count moved",
        description="What a month's count is made of beside another's: each first-seen id is"
        " attributed once, to the message that first put it in its set, so contributions add up"
        " to the change exactly. Of a month that runs, and the other, the same days are compared."
        " Likely causes have a name, and what to do.",
        tag="Reports",
        answer=ExplainAnswer,
        query=_QUERY,
        errors=(404, 422),
    ),
)
async def explain_change(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    pairs = pairs_of(request.scope["query_string"])
    asked = _asked(pairs)
    view = read_month(caller, parse_period_param(pairs, required=False))
    wanted = parse_period_param(pairs, "against", required=False)
    if wanted is not None:
        read_month(caller, wanted, "against")
    against = wanted or Period(view.period.number - 1)
    sources = _Sources(caller)
    source = sources.number_of(parse_value_param(pairs, "sourceId"))

    def explain() -> Response[bytes]:
        now, before = (
            caller.services.store.read_usage(caller.workspace.number, each, contributions=True)
            for each in (view.period, against)
        )
        body = _body(view, (now, before), asked, sources, source)
        return answer(ExplainAnswer(body), {"Last-Modified": http_date(now.counted_until_ms)})

    # Of many sources, each with as many contributions as are told apart, that takes seconds; others
    # are not to wait for it.
    return await asyncio.to_thread(explain)


def _body(
    view: MonthView,
    readings: tuple[UsageReading, UsageReading],
    asked: _Asked,
    sources: _Sources,
    source: int | None,
) -> ExplainBody:
    days = 31 if view.past else view.days
    sides = [_side(each, days, asked.metric, source) for each in readings]
    causes = causes_of(sides[0].brought, sides[1].brought, sources.names)
    told = explained(_only(sides[0], asked.parts), _only(sides[1], asked.parts), asked.metric)
    ranked = told.contributions
    if asked.rank == "surprise":
        ranked = sorted(ranked, key=lambda row: -abs(row.surprise))
    moved = sum(abs(row.change) for row in ranked)
    listed, rest = ranked[: asked.limit], ranked[asked.limit :]
    return ExplainBody(
        str(view.period),
        str(readings[1].period),
        min(days, view.period.length),
        moment_text(readings[0].counted_until_ms),
        asked.metric.wire,
        told.now,
        told.before,
        told.change,
        [_row(each, moved, sources) for each in listed],
        RestOfRows(
            len(rest),
            sum(row.now for row in rest),
            sum(row.before for row in rest),
            sum(row.change for row in rest),
        ),
        [_cause(each, sources) for each in causes],
    )


def _side(reading: UsageReading, days: int, metric: Metric, source: int | None) -> ExplainedMonth:
    assert reading.contributions is not None, "they were asked for"
    total = 0
    if source is None:
        total = int(metric.of(reading.workspace)[:days].sum())
    else:
        for number, counts in zip(reading.source_numbers.tolist(), reading.sources, strict=True):
            if number == source:
                total = int(metric.of(counts)[:days].sum())
    return ExplainedMonth(total, brought_by(reading.contributions, days, source))


def _only(month: ExplainedMonth, parts: frozenset[str]) -> ExplainedMonth:
    """A month in which only some attributes are told apart."""
    if parts == set(_PARTS):
        return month
    sums: defaultdict[Whence, Brought] = defaultdict(Brought)
    for whence, brought in month.brought.items():
        library, version, kind, event, bot = whence.attributes
        kept = whence.attributes._replace(
            library=library if "library" in parts else "",
            version=version if "version" in parts else "",
            type=kind if "type" in parts else "",
            event=event if "event" in parts else "",
            bot="bot" in parts and bot,
        )
        sums[Whence(whence.source if "source" in parts else 0, kept)].add(brought)
    return ExplainedMonth(month.total, dict(sums))


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


def _row(row: Contribution, moved: int, sources: _Sources) -> ContributionRow:
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
        *sources.named(cause.source),
        cause.library,
        cause.version,
        cause.evidence,
        cause.now,
        cause.before,
        words.remedy,
    )


EXPLAIN_HANDLERS = [explain_change]
