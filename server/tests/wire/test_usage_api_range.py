"""Many months in one answer, under /headcount/v1/range: the numbers of each month's own answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headcount.api.v1 import range as range_module
from headcount.cli.export import _read_one_by_one
from headcount.cli.reading.api_connection import ApiConnection
from headcount.cli.reading.usage_rows import Query, range_rows
from segment_public_api import ApiClient, Configuration
from support.installation import NOVEMBER, Installation

PATH = "/headcount/v1/range"
FIRST = NOVEMBER.shifted(-3)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    """Usage from August to November, September excepted; sources that begin late, or never."""
    with Installation(tmp_path) as place:
        sources = [place.source(f"source {number}") for number in range(5)]
        place.source("never used")
        for months, day, of in ((3, 31, sources[:2]), (1, 1, sources), (0, 20, sources[2:])):
            for number, source in enumerate(of, 1):
                counts = {"api_calls": number, "admitted": 2 * number, "anonymous": number}
                place.use(source, NOVEMBER.shifted(-months), {day: counts, day - day // 2: counts})
        yield place


def asked(client: httpx.Client, **query: str) -> Any:
    answer = client.get(PATH, params={"from": str(FIRST), **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_a_range_has_each_month_as_its_own_answer_has_it(place: Installation) -> None:
    with place.client() as client:
        whole = asked(client)
        assert "next" not in whole
        assert [month["period"] for month in whole["months"]] == [
            str(FIRST.shifted(number)) for number in range(4)
        ]
        by_source = asked(client, by="source")["months"]
        ids = [source.id for source in place.catalog.sources()]
        for month, of_sources in zip(whole["months"], by_source, strict=True):
            query = [("period", month["period"]), *(("sourceId", each) for each in ids)]
            daily = client.get("/headcount/v1/daily", params=query).json()["data"]
            assert (month["days"], month["workspace"]) == (daily["days"], daily["workspace"])
            used = [each for each in daily["sources"] if any(each["totals"]["apiCalls"])]
            assert of_sources["sources"] == sorted(used, key=lambda each: each["sourceId"])
        assert [len(month["sources"]) for month in by_source] == [2, 0, 5, 3]


def test_months_that_are_not_there_are_left_out(place: Installation) -> None:
    with place.client() as client:
        for query in ({"from": "1999-01-01", "to": "2030-01-01"}, {"from": "2020-05-17"}):
            assert [month["period"] for month in asked(client, **query)["months"]] == [
                str(FIRST.shifted(number)) for number in range(4)
            ]
        for query in ({"to": "2020-01-01"}, {"from": "2030-01-01"}):
            assert asked(client, **query)["months"] == []


def test_a_workspace_without_usage_has_no_months(tmp_path: Path) -> None:
    with Installation(tmp_path) as empty, empty.client() as client:
        assert asked(client) == {"months": []}


@pytest.mark.parametrize("columns_max", [1, 2, 3, 4, 100])
@pytest.mark.parametrize("by", ["workspace", "source"])
def test_parts_of_a_range_are_the_range(
    place: Installation, monkeypatch: pytest.MonkeyPatch, columns_max: int, by: str
) -> None:
    with place.client() as client:
        whole = asked(client, by=by)["months"]
        monkeypatch.setattr(range_module, "_SCOPES_MAX", columns_max)
        found: dict[str, Any] = {}
        query, answers = {"by": by}, 0
        while query:
            answer = asked(client, **query)
            answers += 1
            for month in answer["months"]:
                assert len(month.get("sources", [])) <= columns_max
                former = found.setdefault(month["period"], month)
                if former is not month:
                    former["sources"] += month["sources"]
            query = {"by": by} | answer["next"] if "next" in answer else {}
        assert list(found.values()) == whole
        assert (answers == 1) == (columns_max == 100)


@pytest.mark.parametrize("query", [{"from": "soon"}, {"to": "soon"}, {"by": "day"}])
def test_refusals_name_the_parameter(place: Installation, query: dict[str, str]) -> None:
    with place.client() as client:
        answer = client.get(PATH, params={"from": str(FIRST)} | query)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == next(iter(query))
        assert client.get(PATH).json()["errors"][0]["field"] == "from"


@pytest.mark.parametrize("by", ["workspace", "source"])
@pytest.mark.parametrize("metric", [None, "mtu", "api-calls"])
@pytest.mark.parametrize("columns_max", [2, 1000])
def test_an_export_is_the_same_by_ranges_and_month_by_month(
    place: Installation, monkeypatch: pytest.MonkeyPatch, by: Any, metric: Any, columns_max: int
) -> None:
    monkeypatch.setattr(range_module, "_SCOPES_MAX", columns_max)
    query = Query(by, metric)
    months = [FIRST.shifted(number - 2) for number in range(6)]
    with place.served() as address:
        configuration = Configuration(host=address, access_token=place.read_secret)
        with ApiClient(configuration) as client:
            connection = ApiConnection(client, address, "this test")
            found = range_rows(connection, query, months[0], months[-1])
            assert found is not None
            assert list(found) == list(_read_one_by_one(connection, query, months))


def test_fourteen_months_of_59_sources_take_one_request(place: Installation) -> None:
    sources = [place.source(f"another {number}") for number in range(59)]
    for month in range(14):
        for source in sources:
            place.use(source, NOVEMBER.shifted(-month), {1: {"api_calls": 1}})
    with place.client() as client:
        answer = asked(client, **{"from": str(NOVEMBER.shifted(-13)), "by": "source"})
        assert "next" not in answer
        assert len(answer["months"]) == 14
        assert sum(len(month["sources"]) for month in answer["months"]) == 14 * 59 + 10
