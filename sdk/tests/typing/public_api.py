"""How a typed program uses the package; checked by mypy and pyright, never run."""

from __future__ import annotations

import datetime
from typing import Any, assert_type

from aiohttp import ClientResponse
from urllib3 import BaseHTTPResponse, Retry

import segment_public_api as sdk
from segment_public_api import aio
from segment_public_api.models.pagination_input import PaginationInput
from segment_public_api.rest import ApiException
from segment_public_api.testing import FakeReply, FakeTransport

configuration = sdk.Configuration(
    host="http://127.0.0.1:8081", access_token="x", retries=Retry(total=2)
)


def synchronous() -> None:
    with sdk.ApiClient(configuration) as client:
        calls = sdk.APICallsApi(client)
        users = sdk.MonthlyTrackedUsersApi(client)
        pagination = PaginationInput(count=10)
        assert_type(
            calls.get_daily_workspace_api_calls_usage("2021-02-01", pagination),
            sdk.GetDailyWorkspaceAPICallsUsage200Response,
        )
        answer = users.get_daily_per_source_mtu_usage_with_http_info("2021-02-01")
        assert_type(answer, sdk.ApiResponse[sdk.GetDailyPerSourceMTUUsage200Response])
        assert_type(answer.data, sdk.GetDailyPerSourceMTUUsage200Response)
        assert_type(answer.status_code, int)
        assert_type(
            users.get_daily_workspace_mtu_usage_without_preload_content(
                datetime.date(2021, 2, 1), _request_timeout=(1.0, 2.0)
            ),
            BaseHTTPResponse,
        )
        for row in sdk.iter_rows(users.get_daily_per_source_mtu_usage, "2021-02-01"):
            assert_type(row, sdk.UsersPerSourceSnapshotV1)
            assert_type(row.mtu, int)
            assert_type(row.day, datetime.date)
            assert_type(row.identified, str)
        for page in sdk.iter_pages(calls.get_daily_per_source_api_calls_usage, "2021-02-01"):
            assert_type(page, sdk.GetDailyPerSourceAPICallsUsage200Response)
            assert_type(page.rows, list[sdk.SourceAPICallSnapshotV1])
            assert_type(sdk.to_records(page.rows), list[dict[str, Any]])
            names = sdk.source_names(client)
            assert_type(names, dict[str, str])
            assert_type(sdk.to_records(page.rows, names), list[dict[str, Any]])


def tested() -> None:
    transport = FakeTransport(lambda request: FakeReply({}, int(request.query["status"])))
    assert_type(transport.client(configuration), sdk.ApiClient)
    assert_type(transport.async_client(), aio.ApiClient)
    assert_type(transport.requests[0].pagination, dict[str, Any])


async def asynchronous() -> None:
    async with aio.ApiClient(configuration) as client:
        calls = aio.APICallsApi(client)
        assert_type(
            await calls.get_daily_workspace_api_calls_usage("2021-02-01"),
            sdk.GetDailyWorkspaceAPICallsUsage200Response,
        )
        assert_type(
            await calls.get_daily_workspace_api_calls_usage_without_preload_content("2021-02-01"),
            ClientResponse,
        )
        rows = aio.iter_rows(calls.get_daily_workspace_api_calls_usage, "2021-02-01", count=5)
        async for row in rows:
            assert_type(row, sdk.APICallSnapshotV1)
        assert_type(rows.progress, sdk.Progress)
        async for page in aio.iter_pages(calls.get_daily_workspace_api_calls_usage, "2021-02-01"):
            assert_type(page, sdk.GetDailyWorkspaceAPICallsUsage200Response)


def errors() -> None:
    try:
        synchronous()
    except sdk.TooManyRequestsException as error:
        assert_type(error.retry_after_s, float | None)
    except ApiException as error:
        assert_type(error.status, int | None)
        assert_type(error.request_id, str | None)
