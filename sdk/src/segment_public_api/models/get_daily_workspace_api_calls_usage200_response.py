"""The answer to `get_daily_workspace_api_calls_usage`."""

from __future__ import annotations

from pydantic import Field

from ._base import ApiModel
from .api_call_snapshot_v1 import APICallSnapshotV1
from .get_daily_workspace_api_calls_usage_v1_output import GetDailyWorkspaceAPICallsUsageV1Output
from .pagination_output import PaginationOutput

__all__ = ["GetDailyWorkspaceAPICallsUsage200Response"]


class GetDailyWorkspaceAPICallsUsage200Response(ApiModel):
    """The answer to `get_daily_workspace_api_calls_usage`."""

    data: GetDailyWorkspaceAPICallsUsageV1Output | None = Field(
        default=None, description="The page."
    )

    @property
    def rows(self) -> list[APICallSnapshotV1]:
        """The rows of this page; none where the answer holds no data."""
        return self.data.daily_workspace_api_calls_usage if self.data else []

    @property
    def pagination(self) -> PaginationOutput | None:
        """Where this page stands; None where the answer holds no data."""
        return self.data.pagination if self.data else None
