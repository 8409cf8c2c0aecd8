"""One page of daily API calls of each source."""

from __future__ import annotations

from pydantic import Field

from ._base import ApiModel
from .pagination_output import PaginationOutput
from .source_api_call_snapshot_v1 import SourceAPICallSnapshotV1

__all__ = ["GetDailyPerSourceAPICallsUsageV1Output"]


class GetDailyPerSourceAPICallsUsageV1Output(ApiModel):
    """One page of daily API calls of each source."""

    daily_per_source_api_calls_usage: list[SourceAPICallSnapshotV1] = Field(
        alias="dailyPerSourceAPICallsUsage",
        description="The rows of this page, ordered by day and source.",
    )
    pagination: PaginationOutput = Field(description="Where this page stands.")
