"""Links that need no token: what they show, what they do not, and how they end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headcount.api import Links
from headcount.catalog import Catalog
from headcount.page import MemorySessions
from headcount.troubles import Trouble
from headcount.wiring.callers import Callers
from support.installation import NOVEMBER, NOW_MS, Installation
from support.staged import page_of

HOME = "/headcount/v1"
OCTOBER, YEAR_BEFORE = NOVEMBER.shifted(-1), NOVEMBER.shifted(-12)
MINUTE_MS = 60_000


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        for name, calls in (("web", 40), ("app", 7)):
            source = installation.source(name)
            for period in (YEAR_BEFORE, OCTOBER, NOVEMBER):
                of_day = {"api_calls": calls, "admitted": calls, "identified": 3}
                installation.use(source, period, {1: of_day, 20: of_day})
        yield installation


@pytest.fixture
def visitor(place: Installation) -> Iterator[httpx.Client]:
    """Somebody with a browser, and nothing else."""
    with page_of(place) as home, httpx.Client(base_url=home) as client:
        yield client


@pytest.fixture
def admin(place: Installation) -> Iterator[httpx.Client]:
    with place.client(place.admin_secret) as client:
        yield client


def made(place: Installation, **shown: Any) -> str:
    """The path of a new link."""
    _, secret = place.catalog.add_link(place.workspace.number, NOW_MS, **shown)
    return f"/page/view/{secret}"


def figure(answer: httpx.Response, name: str) -> int:
    assert answer.status_code == 200, answer.text
    found = re.search(rf'id="total-{name}" data-value="(\d+)"', answer.text)
    assert found is not None
    return int(found[1])


def test_a_link_shows_the_page_and_leads_nowhere_else(
    place: Installation, visitor: httpx.Client
) -> None:
    path = made(place)
    answer = visitor.get(path)
    assert figure(answer, "api-calls") == 2 * 47
    assert "against 94 at the end of 23 October" in answer.text
    assert "web" in answer.text
    # Whatever it leads to lies in the view, and nothing can be posted from it.
    found = re.findall(r'(?:href|src|action|data-fresh)="([^"]*)"', answer.text)
    leads = [each for each in found if not each.startswith(("#", "/page/assets/"))]
    assert leads
    assert all(each.startswith(path) for each in leads), leads
    assert 'method="post"' not in answer.text
    assert "<select" not in answer.text
    assert "set-cookie" not in answer.headers
    # Not what else the year had.
    assert "September" not in answer.text
    assert "write key" not in answer.text
    # Nor what is the operator's business.
    place.troubles.append(
        Trouble("storage", "/srv/data cannot be written.", "", NOW_MS, 1, hinders=True)
    )
    place.not_ready.append("The server is starting.")
    answer = visitor.get(path)
    assert "/srv/data" not in answer.text
    assert "starting" not in answer.text


def test_every_answer_of_a_link_is_kept_by_nobody(
    place: Installation, visitor: httpx.Client
) -> None:
    path = made(place)
    for each in (path, f"{path}/fresh", f"{path}/csv/days", f"{path}/nothing", "/page/view/hcl_no"):
        headers = visitor.get(each).headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-robots-tag"] == "noindex, nofollow, noarchive"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert '<meta name="robots" content="noindex, nofollow">' in visitor.get(path).text


def test_a_link_is_no_token_and_no_session(place: Installation, visitor: httpx.Client) -> None:
    path = made(place, view="all")
    secret = path.rpartition("/")[2]
    with place.client(secret) as client:
        for tried in ("workspace", "summary", "daily", "links", "tokens"):
            assert client.get(f"{HOME}/{tried}").status_code == 401
        assert client.get("/usage/mtu/daily?period=2026-11-01").status_code == 401
        assert client.post(f"{HOME}/tokens", json={"scope": "admin"}).status_code == 401
    visitor.get(path)
    for other in ("/", "/page/manage", "/page/fresh", "/page/csv/days", "/page/source"):
        assert visitor.get(other).status_code in (303, 401)
    refused = visitor.post("/page/sign-in", data={"token": secret})
    assert refused.status_code == 401
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert visitor.request(method, path).status_code == 405
    assert len(place.catalog.tokens(place.workspace.number)) == 2


def test_a_link_to_a_source_shows_that_one_alone(
    place: Installation, visitor: httpx.Client
) -> None:
    web, app = place.catalog.sources(place.workspace.number)
    path = made(place, view="source", source=web.number)
    answer = visitor.get(path)
    assert figure(answer, "api-calls") == 80
    assert "app" not in re.sub(r"<[^>]*>", "", answer.text)
    assert web.write_key not in answer.text
    for wrong in (f"{path}/source?source={app.id}", f"{path}/csv/sources"):
        assert visitor.get(wrong).status_code == 404
    taken = visitor.get(f"{path}/csv/days", params={"source": app.id})
    assert taken.text.splitlines()[1] == "2026-11-23,0,80,0,6"
    beside = visitor.get(f"{path}/csv/beside").text.splitlines()
    assert beside[1] == "api_calls,2026-11,2026-11-23,80,2026-10,2026-10-23,80,0"


def test_a_link_to_all_shows_every_source(place: Installation, visitor: httpx.Client) -> None:
    web, app = place.catalog.sources(place.workspace.number)
    every, alone = made(place, view="all"), made(place)
    assert f"{every}/source?source={app.id}" in visitor.get(every).text
    answer = visitor.get(f"{every}/source", params={"source": app.id, "period": str(OCTOBER)})
    assert figure(answer, "api-calls") == 14
    assert "November 2026" in answer.text
    assert visitor.get(f"{every}/source?source=nobody").status_code == 404
    assert visitor.get(f"{alone}/source?source={app.id}").status_code == 404
    whole = visitor.get(f"{alone}/csv/days", params={"source": app.id}).text
    assert whole == visitor.get(f"{every}/csv/days").text
    assert web.id not in visitor.get(alone).text


def test_a_month_is_fixed_or_always_the_one_that_runs(
    place: Installation, visitor: httpx.Client
) -> None:
    fixed = made(place, period=OCTOBER.number, against=11)
    always = made(place, against=12)
    for path, month in ((fixed, "October"), (always, "November")):
        # No address can ask for another month.
        answer = visitor.get(path, params={"period": str(YEAR_BEFORE), "against": str(NOVEMBER)})
        assert f"<h1>{month} 2026</h1>" in answer.text
        assert f"{month} 2026 beside November 2025" in answer.text
        asked = {"period": str(YEAR_BEFORE), "against": str(NOVEMBER)}
        taken = visitor.get(f"{path}/csv/days", params=asked)
        assert f"headcount-2026-{10 + (path == always)}" in taken.headers["content-disposition"]
        assert "_2025_11" in taken.text.splitlines()[0]
    place.clock.now_ms += 10 * 24 * 60 * MINUTE_MS
    assert "<h1>October 2026</h1>" in visitor.get(fixed).text
    answer = visitor.get(always)
    assert "<h1>December 2026</h1>" in answer.text
    assert "December 2026 beside December 2025" in answer.text
    # So early there is none: the month before stands there.
    early = visitor.get(made(place, against=14))
    assert "December 2026 beside November 2026" in early.text
    told = visitor.get(f"{always}/fresh").json()
    assert told["period"] == "2026-12-01"
    assert f'data-version="{told["version"]}"' in answer.text


def test_links_are_made_listed_and_revoked(
    place: Installation, admin: httpx.Client, visitor: httpx.Client
) -> None:
    web, _ = place.catalog.sources(place.workspace.number)
    body = {
        "view": "source", "sourceId": web.id, "name": " Board ", "period": "2026-10-15",
        "against": 11, "expiresAt": "2026-12-01T00:00:00Z",
    }  # fmt: skip
    answer = admin.post(f"{HOME}/links", json=body)
    assert answer.status_code == 201
    told = answer.json()["data"]
    path, link = told["path"], told["link"]
    assert link == {
        "id": link["id"], "name": "Board", "view": "source", "against": 11,
        "createdAt": "2026-11-23T10:00:00.000Z", "valid": True, "sourceId": web.id,
        "sourceName": "web", "period": "2026-10-01", "expiresAt": "2026-12-01T00:00:00.000Z",
    }  # fmt: skip
    assert figure(visitor.get(path), "api-calls") == 80
    [listed] = admin.get(f"{HOME}/links").json()["data"]["links"]
    assert listed == link | {"lastUsedAt": "2026-11-23T10:00:00.000Z"}
    assert path not in str(listed)
    # Used again, it is written down once in ten minutes, which wakes every worker.
    generation = place.catalog.generation()
    for minutes, changes in ((9, 0), (1, 1), (9, 1), (2, 2)):
        place.clock.now_ms += minutes * MINUTE_MS
        assert visitor.get(f"{path}/fresh").status_code == 200
        assert place.catalog.generation() == generation + changes
    revoked = admin.delete(f"{HOME}/links/{link['id']}").json()["data"]["link"]
    assert revoked["valid"] is False
    for each in (path, f"{path}/fresh", f"{path}/csv/days"):
        assert visitor.get(each).status_code == 404
    assert "This link shows nothing" in visitor.get(path).text
    assert admin.delete(f"{HOME}/links/nobody").json()["errors"][0]["field"] == "linkId"


def test_a_link_ends_on_its_day(place: Installation, visitor: httpx.Client) -> None:
    path = made(place, expires_at_ms=NOW_MS + MINUTE_MS)
    assert visitor.get(path).status_code == 200
    place.clock.now_ms += MINUTE_MS
    over, unknown = visitor.get(path), visitor.get("/page/view/hcl_unknown")
    assert (over.status_code, unknown.status_code) == (404, 404)
    assert over.text == unknown.text


def test_what_no_link_can_show_is_refused(place: Installation, admin: httpx.Client) -> None:
    web, _ = place.catalog.sources(place.workspace.number)
    theirs = place.source("theirs", place.catalog.add_workspace("Other", NOW_MS))
    for body, status, field in (
        ({}, 422, "view"),
        ({"view": "tokens"}, 422, "view"),
        ({"view": "source"}, 404, "sourceId"),
        ({"view": "source", "sourceId": theirs.id}, 404, "sourceId"),
        ({"view": "all", "sourceId": web.id}, 422, "sourceId"),
        ({"view": "all", "period": "soon"}, 422, "period"),
        ({"view": "all", "period": "2027-01-01"}, 404, "period"),
        ({"view": "all", "against": 0}, 422, "against"),
        ({"view": "all", "expiresAt": "2026-11-23T10:00:00Z"}, 422, "expiresAt"),
        ({"view": "all", "token": "x"}, 422, "token"),
    ):
        answer = admin.post(f"{HOME}/links", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field), body
    with place.client() as reader:
        assert reader.post(f"{HOME}/links", json={"view": "all"}).status_code == 403
        link, _ = place.catalog.add_link(place.workspace.number, NOW_MS)
        assert reader.delete(f"{HOME}/links/{link.id}").status_code == 403
        assert len(reader.get(f"{HOME}/links").json()["data"]["links"]) == 1
    assert [each.valid_at(NOW_MS) for each in place.catalog.links(place.workspace.number)] == [True]


def test_whoever_has_no_valid_link_waits_with_strangers(place: Installation) -> None:
    callers = Callers(place.catalog, MemorySessions(place.clock), place.clock)

    def scope(path: str) -> dict[str, Any]:
        return {"path": path, "headers": [(b"cookie", b"headcount_session=x")]}

    stranger = callers.owner_of(scope("/page/sign-in"))
    link, secret = place.catalog.add_link(place.workspace.number, NOW_MS)
    known = callers.owner_of(scope(f"/page/view/{secret}/fresh"))
    assert known.name == ("link", link.id)
    assert callers.owner_of(scope("/page/view/hcl_guess")) == stranger
    assert not callers.is_known(scope(f"/page/view/{secret}x"))
    place.catalog.revoke_link(place.workspace.number, link.id, NOW_MS)
    assert callers.owner_of(scope(f"/page/view/{secret}")) == stranger


def test_a_disk_that_refuses_keeps_nobody_from_looking(place: Installation) -> None:
    path = made(place)
    with Catalog(place.folder / "catalog.sqlite", read_only=True) as catalog:
        opened = Links(catalog, place.clock).open(path.rpartition("/")[2])
    assert opened.workspace_name == "Acme"
    assert opened.link.used_at_ms is None
