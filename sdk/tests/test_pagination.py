"""Walking pages: every row once, as late as possible, and never in a circle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import segment_public_api as sdk
from sdk_scripted_server import ScriptedServer, answer, workspace_page
from segment_public_api import aio

METHOD = "get_daily_workspace_api_calls_usage"


def walk_sync(server: ScriptedServer, helper: str, **options: Any) -> tuple[list[Any], Any]:
    with sdk.ApiClient(sdk.Configuration(host=server.host)) as client:
        iterator = getattr(sdk, helper)(
            getattr(sdk.APICallsApi(client), METHOD), "2021-02-01", **options
        )
        return list(iterator), iterator.progress


def walk_async(server: ScriptedServer, helper: str, **options: Any) -> tuple[list[Any], Any]:
    async def run() -> tuple[list[Any], Any]:
        async with aio.ApiClient(sdk.Configuration(host=server.host)) as client:
            iterator = getattr(aio, helper)(
                getattr(aio.APICallsApi(client), METHOD), "2021-02-01", **options
            )
            return [item async for item in iterator], iterator.progress

    return asyncio.run(run())


@pytest.fixture(params=[walk_sync, walk_async], ids=["sync", "async"])
def walk(request: pytest.FixtureRequest) -> Callable[..., tuple[list[Any], Any]]:
    return request.param


def paginations(server: ScriptedServer) -> list[dict[str, Any] | None]:
    queries = [parse_qs(urlsplit(request.target).query) for request in server.requests]
    return [json.loads(q["pagination"][0]) if "pagination" in q else None for q in queries]


THREE_PAGES = (
    answer(workspace_page([1, 2], current="a", following="b", total=4)),
    answer(workspace_page([], current="b", following="c", total=4)),
    answer(workspace_page([3, 4], current="c", total=4)),
)


def test_rows_of_every_page(walk: Any, scripted: Any) -> None:
    server = scripted(*THREE_PAGES)
    rows, progress = walk(server, "iter_rows", count=2)
    assert [row.api_calls_int for row in rows] == [1, 2, 3, 4]
    assert progress == sdk.Progress(pages=3, rows=4, rows_total=4, cursor=None)
    assert paginations(server) == [
        {"count": 2},
        {"cursor": "b", "count": 2},
        {"cursor": "c", "count": 2},
    ]


def test_pages(walk: Any, scripted: Any) -> None:
    server = scripted(*THREE_PAGES)
    pages, _ = walk(server, "iter_pages", _headers={"X-Trace": "1"})
    assert [len(page.rows) for page in pages] == [2, 0, 2]
    assert paginations(server) == [None, {"cursor": "b"}, {"cursor": "c"}]
    assert all(request.headers["x-trace"] == "1" for request in server.requests)


def test_nothing_is_read_before_it_is_asked_for(scripted: Any) -> None:
    server = scripted(*THREE_PAGES)
    with sdk.ApiClient(sdk.Configuration(host=server.host)) as client:
        rows = sdk.iter_rows(getattr(sdk.APICallsApi(client), METHOD), "2021-02-01")
        assert server.requests == []
        assert rows.progress == sdk.Progress()
        next(rows)
        next(rows)
        assert len(server.requests) == 1
        assert rows.progress == sdk.Progress(pages=1, rows=2, rows_total=4, cursor="b")


def test_a_walk_can_go_on_later(walk: Any, scripted: Any) -> None:
    server = scripted(THREE_PAGES[2])
    rows, _ = walk(server, "iter_rows", cursor="c")
    assert [row.api_calls_int for row in rows] == [3, 4]
    assert paginations(server) == [{"cursor": "c", "count": 1000}]


@pytest.mark.parametrize("total", [None, 100])
@pytest.mark.parametrize(
    "cursors", [[("a", "a")], [("a", "b"), ("b", "b")], [("a", "b"), ("b", "a")]]
)
def test_a_circle_ends_in_an_error(
    walk: Any, scripted: Any, cursors: list[tuple[str, str]], total: int | None
) -> None:
    server = scripted(
        *(
            answer(workspace_page([1], current=current, following=following, total=total))
            for current, following in cursors
        )
    )
    with pytest.raises(sdk.RepeatedCursorException):
        walk(server, "iter_rows")
    assert len(server.requests) == len(cursors)


def test_a_circle_after_the_last_row_is_an_end(walk: Any, scripted: Any) -> None:
    server = scripted(answer(workspace_page([1, 2], current="a", following="a", total=2)))
    rows, progress = walk(server, "iter_rows")
    assert len(rows) == 2
    assert progress.rows == progress.rows_total == 2


def test_an_error_passes_through_and_the_walk_can_be_taken_up(scripted: Any) -> None:
    server = scripted(THREE_PAGES[0], answer({"errors": []}, "404 Not Found"), *THREE_PAGES[1:])
    with sdk.ApiClient(sdk.Configuration(host=server.host)) as client:
        rows = sdk.iter_rows(getattr(sdk.APICallsApi(client), METHOD), "2021-02-01")
        got = [next(rows), next(rows)]
        with pytest.raises(sdk.NotFoundException):
            next(rows)
        got += sdk.iter_rows(
            getattr(sdk.APICallsApi(client), METHOD), "2021-02-01", cursor=rows.progress.cursor
        )
    assert [row.api_calls_int for row in got] == [1, 2, 3, 4]


class Pages:
    """A method over a list cut into pages, some of them empty."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes

    def __call__(
        self, period: Any, pagination: sdk.PaginationInput | None = None, **options: Any
    ) -> sdk.GetDailyWorkspaceAPICallsUsage200Response:
        assert pagination is not None
        place = int(pagination.cursor or 0)
        first = sum(self.sizes[:place])
        body = workspace_page(
            [],
            current=str(place),
            following=str(place + 1) if place + 1 < len(self.sizes) else None,
            total=sum(self.sizes),
        )
        body["data"]["dailyWorkspaceAPICallsUsage"] = [
            {"apiCalls": str(first + offset), "timestamp": "2021-02-01"}
            for offset in range(self.sizes[place])
        ]
        return sdk.GetDailyWorkspaceAPICallsUsage200Response.model_validate(body)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_every_row_once_however_the_pages_are_cut(sizes: list[int]) -> None:
    rows = list(sdk.iter_rows(Pages(sizes), "2021-02-01"))
    assert [row.api_calls_int for row in rows] == list(range(sum(sizes)))
