"""The answer to `get_daily_per_source_mtu_usage`."""

from __future__ import annotations

from pydantic import Field

from ._base import ApiModel
from .get_daily_per_source_mtu_usage_v1_output import GetDailyPerSourceMTUUsageV1Output
from .pagination_output import PaginationOutput
from .users_per_source_snapshot_v1 import UsersPerSourceSnapshotV1

__all__ = ["GetDailyPerSourceMTUUsage200Response"]


class GetDailyPerSourceMTUUsage200Response(ApiModel):
    """The answer to `get_daily_per_source_mtu_usage`."""

    data: GetDailyPerSourceMTUUsageV1Output | None = Field(default=None, description="The page.")

    @property
    def rows(self) -> list[UsersPerSourceSnapshotV1]:
        """The rows of this page; none where the answer holds no data."""
        return self.data.daily_per_source_mtu_usage if self.data else []

    @property
    def pagination(self) -> PaginationOutput | None:
        """Where this page stands; None where the answer holds no data."""
        return self.data.pagination if self.data else None
