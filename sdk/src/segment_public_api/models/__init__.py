"""The models of the API, one a module. Each is imported when it is first used."""

from typing import TYPE_CHECKING

from segment_public_api._lazy import lazy

if TYPE_CHECKING:
    from .api_call_snapshot_v1 import APICallSnapshotV1
    from .get_daily_per_source_api_calls_usage200_response import (
        GetDailyPerSourceAPICallsUsage200Response,
    )
    from .get_daily_per_source_api_calls_usage_v1_output import (
        GetDailyPerSourceAPICallsUsageV1Output,
    )
    from .get_daily_per_source_mtu_usage200_response import GetDailyPerSourceMTUUsage200Response
    from .get_daily_per_source_mtu_usage_v1_output import GetDailyPerSourceMTUUsageV1Output
    from .get_daily_workspace_api_calls_usage200_response import (
        GetDailyWorkspaceAPICallsUsage200Response,
    )
    from .get_daily_workspace_api_calls_usage_v1_output import (
        GetDailyWorkspaceAPICallsUsageV1Output,
    )
    from .get_daily_workspace_mtu_usage200_response import GetDailyWorkspaceMTUUsage200Response
    from .get_daily_workspace_mtu_usage_v1_output import GetDailyWorkspaceMTUUsageV1Output
    from .mtu_snapshot_v1 import MtuSnapshotV1
    from .pagination_input import PaginationInput
    from .pagination_output import PaginationOutput
    from .request_error import RequestError
    from .request_error_envelope import RequestErrorEnvelope
    from .source_api_call_snapshot_v1 import SourceAPICallSnapshotV1
    from .users_per_source_snapshot_v1 import UsersPerSourceSnapshotV1

__all__ = [
    "APICallSnapshotV1",
    "GetDailyPerSourceAPICallsUsage200Response",
    "GetDailyPerSourceAPICallsUsageV1Output",
    "GetDailyPerSourceMTUUsage200Response",
    "GetDailyPerSourceMTUUsageV1Output",
    "GetDailyWorkspaceAPICallsUsage200Response",
    "GetDailyWorkspaceAPICallsUsageV1Output",
    "GetDailyWorkspaceMTUUsage200Response",
    "GetDailyWorkspaceMTUUsageV1Output",
    "MtuSnapshotV1",
    "PaginationInput",
    "PaginationOutput",
    "RequestError",
    "RequestErrorEnvelope",
    "SourceAPICallSnapshotV1",
    "UsersPerSourceSnapshotV1",
]

MODULE_BY_NAME = {
    "APICallSnapshotV1": "api_call_snapshot_v1",
    "GetDailyPerSourceAPICallsUsage200Response": "get_daily_per_source_api_calls_usage200_response",
    "GetDailyPerSourceAPICallsUsageV1Output": "get_daily_per_source_api_calls_usage_v1_output",
    "GetDailyPerSourceMTUUsage200Response": "get_daily_per_source_mtu_usage200_response",
    "GetDailyPerSourceMTUUsageV1Output": "get_daily_per_source_mtu_usage_v1_output",
    "GetDailyWorkspaceAPICallsUsage200Response": "get_daily_workspace_api_calls_usage200_response",
    "GetDailyWorkspaceAPICallsUsageV1Output": "get_daily_workspace_api_calls_usage_v1_output",
    "GetDailyWorkspaceMTUUsage200Response": "get_daily_workspace_mtu_usage200_response",
    "GetDailyWorkspaceMTUUsageV1Output": "get_daily_workspace_mtu_usage_v1_output",
    "MtuSnapshotV1": "mtu_snapshot_v1",
    "PaginationInput": "pagination_input",
    "PaginationOutput": "pagination_output",
    "RequestError": "request_error",
    "RequestErrorEnvelope": "request_error_envelope",
    "SourceAPICallSnapshotV1": "source_api_call_snapshot_v1",
    "UsersPerSourceSnapshotV1": "users_per_source_snapshot_v1",
}

# Type checkers see the imports above; `__getattr__` would tell them that any name exists.
if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy(__name__, MODULE_BY_NAME)
