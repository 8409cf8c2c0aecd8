"""Rows and periods of the usage API, as clients see them."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from headcount.counting.calendar import Period
from headcount.store.protocol import Change
from support.installation import NOVEMBER, NOW_MS, Installation, ms_of

OCTOBER, SEPTEMBER = NOVEMBER.shifted(-1), NOVEMBER.shifted(-2)
PATHS = {
    "/usage/api-calls/daily": "dailyWorkspaceAPICallsUsage",
    "/usage/api-calls/sources/daily": "dailyPerSourceAPICallsUsage",
    "/usage/mtu/daily": "dailyWorkspaceMTUUsage",
    "/usage/mtu/sources/daily": "dailyPerSourceMTUUsage",
}
WEB_DAYS = {
    1: {"api_calls": 5, "identified": 2, "anonymous": 4, "anonymous_identified": 1},
    3: {"api_calls": 2, "identified": 1, "anonymous_identified": 2},
    23: {"api_calls": 1},
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        yield installation


def rows(client: httpx.Client, path: str, period: str = "2026-11-01", **query: object) -> list:
    answer = client.get(path, params={"period": period, "pagination.count": 1000, **query})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert set(data) == {PATHS[path], "pagination"}
    assert data["pagination"]["totalEntries"] == len(data[PATHS[path]])
    return data[PATHS[path]]


def test_workspace_rows_stand_for_every_day_up_to_today(place: Installation) -> None:
    place.use(place.source("web"), NOVEMBER, WEB_DAYS)
    with place.client() as client:
        calls = rows(client, "/usage/api-calls/daily")
        users = rows(client, "/usage/mtu/daily")
    days = [f"2026-11-{day:02d}T00:00:00.000Z" for day in range(1, 24)]
    assert [row["timestamp"] for row in calls] == days == [row["timestamp"] for row in users]
    assert [row["apiCalls"] for row in calls] == ["5"] * 2 + ["7"] * 20 + ["8"]
    assert calls[0] == {"apiCalls": "5", "timestamp": days[0]}
    assert users[2] == {
        "periodStart": 1793491200,
        "periodEnd": 1796083200,
        "anonymous": "4",
        "anonymousIdentified": "3",
        "identified": "3",
        "neverIdentified": "1",
        "timestamp": "2026-11-03T00:00:00.000Z",
    }


def test_source_rows_start_on_the_first_day_of_usage_and_go_by_day_then_id(
    place: Installation,
) -> None:
    web, ios, idle = place.source("web"), place.source("ios"), place.source("idle")
    place.use(web, NOVEMBER, WEB_DAYS)
    place.use(ios, NOVEMBER, {22: {"api_calls": 9, "identified": 3}})
    # Ids that a duplicate brought along are no usage: that day has no row yet.
    place.use(idle, NOVEMBER, {2: {"admitted": 4}})
    with place.client() as client:
        calls = rows(client, "/usage/api-calls/sources/daily")
        users = rows(client, "/usage/mtu/sources/daily")
    expected = [(f"2026-11-{day:02d}T00:00:00.000Z", web.id) for day in range(1, 24)]
    expected += [(f"2026-11-{day:02d}T00:00:00.000Z", ios.id) for day in (22, 23)]
    assert [(row["timestamp"], row["sourceId"]) for row in calls] == sorted(expected)
    assert [(row["timestamp"], row["sourceId"]) for row in users] == sorted(expected)
    assert [row["apiCalls"] for row in calls if row["sourceId"] == ios.id] == ["9", "9"]
    assert set(users[0]) == {
        "sourceId", "periodStart", "periodEnd", "anonymous", "anonymousIdentified",
        "identified", "neverIdentified", "timestamp",
    }  # fmt: skip


def test_a_workspace_without_usage_has_zero_rows_and_no_sources(place: Installation) -> None:
    place.source("web")
    with place.client() as client:
        calls = rows(client, "/usage/api-calls/daily")
        assert len(calls) == 23
        assert {row["apiCalls"] for row in calls} == {"0"}
        assert rows(client, "/usage/mtu/sources/daily") == []
        assert client.get("/usage/mtu/daily?period=2026-10-01").status_code == 404


def test_counts_beyond_what_a_double_holds_stay_exact(place: Installation) -> None:
    place.use(place.source("web"), NOVEMBER, {1: {"api_calls": 2**53 + 1}})
    with place.client() as client:
        assert rows(client, "/usage/api-calls/daily")[0]["apiCalls"] == "9007199254740993"


def test_past_periods_exist_from_the_first_usage_on(place: Installation) -> None:
    place.use(place.source("web"), SEPTEMBER, {30: {"api_calls": 1}})
    with place.client() as client:
        assert len(rows(client, "/usage/api-calls/daily", "2026-09-01")) == 30
        # A month without any traffic after the first one is a month of zeros.
        assert [r["apiCalls"] for r in rows(client, "/usage/api-calls/daily", "2026-10-15")] == [
            "0"
        ] * 31
        assert rows(client, "/usage/api-calls/sources/daily", "2026-10-15") == []
        for period in ("2026-08-31", "2026-12-01", "9999-12-31", "0001-01-01"):
            for path in PATHS:
                answer = client.get(path, params={"period": period})
                assert answer.status_code == 404, period
                assert answer.json()["errors"][0]["field"] == "period"


def test_one_workspace_never_sees_another(place: Installation) -> None:
    other = place.catalog.add_workspace("Other", NOW_MS)
    place.use(place.source("theirs", other), SEPTEMBER, {1: {"api_calls": 7}})
    place.use(place.source("theirs too", other), NOVEMBER, {1: {"api_calls": 7}})
    with place.client() as client:
        assert {row["apiCalls"] for row in rows(client, "/usage/api-calls/daily")} == {"0"}
        assert rows(client, "/usage/api-calls/sources/daily") == []
        assert client.get("/usage/api-calls/daily?period=2026-09-01").status_code == 404


def test_today_is_the_later_of_the_clock_and_the_last_metered_day(place: Installation) -> None:
    place.use(place.source("web"), NOVEMBER, {1: {"api_calls": 1}})
    place.store.commit(Change(last_metered_day=NOVEMBER.first_day + 24))
    with place.client() as client:
        assert len(rows(client, "/usage/api-calls/daily")) == 25
        place.store.commit(Change(last_metered_day=NOVEMBER.last_day + 1))
        assert len(rows(client, "/usage/api-calls/daily")) == 30
        assert len(rows(client, "/usage/api-calls/daily", "2026-12-09")) == 1
        assert client.get("/headcount/v1/summary").json()["data"]["month"]["day"] == "2026-12-01"
        place.clock.now_ms = ms_of(NOVEMBER.shifted(1), 3)
        assert len(rows(client, "/usage/api-calls/daily", "2026-12-01")) == 3


def test_a_period_may_be_named_by_any_of_its_moments(place: Installation) -> None:
    place.use(place.source("web"), OCTOBER, {31: {"api_calls": 1}})
    with place.client() as client:
        for text in ("2026-10-01", "2026-10-31", "2026-11-01T00:30:00+01:00"):
            assert len(rows(client, "/usage/api-calls/daily", text)) == 31
        for text in ("2026-10", "october", "2026-10-32", ""):
            answer = client.get("/usage/api-calls/daily", params={"period": text})
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == "period"


def test_a_source_that_the_catalog_does_not_know_keeps_its_rows(place: Installation) -> None:
    lost = dataclasses.replace(place.source("web"), number=1_000)
    place.use(lost, NOVEMBER, {23: {"api_calls": 3}})
    with place.client() as client:
        [row] = rows(client, "/usage/api-calls/sources/daily")
        assert row["sourceId"] == f"unknown-{lost.number}"
        assert row["apiCalls"] == "3"


@pytest.mark.parametrize("period", [Period(2024 * 12 + 1), Period(2026 * 12 + 1)])
def test_months_have_their_own_lengths(place: Installation, period: Period) -> None:
    place.use(place.source("web"), period, {period.length: {"api_calls": 1}})
    with place.client() as client:
        found = rows(client, "/usage/mtu/daily", str(period))
    assert len(found) == period.length
    assert found[0]["periodEnd"] - found[0]["periodStart"] == period.length * 86_400
