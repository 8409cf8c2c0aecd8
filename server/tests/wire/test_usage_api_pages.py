"""Pages: every row that was there at first appears exactly once, whatever is added meanwhile."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.api import ApiSettings, create_app
from headcount.catalog import Catalog
from headcount.counting.calendar import MS_PER_DAY
from support.installation import NOVEMBER, NOW_MS, Clock, Installation, MemoryStore

PATHS = {
    "/usage/api-calls/daily": "dailyWorkspaceAPICallsUsage",
    "/usage/api-calls/sources/daily": "dailyPerSourceAPICallsUsage",
    "/usage/mtu/daily": "dailyWorkspaceMTUUsage",
    "/usage/mtu/sources/daily": "dailyPerSourceMTUUsage",
}
SOURCES = 6

Row = tuple[str, str]


@pytest.fixture(scope="module")
def catalog() -> Iterator[tuple[Catalog, str]]:
    with tempfile.TemporaryDirectory() as folder, Catalog(Path(folder) / "c.sqlite") as catalog:
        workspace = catalog.add_workspace("Acme", NOW_MS)
        for number in range(SOURCES):
            catalog.add_source(workspace.number, f"s{number}", NOW_MS)
        yield catalog, catalog.add_token(workspace.number, "read", NOW_MS)[1]


class Walk:
    """A client that turns pages while usage is added."""

    def __init__(self, catalog: Catalog, secret: str, path: str) -> None:
        self.store, self.clock, self.path = (
            MemoryStore(),
            Clock(NOVEMBER.first_day * MS_PER_DAY),
            path,
        )
        self._secret = secret
        self._app: Any = create_app(
            store=self.store, catalog=catalog, clock=self.clock, not_ready=list, troubles=list,
            backlog=lambda: None,
            server_metrics=str, settings=ApiSettings(requests_per_minute=10**9),
        )  # fmt: skip

    def add(self, source: int, day: int) -> None:
        self.store.new_calls.setdefault((NOVEMBER, source), {})[day] = 1

    def tomorrow(self, days: int) -> None:
        last = NOVEMBER.last_day * MS_PER_DAY
        self.clock.now_ms = min(self.clock.now_ms + days * MS_PER_DAY, last)

    async def page(self, count: int, cursor: str | None) -> tuple[list[Row], dict[str, Any]]:
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            query: dict[str, Any] = {"period": "2026-11-01", "pagination.count": count}
            if cursor is not None:
                query["pagination.cursor"] = cursor
            headers = {"Authorization": f"Bearer {self._secret}"}
            answer = await client.get(self.path, params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        found = [(row["timestamp"], row.get("sourceId", "")) for row in data[PATHS[self.path]]]
        assert found == sorted(set(found))
        assert len(found) <= count
        return found, data["pagination"]


usage = st.lists(st.tuples(st.integers(1, SOURCES), st.integers(0, 29)), max_size=8)
steps = st.tuples(st.integers(1, 40), usage, st.integers(0, 2))


@settings(max_examples=60)
@given(
    path=st.sampled_from(sorted(PATHS)),
    first=usage,
    day=st.integers(0, 29),
    script=st.lists(steps, min_size=1, max_size=6),
    way=st.sampled_from(["next", "previous"]),
)
def test_every_row_of_the_first_moment_appears_exactly_once(
    catalog: tuple[Catalog, str], path: str, first: Any, day: int, script: Any, way: str
) -> None:
    async def turn_pages() -> None:
        walk = Walk(*catalog, path)
        for source, on in first:
            walk.add(source, on)
        walk.tomorrow(day)
        cursor = None
        there, pagination = await walk.page(1000, None)
        assert pagination["totalEntries"] == len(there)
        assert "next" not in pagination
        assert "previous" not in pagination
        if way == "previous" and there:
            # To walk backwards, walk to the end first, then leave the last page's rows out.
            while True:
                last, pagination = await walk.page(script[0][0], cursor)
                if "next" not in pagination:
                    break
                cursor = pagination["next"]
            there = there[: len(there) - len(last)]
            if "previous" not in pagination:
                assert there == []
                return
            cursor = pagination["previous"]
        seen: list[Row] = []
        for turn in range(10_000):
            count, added, days = script[turn % len(script)]
            found, pagination = await walk.page(count, cursor)
            seen += found
            if way not in pagination:
                break
            cursor = pagination[way]
            for source, on in added:
                walk.add(source, on)
            walk.tomorrow(days)
        assert len(seen) == len(set(seen))
        assert set(there) <= set(seen)

    asyncio.run(turn_pages())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        yield installation


def test_pages_link_to_their_neighbours(place: Installation) -> None:
    with place.client() as client:

        def page(**query: object) -> dict[str, Any]:
            answer = client.get("/usage/mtu/daily", params={"period": "2026-11-01", **query})
            data = answer.json()["data"]
            days = [int(row["timestamp"][8:10]) for row in data["dailyWorkspaceMTUUsage"]]
            return {"days": days, **data["pagination"]}

        first = page(**{"pagination.count": 10})
        second = page(**{"pagination.count": 10, "pagination.cursor": first["next"]})
        third = page(pagination=json.dumps({"count": 10, "cursor": second["next"]}))
        assert [first["days"], second["days"], third["days"]] == [
            list(range(1, 11)), list(range(11, 21)), [21, 22, 23],
        ]  # fmt: skip
        assert {p["totalEntries"] for p in (first, second, third)} == {23}
        assert "previous" not in first
        assert "next" not in third
        back = page(**{"pagination[count]": 10, "pagination[cursor]": third["previous"]})
        assert back["days"] == second["days"]
        again = page(**{"pagination.count": 10, "pagination.cursor": second["current"]})
        assert again == second
        # The count may change from page to page; the default is 200.
        assert page(**{"pagination.count": 3, "pagination.cursor": first["next"]})["days"] == [
            11, 12, 13,
        ]  # fmt: skip
        assert page(**{"pagination.cursor": first["next"]})["days"] == list(range(11, 24))
        assert page(**{"pagination.cursor": first["current"]})["days"] == list(range(1, 24))


def test_a_cursor_belongs_to_its_query(place: Installation) -> None:
    place.use(place.source("web"), NOVEMBER.shifted(-1), {1: {"api_calls": 1}})
    with place.client() as client:
        query = {"period": "2026-11-01", "pagination.count": "2"}
        cursor = client.get("/usage/mtu/daily", params=query).json()["data"]["pagination"]["next"]
        wrong = [
            ("/usage/api-calls/daily", "2026-11-01", cursor),
            ("/usage/mtu/sources/daily", "2026-11-01", cursor),
            ("/usage/mtu/daily", "2026-10-01", cursor),
            ("/usage/mtu/daily", "2026-11-01", "Mw=="),
            ("/usage/mtu/daily", "2026-11-01", ""),
            ("/usage/mtu/daily", "2026-11-01", cursor[:-1]),
        ]
        for path, period, text in wrong:
            answer = client.get(path, params={"period": period, "pagination.cursor": text})
            assert answer.status_code == 422
            [error] = answer.json()["errors"]
            assert (error["type"], error["field"]) == ("input-validation", "pagination.cursor")
        same = {"period": "2026-11-30", "pagination.cursor": cursor}
        assert client.get("/usage/mtu/daily", params=same).status_code == 200
