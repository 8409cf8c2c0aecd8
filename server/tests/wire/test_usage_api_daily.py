"""A month day by day, under /headcount/v1/daily: the same numbers as the usage API's rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headcount.counting.facts import Rejection
from support.installation import NOVEMBER, Installation, day_of

HOME = "/headcount/v1"
OCTOBER = NOVEMBER.shifted(-1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        web, ios = installation.source("web"), installation.source("ios")
        installation.use(web, OCTOBER, {31: {"api_calls": 9, "admitted": 9, "identified": 1}})
        november = {
            1: {"api_calls": 3, "admitted": 5, "identified": 1, "anonymous": 4},
            20: {"api_calls": 2, "admitted": 2, "anonymous": 1, "anonymous_identified": 2},
        }
        rejections = (Rejection(web.workspace, web.number, day_of(NOVEMBER, 3), "invalid_id", 7),)
        installation.use(web, NOVEMBER, november, rejections=rejections)
        installation.source("unused")
        assert ios.workspace == web.workspace
        yield installation


@pytest.fixture
def reader(place: Installation) -> Iterator[httpx.Client]:
    with place.client() as client:
        yield client


def rows(reader: httpx.Client, path: str, month: str) -> list[dict[str, Any]]:
    body = reader.get(path, params={"period": month}).json()["data"]
    [listed] = [value for name, value in body.items() if name != "pagination"]
    return list(listed)


@pytest.mark.parametrize("month", ["2026-10-01", "2026-11-01"])
def test_columns_are_the_rows_of_the_usage_api(reader: httpx.Client, month: str) -> None:
    data = reader.get(f"{HOME}/daily", params={"period": month}).json()["data"]
    calls = rows(reader, "/usage/api-calls/daily", month)
    mtu = rows(reader, "/usage/mtu/daily", month)
    assert data["days"] == [row["timestamp"][:10] for row in calls]
    columns = data["workspace"]
    assert columns["apiCalls"] == [int(row["apiCalls"]) for row in calls]
    for name in ("identified", "anonymous", "anonymousIdentified", "neverIdentified"):
        assert columns[name] == [int(row[name]) for row in mtu]
    assert columns["mtu"] == [int(row["identified"]) + int(row["neverIdentified"]) for row in mtu]
    assert data["sources"] == []


def test_months_outcomes_and_sources(place: Installation, reader: httpx.Client) -> None:
    sources = {each.name: each.id for each in place.catalog.sources()}
    asked = [("sourceId", sources["unused"]), ("sourceId", sources["web"])]
    data = reader.get(f"{HOME}/daily", params=asked).json()["data"]
    assert (data["period"], data["currentPeriod"], data["firstPeriod"]) == (
        "2026-11-01", "2026-11-01", "2026-10-01",
    )  # fmt: skip
    assert data["rejected"] == 7
    assert data["workspace"]["duplicate"][-1] == 2
    unused, web = data["sources"]
    assert (unused["sourceName"], web["sourceName"]) == ("unused", "web")
    assert set(unused["totals"]["apiCalls"]) == {0}
    assert len(unused["totals"]["mtu"]) == 23
    assert web["totals"] == data["workspace"]
    past = reader.get(f"{HOME}/daily", params={"period": "2026-10-15"}).json()["data"]
    assert (past["period"], past["currentPeriod"], len(past["days"])) == (
        "2026-10-01", "2026-11-01", 31,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("sourceId=unknown", 404, "sourceId"),
        ("&".join(f"sourceId={number}" for number in range(51)), 422, "sourceId"),
        ("period=2026-09-01", 404, "period"),
        ("period=soon", 422, "period"),
    ],
)
def test_refusals_name_the_field(reader: httpx.Client, query: str, status: int, field: str) -> None:
    answer = reader.get(f"{HOME}/daily?{query}")
    assert answer.status_code == status
    assert answer.json()["errors"][0]["field"] == field
