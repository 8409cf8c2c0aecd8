"""Names of sources: from a real server, and from answers that are none."""

from __future__ import annotations

from typing import Any

import pytest

import segment_public_api as sdk
from sdk_headcount import Headcount
from segment_public_api import aio
from segment_public_api.testing import FakeReply, FakeTransport

PERIOD = "2021-02-01"


@pytest.fixture
def configuration(headcount_server: Headcount) -> sdk.Configuration:
    return sdk.Configuration(host=headcount_server.host, access_token=headcount_server.token)


def test_records_have_the_names_of_their_sources(configuration: sdk.Configuration) -> None:
    with sdk.ApiClient(configuration) as client:
        names = sdk.source_names(client)
        rows = sdk.APICallsApi(client).get_daily_per_source_api_calls_usage(PERIOD).rows
    assert set(names.values()) == {"web", "phone"}
    records = sdk.to_records(rows, names)
    assert [list(record) for record in records] == [
        ["day", "source_id", "source", "api_calls"] for _ in rows
    ]
    assert {record["source"] for record in records} == {"web", "phone"}
    assert all(names[record["source_id"]] == record["source"] for record in records)
    without = [{k: v for k, v in record.items() if k != "source"} for record in records]
    assert without == sdk.to_records(rows)
    # A source that has no name there keeps its id; rows of a workspace have no source.
    assert sdk.to_records(rows[:1], {})[0]["source"] == rows[0].source_id
    workspace = sdk.APICallSnapshotV1(api_calls="1", timestamp=PERIOD)
    assert "source" not in sdk.to_records([workspace], names)[0]


async def test_both_clients_tell_the_same(configuration: sdk.Configuration) -> None:
    with sdk.ApiClient(configuration) as client:
        told = sdk.source_names(client)
    async with aio.ApiClient(configuration) as client:
        assert await aio.source_names(client) == told


def test_a_server_without_names_is_named(configuration: sdk.Configuration) -> None:
    transport = FakeTransport([FakeReply({"errors": [{"type": "not-found"}]}, 404)])
    with pytest.raises(sdk.NotFoundException) as caught:
        sdk.source_names(transport.client())
    assert "source_names" in str(caught.value)
    assert transport.requests[0].path == "/headcount/v1/sources"
    assert transport.requests[0].headers["Authorization"] == "Bearer made-up"


@pytest.mark.parametrize(
    "source", [None, "x", {"id": "x"}, {"id": 1, "name": "x"}, {"id": "x", "name": None}]
)
def test_an_answer_of_another_shape_is_no_answer(source: Any) -> None:
    body = {} if source is None else {"data": {"sources": [source]}}
    with pytest.raises(sdk.InvalidResponseException, match="sources"):
        sdk.source_names(FakeTransport([FakeReply(body)]).client())
