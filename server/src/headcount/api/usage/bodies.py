"""The four bodies of the usage API, and how rows become them.

Takes running totals and the rows that a page holds, gives the structs that are encoded. Counts
are texts, since they may outgrow what JSON readers keep exactly; bounds of the period are numbers
in Unix seconds. Clients decode strictly: neither may change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from headcount.api.usage.grid import Slice
from headcount.api.usage.month import WorkspaceMonth
from headcount.api.usage.scopes import QueryScopes
from headcount.counting.metrics import KINDS, METRICS, Metric
from headcount.counting.usage import Counts

__all__ = [
    "OPERATIONS",
    "PaginationOutput",
    "UsageOperation",
]

_CALLS, _USERS = "api_calls", "mtu"
"""The reports that the usage API has rows of, by their headline metrics."""

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


def _row(report: str, *, source: bool) -> Any:
    """The base of a row: whose it is, the metrics that Segment documents for it, and its day."""
    bounds = [("period_start", UnixSeconds), ("period_end", UnixSeconds)]
    members: list[tuple[str, Any]] = [
        *([("source_id", SourceId)] if source else []),
        *(bounds if report == _USERS else []),
        *((metric.name, _count(metric)) for metric in _in_rows(report)),
        ("timestamp", RowDay),
    ]
    # Rows come by the thousand and hold no cycles, so they stay out of the collector's sight.
    return msgspec.defstruct("Row", members, rename="camel", gc=False)


def _count(metric: Metric) -> Any:
    words = f"{metric.words} As decimal text."
    return Annotated[str, Meta(pattern="^[0-9]+$", description=words)]


def _in_rows(report: str) -> list[Metric]:
    found = [metric for metric in METRICS if metric.report == report and metric.in_rows]
    return sorted(found, key=lambda metric: metric.name)


class APICallSnapshotV1(_row(_CALLS, source=False)):  # type: ignore[misc]
    """API calls of the workspace up to and including a day."""


class SourceAPICallSnapshotV1(_row(_CALLS, source=True)):  # type: ignore[misc]
    """API calls of a source up to and including a day."""


class MtuSnapshotV1(_row(_USERS, source=False)):  # type: ignore[misc]
    """Tracked users of the workspace up to and including a day."""


class UsersPerSourceSnapshotV1(_row(_USERS, source=True)):  # type: ignore[misc]
    """Tracked users of a source up to and including a day."""


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
        report: name of the headline metric that its rows are about.
        metrics: the metrics that a row holds, in their order.
        per_source: rows of the sources rather than of the workspace.
        row: the shape of a row.
        body: the answer's shape.
        output: the shape inside it.
    """

    name: str
    report: str
    per_source: bool
    row: Any
    body: Any
    output: Any

    @property
    def metrics(self) -> Sequence[Metric]:
        """The metrics that a row holds, in their order."""
        return _in_rows(self.report)

    def rows(self, month: WorkspaceMonth, scopes: QueryScopes, page: Slice) -> list[Any]:
        """The rows of a page.

        Args:
            month: the month.
            scopes: the scopes that have rows.
            page: which rows these are.
        """
        days = page.days.tolist()
        texts = [f"{name}T00:00:00.000Z" for name in month.day_names()]
        columns: list[Iterable[Any]] = []
        if self.per_source:
            columns.append([scopes.ids[scope] for scope in page.scopes.tolist()])
        if self.report == _USERS:
            columns += map(repeat, month.bounds_s())
        totals = _totals(scopes, self.metrics, page)
        columns += (map(str, metric.of(totals).tolist()) for metric in self.metrics)
        columns.append([texts[day] for day in days])
        return list(map(self.row, *columns))


def _totals(scopes: QueryScopes, metrics: Sequence[Metric], page: Slice) -> Counts:
    """Running totals for the rows of a page, of the columns that some metrics are made of only."""
    totals = np.zeros((len(page.days), len(KINDS)), np.int64)
    of_rows, places = np.arange(len(page.days)), scopes.places[page.scopes]
    for column in {column for metric in metrics for column, _ in metric.terms}:
        totals[:, column] = scopes.counts[places, :, column].cumsum(axis=1)[of_rows, page.days]
    return totals


OPERATIONS = {
    operation.name: operation
    for operation in (
        UsageOperation(
            "getDailyWorkspaceAPICallsUsage",
            _CALLS,
            False,
            APICallSnapshotV1,
            GetDailyWorkspaceAPICallsUsage200Response,
            GetDailyWorkspaceAPICallsUsageV1Output,
        ),
        UsageOperation(
            "getDailyPerSourceAPICallsUsage",
            _CALLS,
            True,
            SourceAPICallSnapshotV1,
            GetDailyPerSourceAPICallsUsage200Response,
            GetDailyPerSourceAPICallsUsageV1Output,
        ),
        UsageOperation(
            "getDailyWorkspaceMTUUsage",
            _USERS,
            False,
            MtuSnapshotV1,
            GetDailyWorkspaceMTUUsage200Response,
            GetDailyWorkspaceMTUUsageV1Output,
        ),
        UsageOperation(
            "getDailyPerSourceMTUUsage",
            _USERS,
            True,
            UsersPerSourceSnapshotV1,
            GetDailyPerSourceMTUUsage200Response,
            GetDailyPerSourceMTUUsageV1Output,
        ),
    )
}
