"""One page of daily tracked users of each source."""

from __future__ import annotations

from pydantic import Field

from ._base import ApiModel
from .pagination_output import PaginationOutput
from .users_per_source_snapshot_v1 import UsersPerSourceSnapshotV1

__all__ = ["GetDailyPerSourceMTUUsageV1Output"]


class GetDailyPerSourceMTUUsageV1Output(ApiModel):
    """One page of daily tracked users of each source."""

    daily_per_source_mtu_usage: list[UsersPerSourceSnapshotV1] = Field(
        alias="dailyPerSourceMTUUsage",
        description="The rows of this page, ordered by day and source.",
    )
    pagination: PaginationOutput = Field(description="Where this page stands.")
