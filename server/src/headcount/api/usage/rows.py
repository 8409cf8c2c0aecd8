"""The four bodies of the usage API, and how rows become them.

Takes running totals and the rows that a page holds, gives the structs that are encoded. Counts
are texts, since they may outgrow what JSON readers keep exactly; bounds of the period are numbers
in Unix seconds. Clients decode strictly: neither may change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.grid import Slice
from headcount.api.usage.month import MonthView
from headcount.api.usage.scopes import QueryScopes
from headcount.counting.usage import ANONYMOUS, ANONYMOUS_IDENTIFIED, API_CALLS, IDENTIFIED

__all__ = [
    "OPERATIONS",
    "PaginationOutput",
    "UsageOperation",
]

Count = Annotated[str, Meta(pattern="^[0-9]+$", description="A count, as decimal text.")]
UnixSeconds = Annotated[int, Meta(description="Unix seconds.")]
RowDay = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d{2}-\d{2}T00:00:00\.000Z$",
        description="The day, in UTC; counts run from the start of the period to its end.",
    ),
]
SourceId = Annotated[str, Meta(description="Id of the source.")]


class PaginationOutput(msgspec.Struct, rename="camel"):
    """Where a page stands among the rows."""

    current: Annotated[str, Meta(description="Cursor of this page.")]
    total_entries: Annotated[int, Meta(description="Rows of all pages.", ge=0)]
    next: Annotated[str, Meta(description="Cursor of the next page, if any.")] | UnsetType = UNSET
    previous: Annotated[str, Meta(description="Cursor of the page before, if any.")] | UnsetType = (
        UNSET
    )


# Rows come by the thousand and hold no cycles: out of the collector's sight they cause no pause.
class APICallSnapshotV1(msgspec.Struct, rename="camel", gc=False):
    """API calls of the workspace up to and including a day."""

    api_calls: Count
    timestamp: RowDay


class SourceAPICallSnapshotV1(msgspec.Struct, rename="camel", gc=False):
    """API calls of a source up to and including a day."""

    source_id: SourceId
    api_calls: Count
    timestamp: RowDay


class MtuSnapshotV1(msgspec.Struct, rename="camel", gc=False):
    """Tracked users of the workspace up to and including a day.

    The period's MTU is `identified` + `neverIdentified`.
    """

    period_start: UnixSeconds
    period_end: UnixSeconds
    anonymous: Count
    anonymous_identified: Count
    identified: Count
    never_identified: Count
    timestamp: RowDay


class UsersPerSourceSnapshotV1(msgspec.Struct, rename="camel", gc=False):
    """Tracked users of a source up to and including a day."""

    source_id: SourceId
    period_start: UnixSeconds
    period_end: UnixSeconds
    anonymous: Count
    anonymous_identified: Count
    identified: Count
    never_identified: Count
    timestamp: RowDay


class GetDailyWorkspaceAPICallsUsageV1Output(msgspec.Struct):
    """A page of daily API calls of the workspace."""

    rows: list[APICallSnapshotV1] = msgspec.field(name="dailyWorkspaceAPICallsUsage")
    pagination: PaginationOutput


class GetDailyPerSourceAPICallsUsageV1Output(msgspec.Struct):
    """A page of daily API calls of each source."""

    rows: list[SourceAPICallSnapshotV1] = msgspec.field(name="dailyPerSourceAPICallsUsage")
    pagination: PaginationOutput


class GetDailyWorkspaceMTUUsageV1Output(msgspec.Struct):
    """A page of daily tracked users of the workspace."""

    rows: list[MtuSnapshotV1] = msgspec.field(name="dailyWorkspaceMTUUsage")
    pagination: PaginationOutput


class GetDailyPerSourceMTUUsageV1Output(msgspec.Struct):
    """A page of daily tracked users of each source."""

    rows: list[UsersPerSourceSnapshotV1] = msgspec.field(name="dailyPerSourceMTUUsage")
    pagination: PaginationOutput


class GetDailyWorkspaceAPICallsUsage200Response(msgspec.Struct):
    """Daily API calls of the workspace."""

    data: GetDailyWorkspaceAPICallsUsageV1Output


class GetDailyPerSourceAPICallsUsage200Response(msgspec.Struct):
    """Daily API calls of each source."""

    data: GetDailyPerSourceAPICallsUsageV1Output


class GetDailyWorkspaceMTUUsage200Response(msgspec.Struct):
    """Daily tracked users of the workspace."""

    data: GetDailyWorkspaceMTUUsageV1Output


class GetDailyPerSourceMTUUsage200Response(msgspec.Struct):
    """Daily tracked users of each source."""

    data: GetDailyPerSourceMTUUsageV1Output


@dataclass(frozen=True, slots=True)
class UsageOperation:
    """One of the four operations: whose rows, of what, in which body.

    Attributes:
        name: names the operation in cursors and in the OpenAPI document.
        per_source: rows of the sources rather than of the workspace.
        rows: makes the rows of a page out of the month, the scopes, and which rows these are.
        body: the answer's shape.
        output: the shape inside it.
    """

    name: str
    per_source: bool
    rows: Callable[[MonthView, QueryScopes, Slice], list[Any]]
    body: Any
    output: Any


def _timestamps(month: MonthView, page: Slice) -> list[str]:
    texts = [f"{name}T00:00:00.000Z" for name in month.day_names()]
    return [texts[day] for day in page.days.tolist()]


def _totals(scopes: QueryScopes, kind: int, page: Slice) -> list[int]:
    """Running totals of one kind, for the rows of a page only."""
    totals = np.cumsum(scopes.counts[scopes.places[page.scopes], :, kind], axis=1, dtype=np.int64)
    values: list[int] = totals[np.arange(len(page.days)), page.days].tolist()
    return values


def _api_calls(month: MonthView, scopes: QueryScopes, page: Slice) -> list[Any]:
    totals = map(str, _totals(scopes, API_CALLS, page))
    return list(map(APICallSnapshotV1, totals, _timestamps(month, page)))


def _source_api_calls(month: MonthView, scopes: QueryScopes, page: Slice) -> list[Any]:
    source_ids = [scopes.ids[scope] for scope in page.scopes.tolist()]
    totals = map(str, _totals(scopes, API_CALLS, page))
    return list(map(SourceAPICallSnapshotV1, source_ids, totals, _timestamps(month, page)))


def _users(month: MonthView, scopes: QueryScopes, page: Slice) -> list[Any]:
    return [MtuSnapshotV1(*fields) for fields in _user_fields(month, scopes, page)]


def _source_users(month: MonthView, scopes: QueryScopes, page: Slice) -> list[Any]:
    return [
        UsersPerSourceSnapshotV1(scopes.ids[scope], *fields)
        for scope, fields in zip(
            page.scopes.tolist(), _user_fields(month, scopes, page), strict=True
        )
    ]


def _user_fields(
    month: MonthView, scopes: QueryScopes, page: Slice
) -> list[tuple[int, int, str, str, str, str, str]]:
    start_s, end_s = month.bounds_s()
    return [
        (start_s, end_s, str(anonymous), str(both), str(identified), str(anonymous - both), day)
        for anonymous, both, identified, day in zip(
            _totals(scopes, ANONYMOUS, page),
            _totals(scopes, ANONYMOUS_IDENTIFIED, page),
            _totals(scopes, IDENTIFIED, page),
            _timestamps(month, page),
            strict=True,
        )
    ]


OPERATIONS = {
    operation.name: operation
    for operation in (
        UsageOperation(
            "getDailyWorkspaceAPICallsUsage",
            False,
            _api_calls,
            GetDailyWorkspaceAPICallsUsage200Response,
            GetDailyWorkspaceAPICallsUsageV1Output,
        ),
        UsageOperation(
            "getDailyPerSourceAPICallsUsage",
            True,
            _source_api_calls,
            GetDailyPerSourceAPICallsUsage200Response,
            GetDailyPerSourceAPICallsUsageV1Output,
        ),
        UsageOperation(
            "getDailyWorkspaceMTUUsage",
            False,
            _users,
            GetDailyWorkspaceMTUUsage200Response,
            GetDailyWorkspaceMTUUsageV1Output,
        ),
        UsageOperation(
            "getDailyPerSourceMTUUsage",
            True,
            _source_users,
            GetDailyPerSourceMTUUsage200Response,
            GetDailyPerSourceMTUUsageV1Output,
        ),
    )
}
