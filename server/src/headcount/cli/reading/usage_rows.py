"""Months of usage as flat rows: takes a connection and a query, gives rows by day and scope.

A row holds the counts from the start of its month to the end of its day, as the usage API does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from headcount.cli.reading.own import get_own
from headcount.counting.calendar import Period, parse_period
from headcount.counting.metrics import REPORTED, Metric
from headcount.errors import UsageError

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection

__all__ = [
    "Query",
    "Row",
    "month_rows",
    "new_columns",
    "period_named",
    "range_rows",
    "with_new",
]

Scope = Literal["workspace", "source"]
Row = dict[str, Any]

_ROWS_A_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for.

    Attributes:
        by: a row for each source, or for the whole workspace.
        metric: the option of a headline metric, to have it alone; all when None.
    """

    by: Scope
    metric: str | None

    @property
    def headlines(self) -> tuple[Metric, ...]:
        """What is counted."""
        return tuple(
            metric
            for metric in REPORTED
            if metric.headline and self.metric in (None, metric.option)
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What a row has counts of."""
        reports = {metric.name for metric in self.headlines}
        return tuple(metric for metric in REPORTED if metric.report in reports)

    @property
    def columns(self) -> tuple[str, ...]:
        """All fields of a row, in order."""
        scope = ("source_id", "source_name") if self.by == "source" else ()
        return ("day", *scope, *(metric.name for metric in self.metrics))


def month_rows(
    connection: ApiConnection, query: Query, period: Period, names: Mapping[str, str]
) -> list[Row]:
    """Every row of a month, by day and then by source id.

    Args:
        connection: whom to ask.
        query: what to ask for.
        period: which month.
        names: source names by id, for `source_name`.

    Raises:
        ApiException: the server refused, or did not answer.
    """
    joined: dict[tuple[Any, str], Row] = {}
    for metric in query.headlines:
        for record in _records(connection, query.by, metric, period):
            key = record["day"], record.get("source_id", "")
            # They are read one after the other: the later may know a row more.
            row = joined.setdefault(key, dict.fromkeys(query.columns))
            row.update(record)
    for row in joined.values():
        if "source_name" in row:
            row["source_name"] = names.get(row["source_id"])
    return [joined[key] for key in sorted(joined)]


def new_columns(query: Query) -> tuple[str, ...]:
    """The fields that `with_new` adds to a row, in order."""
    return tuple(f"new_{metric.name}" for metric in query.metrics)


def with_new(query: Query, rows: Sequence[Row]) -> list[Row]:
    """The rows of a month with what each day brought, besides the totals at its end.

    Args:
        query: what they were read by.
        rows: all rows of one month, ascending by day.
    """
    former: dict[Any, Row] = {}
    told = []
    for row in rows:
        before = former.get(row.get("source_id"), {})
        former[row.get("source_id")] = row
        came = {
            f"new_{name}": None if row[name] is None else row[name] - (before.get(name) or 0)
            for name in (metric.name for metric in query.metrics)
        }
        told.append(row | came)
    return told


def range_rows(
    connection: ApiConnection, query: Query, first: Period, last: Period
) -> Iterator[tuple[Period, list[Row]]] | None:
    """The rows of every month of a range that there is, in a request or a few for all of them.

    Args:
        connection: whom to ask.
        query: what to ask for.
        first, last: the range.

    Returns:
        Each month with its rows, as `month_rows` gives them; None from a server that has no ranges.

    Raises:
        ApiException: the server refused, or did not answer.
    """
    asked_for = {"from": str(first), "to": str(last), "by": query.by}
    answer = get_own(connection, "range", **asked_for)
    return None if answer is None else _range_rows(connection, query, asked_for, answer)


def _range_rows(
    connection: ApiConnection, query: Query, asked_for: dict[str, str], answer: Any
) -> Iterator[tuple[Period, list[Row]]]:
    gathered: tuple[Period, list[Row]] | None = None
    while answer is not None:
        for month in answer["months"]:
            period = parse_period(month["period"])
            rows = list(_rows_of(query, month))
            # A month of very many sources comes in parts.
            if gathered is not None and gathered[0] == period:
                rows = gathered[1] + rows
            elif gathered is not None:
                yield gathered
            gathered = period, sorted(rows, key=lambda row: (row["day"], row.get("source_id", "")))
        following = answer.get("next")
        answer = following and get_own(connection, "range", **asked_for | following)
    if gathered is not None:
        yield gathered


def _rows_of(query: Query, month: dict[str, Any]) -> Iterator[Row]:
    days = [date.fromisoformat(day) for day in month["days"]]
    for scope in month.get("sources", [month.get("workspace")]):
        totals = scope["totals"] if query.by == "source" else scope
        of_source: Row = {}
        if query.by == "source":
            # Halves of characters, which JSON can hold, can be written nowhere.
            name = scope["sourceName"].encode("utf-8", "replace").decode()
            of_source = {"source_id": scope["sourceId"], "source_name": name}
        for place, day in enumerate(days):
            # The rows of a source begin with the first day on which it has any.
            if query.by == "workspace" or totals["apiCalls"][place]:
                counts = {metric.name: totals[metric.wire][place] for metric in query.metrics}
                yield {"day": day, **of_source, **counts}


def _records(
    connection: ApiConnection, by: Scope, metric: Metric, period: Period
) -> Iterator[dict[str, Any]]:
    from segment_public_api import APICallsApi, MonthlyTrackedUsersApi, iter_rows

    calls = APICallsApi(connection.client)
    users = MonthlyTrackedUsersApi(connection.client)
    methods: dict[tuple[Scope, str], Callable[..., Any]] = {
        ("workspace", "api_calls"): calls.get_daily_workspace_api_calls_usage,
        ("source", "api_calls"): calls.get_daily_per_source_api_calls_usage,
        ("workspace", "mtu"): users.get_daily_workspace_mtu_usage,
        ("source", "mtu"): users.get_daily_per_source_mtu_usage,
    }
    # The workspace has no more rows than a month has days, and Segment's default would do.
    count = _ROWS_A_PAGE if by == "source" else None
    for snapshot in iter_rows(methods[by, metric.name], str(period), count=count):
        yield snapshot.to_record()


def period_named(text: str, option: str) -> Period:
    """The month that a person names.

    Args:
        text: `YYYY-MM`, or any date or date-time that the usage API takes.
        option: the option it was given with, for the error.

    Raises:
        UsageError: it names no month.
    """
    try:
        # A month alone is what people type; its first day is what the API takes.
        return parse_period(f"{text}-01" if len(text) == len("2026-11") else text)
    except ValueError:
        raise UsageError(
            f'{option} is "{text}".', "Name a month such as 2026-11, or one of its days."
        ) from None
