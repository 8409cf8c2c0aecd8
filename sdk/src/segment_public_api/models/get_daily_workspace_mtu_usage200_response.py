"""The answer to `get_daily_workspace_mtu_usage`."""

from __future__ import annotations

from pydantic import Field

from ._base import ApiModel
from .get_daily_workspace_mtu_usage_v1_output import GetDailyWorkspaceMTUUsageV1Output
from .mtu_snapshot_v1 import MtuSnapshotV1
from .pagination_output import PaginationOutput

__all__ = ["GetDailyWorkspaceMTUUsage200Response"]


class GetDailyWorkspaceMTUUsage200Response(ApiModel):
    """The answer to `get_daily_workspace_mtu_usage`."""

    data: GetDailyWorkspaceMTUUsageV1Output | None = Field(default=None, description="The page.")

    @property
    def rows(self) -> list[MtuSnapshotV1]:
        """The rows of this page; none where the answer holds no data."""
        return self.data.daily_workspace_mtu_usage if self.data else []

    @property
    def pagination(self) -> PaginationOutput | None:
        """Where this page stands; None where the answer holds no data."""
        return self.data.pagination if self.data else None
