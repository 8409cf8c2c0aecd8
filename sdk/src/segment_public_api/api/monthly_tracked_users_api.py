"""MonthlyTrackedUsersApi: reads usage counted in monthly tracked users (MTU)."""

# Made of aio/monthly_tracked_users_api.py by scripts/synchronous.py: change that file, and run it.

from __future__ import annotations

from urllib3 import BaseHTTPResponse

from segment_public_api._operations import (
    DAILY_PER_SOURCE_MTU,
    DAILY_WORKSPACE_MTU,
    Call,
    ContentType,
    Headers,
    HostIndex,
    Pagination,
    Period,
    RequestAuth,
    RequestTimeout,
    checked,
)
from segment_public_api.api_response import ApiResponse
from segment_public_api.models.get_daily_per_source_mtu_usage200_response import (
    GetDailyPerSourceMTUUsage200Response,
)
from segment_public_api.models.get_daily_workspace_mtu_usage200_response import (
    GetDailyWorkspaceMTUUsage200Response,
)

from ._base import UsageApi

__all__ = ["MonthlyTrackedUsersApi"]


class MonthlyTrackedUsersApi(UsageApi):
    """Reads usage counted in monthly tracked users (MTU).

    Args:
        api_client: default `ApiClient.get_default()`.
    """

    @checked
    def get_daily_per_source_mtu_usage(
        self,
        period: Period,
        pagination: Pagination = None,
        _request_timeout: RequestTimeout = None,
        _request_auth: RequestAuth = None,
        _content_type: ContentType = None,
        _headers: Headers = None,
        _host_index: HostIndex = 0,
    ) -> GetDailyPerSourceMTUUsage200Response:
        """Tracked users of each source, day by day.

        One row for each source and day, from the source's first day of usage in the month: the
        distinct ids seen from the start of the month to the end of that day. Ordered by day, then
        source.

        Args:
            period: any day of the month, as `YYYY-MM-DD`, as a date-time with its zone, or as a
                `datetime.date`.
            pagination: which page, and how long. None is the server's first page.
            _request_timeout: seconds for one request, or (connect, read). None is
                `Configuration.request_timeout`.
            _request_auth: `type`, `in`, `key` and `value`, instead of the access token.
            _content_type: a `Content-Type` header to send.
            _headers: further headers for this call.
            _host_index: 0 is the configuration's host, 1 Segment's EU host.

        Raises:
            pydantic.ValidationError: an argument is missing or of the wrong type.
            ApiException: the class that belongs to the answer's status; see `exceptions`.
            ConnectionException: no whole answer came in time.
        """
        call = Call(
            DAILY_PER_SOURCE_MTU,
            period,
            pagination,
            _request_timeout,
            _request_auth,
            _content_type,
            _headers,
            _host_index,
        )
        answer = self._fetch(call)
        return answer.data

    @checked
    def get_daily_per_source_mtu_usage_with_http_info(
        self,
        period: Period,
        pagination: Pagination = None,
        _request_timeout: RequestTimeout = None,
        _request_auth: RequestAuth = None,
        _content_type: ContentType = None,
        _headers: Headers = None,
        _host_index: HostIndex = 0,
    ) -> ApiResponse[GetDailyPerSourceMTUUsage200Response]:
        """`get_daily_per_source_mtu_usage` with the answer's status, headers and body."""
        call = Call(
            DAILY_PER_SOURCE_MTU,
            period,
            pagination,
            _request_timeout,
            _request_auth,
            _content_type,
            _headers,
            _host_index,
        )
        return self._fetch(call)

    @checked
    def get_daily_per_source_mtu_usage_without_preload_content(
        self,
        period: Period,
        pagination: Pagination = None,
        _request_timeout: RequestTimeout = None,
        _request_auth: RequestAuth = None,
        _content_type: ContentType = None,
        _headers: Headers = None,
        _host_index: HostIndex = 0,
    ) -> BaseHTTPResponse:
        """`get_daily_per_source_mtu_usage`, giving the raw, unread answer.

        An answer of any status is given; nothing is decoded, and none raises `ApiException`.
        """
        call = Call(
            DAILY_PER_SOURCE_MTU,
            period,
            pagination,
            _request_timeout,
            _request_auth,
            _content_type,
            _headers,
            _host_index,
        )
        return self._raw(call)

    @checked
    def get_daily_workspace_mtu_usage(
        self,
        period: Period,
        pagination: Pagination = None,
        _request_timeout: RequestTimeout = None,
        _request_auth: RequestAuth = None,
        _content_type: ContentType = None,
        _headers: Headers = None,
        _host_index: HostIndex = 0,
    ) -> GetDailyWorkspaceMTUUsage200Response:
        """Tracked users of the whole workspace, day by day.

        One row for each day of the month so far: the distinct ids seen in any source from the
        start of the month to the end of that day. Ordered by day.

        Args:
            period: any day of the month, as `YYYY-MM-DD`, as a date-time with its zone, or as a
                `datetime.date`.
            pagination: which page, and how long. None is the server's first page.
            _request_timeout: seconds for one request, or (connect, read). None is
                `Configuration.request_timeout`.
            _request_auth: `type`, `in`, `key` and `value`, instead of the access token.
            _content_type: a `Content-Type` header to send.
            _headers: further headers for this call.
            _host_index: 0 is the configuration's host, 1 Segment's EU host.

        Raises:
            pydantic.ValidationError: an argument is missing or of the wrong type.
            ApiException: the class that belongs to the answer's status; see `exceptions`.
            ConnectionException: no whole answer came in time.
        """
        call = Call(
            DAILY_WORKSPACE_MTU,
            period,
            pagination,
            _request_timeout,
            _request_auth,
            _content_type,
            _headers,
            _host_index,
        )
        answer = self._fetch(call)
        return answer.data

    @checked
    def get_daily_workspace_mtu_usage_with_http_info(
        self,
        period: Period,
        pagination: Pagination = None,
        _request_timeout: RequestTimeout = None,
        _request_auth: RequestAuth = None,
        _content_type: ContentType = None,
        _headers: Headers = None,
        _host_index: HostIndex = 0,
    ) -> ApiResponse[GetDailyWorkspaceMTUUsage200Response]:
        """`get_daily_workspace_mtu_usage` with the answer's status, headers and body."""
        call = Call(
            DAILY_WORKSPACE_MTU,
            period,
            pagination,
            _request_timeout,
            _request_auth,
            _content_type,
            _headers,
            _host_index,
        )
        return self._fetch(call)

    @checked
    def get_daily_workspace_mtu_usage_without_preload_content(
        self,
        period: Period,
        pagination: Pagination = None,
        _request_timeout: RequestTimeout = None,
        _request_auth: RequestAuth = None,
        _content_type: ContentType = None,
        _headers: Headers = None,
        _host_index: HostIndex = 0,
    ) -> BaseHTTPResponse:
        """`get_daily_workspace_mtu_usage`, giving the raw, unread answer.

        An answer of any status is given; nothing is decoded, and none raises `ApiException`.
        """
        call = Call(
            DAILY_WORKSPACE_MTU,
            period,
            pagination,
            _request_timeout,
            _request_auth,
            _content_type,
            _headers,
            _host_index,
        )
        return self._raw(call)
