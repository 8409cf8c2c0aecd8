"""What the API and the page tell of sources that forward, and to whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from headcount.catalog import Source
from headcount.forwarding_status import ForwardingStatus, OutcomeTally, StatusCount
from support.installation import NOW_MS, Installation
from support.staged import page_of

PATH = "/headcount/v1/forwarding"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        yield installation


@pytest.fixture
def web(place: Installation) -> Source:
    source = place.source("web")
    place.catalog.set_forwarding(
        source.number, "https://vendor.example", "their-secret", "stop", NOW_MS, by_token=False
    )
    return source


def status(source: Source, stopped_at_ms: int | None = None) -> ForwardingStatus:
    return ForwardingStatus(
        source.number, NOW_MS, stopped_at_ms, 1_204, 3_200_000, NOW_MS - 243_000,
        "it answers 503", NOW_MS + 9_000,
        {"delivered": OutcomeTally(2, 40), "refused": OutcomeTally(3, 3)},
        [StatusCount(400, 1, 1), StatusCount(413, 2, 2)],
    )  # fmt: skip


def test_a_reading_token_is_told_how_far_and_not_the_key(place: Installation, web: Source) -> None:
    place.source("never forwarded")
    place.forwarding = [status(web)]
    with place.client() as client:
        answer = client.get(PATH)
    assert answer.status_code == 200
    assert "their-secret" not in answer.text
    [told] = answer.json()["data"]["forwarding"]
    assert told["sourceName"] == "web"
    assert (told["to"], told["state"], told["whenFull"]) == ("https://vendor.example", "on", "stop")
    assert told["behindSeconds"] == 243
    assert told["sentence"] == (
        "1,204 messages wait for the vendor (3.2 MB), the oldest for 4 min 3 s: it answers 503."
    )
    assert told["outcomes"]["delivered"] == {"requests": 2, "messages": 40}
    assert told["outcomes"]["expired"] == {"requests": 0, "messages": 0}
    assert told["refusedByStatus"][1] == {"status": 413, "requests": 2, "messages": 2}


def test_before_anything_is_delivered_nothing_waits(place: Installation, web: Source) -> None:
    with place.client() as client:
        [told] = client.get(PATH).json()["data"]["forwarding"]
    assert told["sentence"] == "Nothing waits."
    assert told["failing"] is None


def test_another_workspace_is_told_nothing(place: Installation, web: Source) -> None:
    other = place.catalog.add_workspace("Other", NOW_MS)
    _, secret = place.catalog.add_token(other.number, "admin", NOW_MS)
    with place.client(secret) as client:
        assert client.get(PATH).json()["data"]["forwarding"] == []
        path = f"/headcount/v1/sources/{web.id}/forwarding"
        assert client.patch(path, json={"state": "off"}).status_code == 404
        new = {"to": "https://1.1.1.1", "writeKey": "k"}
        assert client.put(path, json=new).status_code == 404


def test_a_reading_token_changes_nothing(place: Installation, web: Source) -> None:
    path = f"/headcount/v1/sources/{web.id}/forwarding"
    with place.client() as client:
        assert client.patch(path, json={"state": "off"}).status_code == 403
        new = {"to": "https://1.1.1.1", "writeKey": "k"}
        assert client.put(path, json=new).status_code == 403


@pytest.mark.parametrize(
    ("new", "field"),
    [
        ({"to": "https://10.0.0.1", "writeKey": "k"}, "to"),
        ({"to": "http://1.1.1.1", "writeKey": "k"}, "to"),
        ({"to": "nowhere", "writeKey": "k"}, "to"),
        ({"to": "https://1.1.1.1", "writeKey": " \n"}, "writeKey"),
        ({"to": "https://1.1.1.1", "writeKey": "k", "whenFull": "burst"}, "whenFull"),
    ],
)
def test_what_cannot_be_set_is_named(
    place: Installation, web: Source, new: dict[str, str], field: str
) -> None:
    with place.client(place.admin_secret) as client:
        answer = client.put(f"/headcount/v1/sources/{web.id}/forwarding", json=new)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    kept = place.catalog.forwarding(web.number)
    assert kept is not None
    assert kept.url == "https://vendor.example"


def test_the_page_of_a_source_says_how_far_it_is(place: Installation, web: Source) -> None:
    place.forwarding = [status(web, stopped_at_ms=NOW_MS - 1)]
    with page_of(place) as home, httpx.Client(base_url=home, follow_redirects=True) as visitor:
        visitor.post("/page/sign-in", data={"token": place.read_secret})
        shown = visitor.get("/page/source", params={"source": web.id})
    assert shown.status_code == 200
    assert "Forwarded to the vendor" in shown.text
    assert "1,204 messages wait for the vendor" in shown.text
    assert "stopped for want of room" in shown.text
    assert "<code>413</code>" in shown.text
    assert "their-secret" not in shown.text


def test_the_page_of_a_source_that_never_forwarded_says_nothing_of_it(place: Installation) -> None:
    source = place.source("plain")
    with page_of(place) as home, httpx.Client(base_url=home, follow_redirects=True) as visitor:
        visitor.post("/page/sign-in", data={"token": place.read_secret})
        shown = visitor.get("/page/source", params={"source": source.id})
    assert shown.status_code == 200
    assert "Forwarded to the vendor" not in shown.text
