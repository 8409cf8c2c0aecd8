"""One page of daily API calls of the workspace."""

from __future__ import annotations

from pydantic import Field

from ._base import ApiModel
from .api_call_snapshot_v1 import APICallSnapshotV1
from .pagination_output import PaginationOutput

__all__ = ["GetDailyWorkspaceAPICallsUsageV1Output"]


class GetDailyWorkspaceAPICallsUsageV1Output(ApiModel):
    """One page of daily API calls of the workspace."""

    daily_workspace_api_calls_usage: list[APICallSnapshotV1] = Field(
        alias="dailyWorkspaceAPICallsUsage", description="The rows of this page, ordered by day."
    )
    pagination: PaginationOutput = Field(description="Where this page stands.")
