"""The transport without a network: the real clients on it, as users' tests would use them."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

import segment_public_api as sdk
from segment_public_api import aio
from segment_public_api.testing import FakeReply, FakeRequest, FakeTransport, usage_reply

PERIOD = "2021-02-01"
CALLS = [
    sdk.APICallSnapshotV1(api_calls=str(day), timestamp=f"2021-02-{day:02}T00:00:00.000Z")
    for day in range(1, 29)
]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("a test reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refused)


def answered(request: FakeRequest) -> FakeReply:
    return usage_reply(request, CALLS)


@pytest.mark.parametrize("count", [None, 1, 10, 28, 1000])
def test_all_rows_come_in_pages_through_both_clients(count: int | None) -> None:
    left, right = FakeTransport(answered), FakeTransport(answered)
    api = sdk.APICallsApi(left.client())
    rows = sdk.iter_rows(api.get_daily_workspace_api_calls_usage, PERIOD, count=count)
    assert list(rows) == CALLS
    assert rows.progress.rows_total == len(CALLS)

    async def walked() -> list[Any]:
        async with right.async_client() as client:
            method = aio.APICallsApi(client).get_daily_workspace_api_calls_usage
            return [row async for row in aio.iter_rows(method, PERIOD, count=count)]

    assert asyncio.run(walked()) == CALLS
    assert left.requests == right.requests
    assert len(left.requests) == -(-len(CALLS) // (count or 1000))
    first = left.requests[0]
    assert (first.method, first.path) == ("GET", "/usage/api-calls/daily")
    assert first.query["period"] == PERIOD
    assert first.pagination == {"count": count or 1000}, "few requests, unless told otherwise"


@pytest.mark.parametrize("operation", [
    ("APICallsApi", "get_daily_per_source_api_calls_usage", {"sourceId": "s", "apiCalls": "1"}),
    ("MonthlyTrackedUsersApi", "get_daily_workspace_mtu_usage", {
        "periodStart": 1, "periodEnd": 2, "anonymous": "1", "anonymousIdentified": "0",
        "identified": "2", "neverIdentified": "1"}),
    ("MonthlyTrackedUsersApi", "get_daily_per_source_mtu_usage", {
        "sourceId": "s", "periodStart": 1, "periodEnd": 2, "anonymous": "1",
        "anonymousIdentified": "0", "identified": "2", "neverIdentified": "1"}),
])  # fmt: skip
def test_every_operation_is_answered_with_its_own_rows(operation: tuple[str, str, Any]) -> None:
    api, method, row = operation
    rows = [{**row, "timestamp": "2021-02-01T00:00:00.000Z"}]
    transport = FakeTransport(lambda request: usage_reply(request, rows))
    made = getattr(sdk, api)(transport.client())
    answer = getattr(made, method)(PERIOD)
    assert [each.to_dict() for each in answer.rows] == rows
    raw = getattr(getattr(sdk, api)(transport.client()), f"{method}_without_preload_content")(
        PERIOD
    )
    assert raw.status == 200
    assert raw.json()["data"]["pagination"]["totalEntries"] == 1


def test_errors_retries_and_silence_are_the_real_clients_own() -> None:
    refusal = {"errors": [{"type": "x", "message": "Slow down."}]}
    transport = FakeTransport([FakeReply(refusal, 429, {"Retry-After": "7"})])
    api = sdk.APICallsApi(transport.client())
    with pytest.raises(sdk.TooManyRequestsException) as caught:
        api.get_daily_workspace_api_calls_usage(PERIOD)
    assert caught.value.retry_after_s == 7
    assert "made-up" not in str(caught.value)
    with pytest.raises(AssertionError, match="no reply left"):
        api.get_daily_workspace_api_calls_usage(PERIOD)

    patient = sdk.Configuration(host="https://usage.invalid", access_token="t", retries=2)
    flaky = FakeTransport([FakeReply(status=503), FakeReply(status=503), answered(
        FakeRequest("GET", "/usage/api-calls/daily", {}, {}))])  # fmt: skip
    api = sdk.APICallsApi(flaky.client(patient))
    assert api.get_daily_workspace_api_calls_usage(PERIOD).rows == CALLS
    assert len(flaky.requests) == 3

    def silent(_: FakeRequest) -> FakeReply:
        raise sdk.ConnectTimeoutException(status=0, reason="no route")

    with pytest.raises(sdk.ConnectTimeoutException, match="no route"):
        sdk.APICallsApi(FakeTransport(silent).client()).get_daily_workspace_api_calls_usage(PERIOD)


def test_a_request_of_something_else_has_no_rows() -> None:
    with pytest.raises(ValueError, match="/usage is none of the four"):
        usage_reply(FakeRequest("GET", "/usage", {}, {}), CALLS)
