"""Both clients against a real server that holds February 2021."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import segment_public_api as sdk
from sdk_callers import call_async, call_sync
from sdk_headcount import Headcount

PERIOD = "2021-02-01"
OPERATIONS = [
    "get_daily_per_source_api_calls_usage",
    "get_daily_workspace_api_calls_usage",
    "get_daily_per_source_mtu_usage",
    "get_daily_workspace_mtu_usage",
]


@pytest.fixture
def configuration(headcount_server: Headcount) -> sdk.Configuration:
    return sdk.Configuration(host=headcount_server.host, access_token=headcount_server.token)


def expected_calls(server: Headcount, source: str | None, day: int) -> int:
    return sum(1 for s, d, *_ in server.messages if d <= day and source in (None, s))


def expected_mtu(server: Headcount, source: str | None, day: int) -> dict[str, int]:
    rows = [row for row in server.messages if row[1] <= day and source in (None, row[0])]
    identified = {user for _, _, user, _ in rows if user}
    anonymous = {device for _, _, _, device in rows if device}
    both = {device for _, _, user, device in rows if user and device}
    return {
        "mtu": len(identified) + len(anonymous - both),
        "identified": len(identified),
        "never_identified": len(anonymous - both),
        "anonymous": len(anonymous),
        "anonymous_identified": len(both),
    }


def scopes(server: Headcount, per_source: bool) -> list[tuple[int, str | None]]:
    if not per_source:
        return [(day, None) for day in range(1, 29)]
    first = {s: min(d for source, d, *_ in server.messages if source == s) for s in server.sources}
    return [(day, s) for day in range(1, 29) for s in server.sources if day >= first[s]]


@pytest.mark.parametrize("method", OPERATIONS)
def test_usage_is_what_was_imported(
    call: Any, configuration: sdk.Configuration, headcount_server: Headcount, method: str
) -> None:
    expected = []
    for day, source in scopes(headcount_server, "per_source" in method):
        record: dict[str, Any] = {"day": datetime.date(2021, 2, day)}
        if source is not None:
            record["source_id"] = source
        if "mtu" in method:
            record |= expected_mtu(headcount_server, source, day)
        else:
            record["api_calls"] = expected_calls(headcount_server, source, day)
        expected.append(record)
    answer = call(configuration, method, PERIOD)
    assert sdk.to_records(answer.rows) == expected
    assert answer.pagination.total_entries == len(expected)


@pytest.mark.parametrize("method", OPERATIONS)
def test_both_clients_get_the_same_bytes(configuration: sdk.Configuration, method: str) -> None:
    arguments = (f"{method}_with_http_info", PERIOD, sdk.PaginationInput(count=5))
    left, right = call_sync(configuration, *arguments), call_async(configuration, *arguments)
    assert left.raw_data == right.raw_data
    assert left.data == right.data
    assert left.status_code == right.status_code == 200


@pytest.mark.parametrize("method", OPERATIONS)
@pytest.mark.parametrize("count", [7, 1000, None])
def test_walking_gives_every_row(
    configuration: sdk.Configuration, method: str, count: int | None
) -> None:
    whole = call_sync(configuration, method, PERIOD, sdk.PaginationInput(count=1000)).rows
    with sdk.ApiClient(configuration) as client:
        api = (
            sdk.APICallsApi(client) if "api_calls" in method else sdk.MonthlyTrackedUsersApi(client)
        )
        walk: Any = sdk.iter_rows(getattr(api, method), PERIOD, count=count)
        assert list(walk) == whole
    assert walk.progress.rows == walk.progress.rows_total == len(whole)


@pytest.mark.parametrize("period", ["2021-02-01", "2021-02-14", "2021-02-28T23:59:59Z"])
def test_any_moment_names_its_month(
    call: Any, configuration: sdk.Configuration, period: str
) -> None:
    rows = call(configuration, "get_daily_workspace_mtu_usage", period).rows
    assert [row.day.day for row in rows] == list(range(1, 29))


@pytest.mark.parametrize("method", OPERATIONS)
@pytest.mark.parametrize(
    ("period", "pagination", "field"),
    [
        ("February", None, "period"),
        ("2021-02-30", None, "period"),
        ("", None, "period"),
        (PERIOD, sdk.PaginationInput(count=0), "pagination"),
        (PERIOD, sdk.PaginationInput(count=1001), "pagination"),
        (PERIOD, sdk.PaginationInput(count=5, cursor="nowhere"), "pagination"),
    ],
)
def test_bad_arguments_are_named(
    call: Any,
    configuration: sdk.Configuration,
    method: str,
    period: str,
    pagination: Any,
    field: str,
) -> None:
    with pytest.raises(sdk.UnprocessableEntityException) as caught:
        call(configuration, method, period, pagination)
    (error,) = caught.value.data.errors
    assert error.var_field.startswith(field)
    assert error.message
    assert caught.value.request_id
    assert caught.value.request_id in str(caught.value)


@pytest.mark.parametrize("period", ["1999-01-01", "2999-01-01"])
def test_a_period_that_does_not_exist(
    call: Any, configuration: sdk.Configuration, period: str
) -> None:
    with pytest.raises(sdk.NotFoundException) as caught:
        call(configuration, "get_daily_workspace_mtu_usage", period)
    assert caught.value.data.errors


@pytest.mark.parametrize("token", [None, "hct_wrong"])
def test_a_wrong_token(call: Any, configuration: sdk.Configuration, token: str | None) -> None:
    configuration.access_token = token
    with pytest.raises(sdk.UnauthorizedException) as caught:
        call(configuration, "get_daily_workspace_mtu_usage", PERIOD)
    assert caught.value.data.errors
    assert "hct_wrong" not in str(caught.value)


def test_a_cursor_of_another_query(call: Any, configuration: sdk.Configuration) -> None:
    page = sdk.PaginationInput(count=5)
    first = call(configuration, "get_daily_workspace_mtu_usage", PERIOD, page)
    foreign = sdk.PaginationInput(count=5, cursor=first.pagination.next)
    with pytest.raises(sdk.UnprocessableEntityException):
        call(configuration, "get_daily_workspace_api_calls_usage", PERIOD, foreign)


def test_threads_share_a_client(configuration: sdk.Configuration) -> None:
    with sdk.ApiClient(configuration) as client, ThreadPoolExecutor(8) as threads:
        api = sdk.MonthlyTrackedUsersApi(client)
        answers = list(threads.map(api.get_daily_workspace_mtu_usage, [PERIOD] * 32))
    assert all(answer == answers[0] for answer in answers)


def test_a_closed_client_opens_again(configuration: sdk.Configuration) -> None:
    with sdk.ApiClient(configuration) as client:
        first = sdk.APICallsApi(client).get_daily_workspace_api_calls_usage(PERIOD)
    assert sdk.APICallsApi(client).get_daily_workspace_api_calls_usage(PERIOD) == first
    client.close()


async def test_a_closed_client_opens_again_async(configuration: sdk.Configuration) -> None:
    async with sdk.aio.ApiClient(configuration) as client:
        first = await sdk.aio.APICallsApi(client).get_daily_workspace_api_calls_usage(PERIOD)
    assert await sdk.aio.APICallsApi(client).get_daily_workspace_api_calls_usage(PERIOD) == first
    await client.close()
