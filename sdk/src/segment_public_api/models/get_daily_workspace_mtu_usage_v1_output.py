"""One page of daily tracked users of the workspace."""

from __future__ import annotations

from pydantic import Field

from ._base import ApiModel
from .mtu_snapshot_v1 import MtuSnapshotV1
from .pagination_output import PaginationOutput

__all__ = ["GetDailyWorkspaceMTUUsageV1Output"]


class GetDailyWorkspaceMTUUsageV1Output(ApiModel):
    """One page of daily tracked users of the workspace."""

    daily_workspace_mtu_usage: list[MtuSnapshotV1] = Field(
        alias="dailyWorkspaceMTUUsage", description="The rows of this page, ordered by day."
    )
    pagination: PaginationOutput = Field(description="Where this page stands.")
