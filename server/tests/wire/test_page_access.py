"""Who may see the page and change what: sessions, cookies, forms and headers, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from headcount.counting.calendar import MS_PER_DAY
from support.installation import NOVEMBER, Installation
from support.staged import TRACKING_URL, page_of

NAMES = ("hct_", "write_key", "Traceback")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        yield installation


@pytest.fixture
def visitor(place: Installation) -> Iterator[httpx.Client]:
    with page_of(place) as home, httpx.Client(base_url=home) as client:
        yield client


def sign_in(visitor: httpx.Client, secret: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return visitor.post("/page/sign-in", data={"token": secret}, headers=named)


def form_key(visitor: httpx.Client) -> str:
    found = re.search(r'name="form_key" value="([^"]+)"', visitor.get("/page/manage").text)
    assert found is not None
    return found[1]


def form(visitor: httpx.Client, place: Installation, **fields: str) -> dict[str, str]:
    return {"form_key": form_key(visitor), "workspace": place.workspace.id, **fields}


def test_every_answer_is_hardened(visitor: httpx.Client) -> None:
    for path in ("/", "/page/sign-in", "/page/fresh", "/page/nowhere", "/page/assets/page.js"):
        for method in ("GET", "HEAD", "POST"):
            headers = visitor.request(method, path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert "cache-control" in headers


@pytest.mark.parametrize(
    "path", ["/", "/page/manage", "/page/connect", "/?workspace=x", "/page/source"]
)
def test_nothing_without_signing_in(visitor: httpx.Client, path: str) -> None:
    query = {} if path == "/" else {"next": path}
    answer = visitor.get(path)
    to = httpx.URL(answer.headers["location"])
    assert (answer.status_code, to.path, dict(to.params)) == (303, "/page/sign-in", query)
    visitor.cookies.set("headcount_session", "made-up")
    ended = httpx.URL(visitor.get(path).headers["location"])
    assert (ended.path, dict(ended.params)) == ("/page/sign-in", {"ended": "1", **query})
    assert visitor.get("/page/fresh").status_code == 401


def test_a_link_leads_where_it_says_after_signing_in(
    visitor: httpx.Client, place: Installation
) -> None:
    wanted = f"/?workspace={place.workspace.id}&period=2026-10-01&sort=name"
    form_page = visitor.get(visitor.get(wanted).headers["location"]).text
    hidden = re.search(r'name="next" value="([^"]+)"', form_page)
    assert hidden is not None
    kept = hidden[1].replace("&amp;", "&")
    refused = visitor.post("/page/sign-in", data={"token": "hct_no", "next": kept})
    assert hidden[0] in refused.text
    answer = visitor.post("/page/sign-in", data={"token": place.read_secret, "next": kept})
    assert (answer.status_code, answer.headers["location"]) == (303, wanted)


@pytest.mark.parametrize(
    "foreign",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/page/sign-out",
        "/headcount/v1/summary",
        "/?workspace=of-somebody-else",
        "/\r\nSet-Cookie: a=b",
        "http:///",
        "//[",
        "/?" + "a" * 3_000,
    ],
)
def test_signing_in_leads_nowhere_else(
    visitor: httpx.Client, place: Installation, foreign: str
) -> None:
    shown = visitor.get("/page/sign-in", params={"next": foreign}).text
    assert "evil" not in shown
    answer = visitor.post("/page/sign-in", data={"token": place.read_secret, "next": foreign})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    ("headers", "secure"),
    [({}, False), ({"Origin": "https://usage.example.com", "Host": "usage.example.com"}, True)],
)
def test_the_cookie_is_secure_behind_tls(
    visitor: httpx.Client, place: Installation, headers: dict[str, str], secure: bool
) -> None:
    cookie = sign_in(visitor, place.read_secret, **headers).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert ("Secure" in cookie) is secure
    assert place.read_secret not in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_other_sites_change_nothing(
    visitor: httpx.Client, place: Installation, headers: dict[str, str]
) -> None:
    assert sign_in(visitor, place.admin_secret, **headers).status_code == 403
    assert not visitor.cookies
    sign_in(visitor, place.admin_secret)
    fields = form(visitor, place, name="theirs")
    assert visitor.post("/page/sources", data=fields, headers=headers).status_code == 403
    assert place.catalog.sources() == []
    assert visitor.post("/page/sources", data=fields).status_code == 303
    assert [source.name for source in place.catalog.sources()] == ["theirs"]


def test_a_form_of_another_session_changes_nothing(
    visitor: httpx.Client, place: Installation
) -> None:
    sign_in(visitor, place.admin_secret)
    old = form(visitor, place, name="till")
    sign_in(visitor, place.admin_secret)
    for fields in (old, {**old, "form_key": ""}, {"name": "till", "workspace": old["workspace"]}):
        assert visitor.post("/page/sources", data=fields).status_code == 403
    assert place.catalog.sources() == []


def test_a_reading_token_changes_nothing(visitor: httpx.Client, place: Installation) -> None:
    source = place.source("till")
    sign_in(visitor, place.read_secret)
    assert source.write_key not in visitor.get("/page/manage").text
    assert source.write_key not in visitor.get(f"/page/connect?source={source.id}").text
    for path, fields in (
        ("sources", {"name": "more"}),
        (f"sources/{source.id}/disable", {}),
        (f"sources/{source.id}/rotate-key", {}),
        (f"sources/{source.id}/rename", {"name": "mine"}),
        (f"sources/{source.id}/delete", {"name": "till"}),
        ("tokens", {"scope": "admin"}),
        (f"tokens/{place.admin_token.id}/revoke", {}),
        ("plan-limits", {"mtu": "1", "api_calls": ""}),
        ("plan-prices", {"metric": "mtu", "amount": ""}),
    ):
        key = re.search(r'name="form_key" value="([^"]+)"', visitor.get("/").text)
        assert key is not None
        data = {"form_key": key[1], "workspace": place.workspace.id, **fields}
        answer = visitor.post(f"/page/{path}", data=data)
        assert answer.status_code == 303
        assert "only reads" in visitor.get(answer.headers["location"]).text
    assert place.catalog.sources() == [source]
    assert place.catalog.dated_limits(place.workspace.number) == []
    assert len(place.catalog.tokens(place.workspace.number)) == 2


def test_a_source_is_renamed_and_deleted_under_its_name_alone(
    visitor: httpx.Client, place: Installation
) -> None:
    source = place.source("till")
    page = f"/page/source?source={source.id}"
    sign_in(visitor, place.read_secret)
    assert "Rename or delete" not in visitor.get(page).text
    sign_in(visitor, place.admin_secret)
    assert "Rename or delete" in visitor.get(page).text

    def change(how: str, name: str) -> str:
        fields = form(visitor, place, name=name)
        answer = visitor.post(f"/page/sources/{source.id}/{how}", data=fields)
        return visitor.get(answer.headers["location"]).text

    assert "is called Counter" in change("rename", "Counter")
    assert "Nothing was deleted" in change("delete", "till")
    [kept] = place.catalog.sources()
    assert (kept.id, kept.name, kept.deleted_at_ms) == (source.id, "Counter", None)
    assert "Counter is deleted" in change("delete", "Counter")
    [gone] = place.catalog.sources()
    assert gone.deleted_at_ms is not None
    assert "Rename or delete" not in visitor.get(page).text


def test_sessions_end(visitor: httpx.Client, place: Installation) -> None:
    sign_in(visitor, place.read_secret)
    assert visitor.get("/").status_code == 200
    place.catalog.revoke_token(place.workspace.number, place.read_token.id, place.clock())
    assert visitor.get("/page/fresh").status_code == 401
    assert visitor.get("/").headers["location"] == "/page/sign-in?ended=1"

    sign_in(visitor, place.admin_secret)
    place.clock.now_ms += MS_PER_DAY // 2
    assert visitor.get("/").status_code == 200
    place.clock.now_ms += MS_PER_DAY // 2 + 1
    assert visitor.get("/").headers["location"] == "/page/sign-in?ended=1"


def test_a_new_token_is_shown_once(visitor: httpx.Client, place: Installation) -> None:
    sign_in(visitor, place.admin_secret)
    fields = form(visitor, place, scope="read", expires="2030-01-01")
    shown = visitor.post("/page/tokens", data=fields).headers["location"]
    secret = re.search(r"hct_\w{20,}", visitor.get(shown).text)
    assert secret is not None
    assert place.catalog.token_by_secret(secret[0]) is not None
    assert secret[0] not in visitor.get(shown).text
    assert secret[0] not in shown


def test_snippets_hold_the_address_that_sdks_reach(
    visitor: httpx.Client, place: Installation
) -> None:
    source = place.source("till")
    sign_in(visitor, place.admin_secret)
    page = visitor.get(f"/page/connect?source={source.id}").text
    assert page.count(source.write_key) == 4
    assert TRACKING_URL in page


@pytest.mark.parametrize(
    ("query", "status"),
    [("period=soon", 422), ("period=2001-01-01", 404), ("period=2026-11-17", 200),
     ("sort=nonsense&order=sideways", 200), ("period=<script>alert(1)</script>", 422)],
)  # fmt: skip
def test_any_address_is_answered(
    visitor: httpx.Client, place: Installation, query: str, status: int
) -> None:
    place.use(place.source("<b>till</b>"), NOVEMBER, {3: {"api_calls": 7, "admitted": 7}})
    sign_in(visitor, place.read_secret)
    answer = visitor.get(f"/?{query}")
    assert answer.status_code == status
    assert "<script>alert" not in answer.text
    assert "<b>till" not in answer.text
    assert not any(name in answer.text for name in NAMES)


def test_a_store_that_cannot_be_read(
    visitor: httpx.Client, place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(visitor, place.read_secret)

    def broken(*_: object) -> None:
        raise OSError("disk on fire")

    monkeypatch.setattr(type(place.store), "read_usage", broken)
    answer = visitor.get("/")
    assert answer.status_code >= 500
    assert "disk on fire" not in answer.text
    assert "<h1>" in answer.text
    assert visitor.get("/page/fresh").json()["message"]


def test_files_may_be_kept(visitor: httpx.Client) -> None:
    page = visitor.get("/page/sign-in").text
    for path in re.findall(r'(?:href|src)="(/page/assets/[^"]+\?v=[^"]+)"', page):
        answer = visitor.get(path)
        assert "immutable" in answer.headers["cache-control"]
        tag = {"If-None-Match": answer.headers["etag"]}
        assert visitor.get(path, headers=tag).status_code == 304
    assert visitor.get("/page/assets/../app.py").status_code == 404


def test_tables_are_taken_along_by_who_is_signed_in_and_run_nothing(
    visitor: httpx.Client, place: Installation
) -> None:
    source = place.source('=HYPERLINK("https://evil.example")')
    place.use(source, NOVEMBER, {3: {"api_calls": 7, "admitted": 7, "identified": 2}})
    assert visitor.get("/page/csv/sources").status_code == 303
    sign_in(visitor, place.read_secret)
    answer = visitor.get("/page/csv/sources")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert ""","'=HYPERLINK(""https://evil.example"")",7,""" in answer.text
    days = visitor.get("/page/csv/days", params={"source": source.id}).text
    assert "2026-11-03,7,7,2,2" in days
    assert visitor.get("/page/csv/days", params={"source": "nobody"}).status_code == 404
    assert visitor.get("/page/csv/secrets").status_code == 404


def test_a_cluster_says_that_it_explains_nothing_and_why(
    visitor: httpx.Client, place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(visitor, place.read_secret)
    source = place.source("web")
    place.use(source, NOVEMBER, {3: {"api_calls": 7, "admitted": 7}})
    months = ("/", f"/page/source?source={source.id}")
    assert all("Why did it move?" in visitor.get(each).text for each in months)
    monkeypatch.setattr(type(place.store), "attribution", None)
    # No page leads where nothing is told.
    assert not any("explain" in visitor.get(each).text for each in months)
    answer = visitor.get("/page/explain")
    assert answer.status_code == 404
    assert "Not available in a cluster" in answer.text
    assert "which message first brought an id" in answer.text
