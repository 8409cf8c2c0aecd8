"""The same client for asyncio: the same names, arguments, errors and models, on aiohttp.

Needs the extra: `pip install 'headcount-client[async]'`.
"""

import importlib.util
from typing import TYPE_CHECKING

from segment_public_api import MODULE_BY_NAME as SYNCHRONOUS_MODULES
from segment_public_api._lazy import lazy

if importlib.util.find_spec("aiohttp") is None:
    raise ImportError("segment_public_api.aio needs aiohttp: pip install 'headcount-client[async]'")

if TYPE_CHECKING:
    from segment_public_api.api_response import ApiResponse
    from segment_public_api.configuration import Configuration, InsecureHostWarning
    from segment_public_api.exceptions import (
        ApiAttributeError,
        ApiException,
        ApiKeyError,
        ApiTypeError,
        ApiValueError,
        BadRequestException,
        BrokenConnectionException,
        ConflictException,
        ConnectFailedException,
        ConnectionException,
        ConnectTimeoutException,
        ForbiddenException,
        InvalidResponseException,
        NotFoundException,
        OpenApiException,
        ReadTimeoutException,
        RedirectException,
        RepeatedCursorException,
        ServiceException,
        TlsException,
        TooManyRequestsException,
        UnauthorizedException,
        UnprocessableEntityException,
    )
    from segment_public_api.models import (
        APICallSnapshotV1,
        GetDailyPerSourceAPICallsUsage200Response,
        GetDailyPerSourceAPICallsUsageV1Output,
        GetDailyPerSourceMTUUsage200Response,
        GetDailyPerSourceMTUUsageV1Output,
        GetDailyWorkspaceAPICallsUsage200Response,
        GetDailyWorkspaceAPICallsUsageV1Output,
        GetDailyWorkspaceMTUUsage200Response,
        GetDailyWorkspaceMTUUsageV1Output,
        MtuSnapshotV1,
        PaginationInput,
        PaginationOutput,
        RequestError,
        RequestErrorEnvelope,
        SourceAPICallSnapshotV1,
        UsersPerSourceSnapshotV1,
    )
    from segment_public_api.pagination import Progress, to_records

    from .api_calls_api import APICallsApi
    from .api_client import ApiClient
    from .monthly_tracked_users_api import MonthlyTrackedUsersApi
    from .pagination import PageIterator, RowIterator, iter_pages, iter_rows
    from .sources import source_names

__all__ = [
    "APICallSnapshotV1",
    "APICallsApi",
    "ApiAttributeError",
    "ApiClient",
    "ApiException",
    "ApiKeyError",
    "ApiResponse",
    "ApiTypeError",
    "ApiValueError",
    "BadRequestException",
    "BrokenConnectionException",
    "Configuration",
    "ConflictException",
    "ConnectFailedException",
    "ConnectTimeoutException",
    "ConnectionException",
    "ForbiddenException",
    "GetDailyPerSourceAPICallsUsage200Response",
    "GetDailyPerSourceAPICallsUsageV1Output",
    "GetDailyPerSourceMTUUsage200Response",
    "GetDailyPerSourceMTUUsageV1Output",
    "GetDailyWorkspaceAPICallsUsage200Response",
    "GetDailyWorkspaceAPICallsUsageV1Output",
    "GetDailyWorkspaceMTUUsage200Response",
    "GetDailyWorkspaceMTUUsageV1Output",
    "InsecureHostWarning",
    "InvalidResponseException",
    "MonthlyTrackedUsersApi",
    "MtuSnapshotV1",
    "NotFoundException",
    "OpenApiException",
    "PageIterator",
    "PaginationInput",
    "PaginationOutput",
    "Progress",
    "ReadTimeoutException",
    "RedirectException",
    "RepeatedCursorException",
    "RequestError",
    "RequestErrorEnvelope",
    "RowIterator",
    "ServiceException",
    "SourceAPICallSnapshotV1",
    "TlsException",
    "TooManyRequestsException",
    "UnauthorizedException",
    "UnprocessableEntityException",
    "UsersPerSourceSnapshotV1",
    "iter_pages",
    "iter_rows",
    "source_names",
    "to_records",
]

OWN_MODULES = {
    "APICallsApi": "api_calls_api",
    "ApiClient": "api_client",
    "MonthlyTrackedUsersApi": "monthly_tracked_users_api",
    "PageIterator": "pagination",
    "RowIterator": "pagination",
    "iter_pages": "pagination",
    "iter_rows": "pagination",
    "source_names": "sources",
}

MODULE_BY_NAME = {
    name: OWN_MODULES.get(name, f".{module}") for name, module in SYNCHRONOUS_MODULES.items()
}

# Type checkers see the imports above; `__getattr__` would tell them that any name exists.
if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy(__name__, MODULE_BY_NAME, ("webhooks",))
