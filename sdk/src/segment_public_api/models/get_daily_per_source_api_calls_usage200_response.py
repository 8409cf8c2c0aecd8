"""The answer to `get_daily_per_source_api_calls_usage`."""

from __future__ import annotations

from pydantic import Field

from ._base import ApiModel
from .get_daily_per_source_api_calls_usage_v1_output import GetDailyPerSourceAPICallsUsageV1Output
from .pagination_output import PaginationOutput
from .source_api_call_snapshot_v1 import SourceAPICallSnapshotV1

__all__ = ["GetDailyPerSourceAPICallsUsage200Response"]


class GetDailyPerSourceAPICallsUsage200Response(ApiModel):
    """The answer to `get_daily_per_source_api_calls_usage`."""

    data: GetDailyPerSourceAPICallsUsageV1Output | None = Field(
        default=None, description="The page."
    )

    @property
    def rows(self) -> list[SourceAPICallSnapshotV1]:
        """The rows of this page; none where the answer holds no data."""
        return self.data.daily_per_source_api_calls_usage if self.data else []

    @property
    def pagination(self) -> PaginationOutput | None:
        """Where this page stands; None where the answer holds no data."""
        return self.data.pagination if self.data else None
