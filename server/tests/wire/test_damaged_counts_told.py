"""Counts below zero, and rows that are not what was written: no answer is a fault of the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from headcount.counting.calendar import Period
from headcount.counting.metrics import API_CALLS, IDENTIFIED
from support.damaged_counts import make_negative
from support.installation import NOVEMBER, Installation
from support.staged import page_of

MONTHS = [NOVEMBER.shifted(-back) for back in (3, 2, 1, 0)]
HOME = "/headcount/v1"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        web = installation.source("web")
        for month in MONTHS:
            last = month.length if month < NOVEMBER else 23
            of_day = {"api_calls": 30, "identified": 5, "admitted": 30}
            installation.use(web, month, dict.fromkeys(range(1, last + 1), of_day))
        yield installation


@pytest.mark.parametrize("column", [API_CALLS, IDENTIFIED])
@pytest.mark.parametrize("with_checksum", [True, False])
@pytest.mark.parametrize("month", MONTHS)
def test_damaged_counts_are_answered_or_said_to_be_damaged(
    place: Installation, month: Period, with_checksum: bool, column: int
) -> None:
    for source in (0, 1):
        make_negative(
            place.folder / "store.sqlite", month,
            source=source, day=4, column=column, with_checksum=with_checksum,
        )  # fmt: skip
    with place.client() as client, page_of(place) as home:
        answers = {
            path: client.get(path)
            for path in (
                f"{HOME}/forecast", f"{HOME}/forecast?sourceId={_id(place)}", f"{HOME}/summary",
                f"{HOME}/explain", f"{HOME}/explain?metric=api-calls", f"{HOME}/daily",
                f"{HOME}/months",
            )
        }  # fmt: skip
        with httpx.Client(base_url=home) as visitor:
            visitor.post("/page/sign-in", data={"token": place.read_secret})
            page = visitor.get("/")
    for path, answer in answers.items():
        assert answer.status_code in (200, 503), path
        if answer.status_code == 503:
            assert "is damaged on the server's disk" in answer.text, path
    assert page.status_code in (200, 503)
    forecast = answers[f"{HOME}/forecast"]
    # The first usage is looked for in the first month; what is damaged there is not passed over.
    if with_checksum or month not in (MONTHS[0], NOVEMBER):
        told = forecast.json()["data"]
        assert told["damaged"] == [str(month)]
        assert bool(told["forecasts"]) == (month != NOVEMBER)
    # A page of outcomes that would be fewer than none is not shown.
    if with_checksum and (month, column) != (NOVEMBER, API_CALLS):
        assert page.status_code == 200
        assert "damaged" in re.sub("<[^>]*>", "", page.text)


def _id(place: Installation) -> str:
    [web] = place.catalog.sources(place.workspace.number)
    return web.id


def test_counts_that_are_whole_are_not_said_to_be_damaged(place: Installation) -> None:
    with place.client() as client, page_of(place) as home:
        assert client.get(f"{HOME}/forecast").json()["data"]["damaged"] == []
        with httpx.Client(base_url=home) as visitor:
            visitor.post("/page/sign-in", data={"token": place.read_secret})
            assert "damaged" not in visitor.get("/").text
