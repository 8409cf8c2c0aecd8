"""Who may ask, how often, in which media type; and that every refusal has the one envelope."""

import logging
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from headcount.api import ApiSettings
from headcount.api.wire.media import NAMES
from headcount.backlog import Backlog
from headcount.errors import StorageUnavailableError
from headcount.logs import TextFormatter
from headcount.troubles import Trouble
from support.installation import NOVEMBER, NOW_MS, Installation

MTU = "/usage/mtu/daily?period=2026-11-01"
OCTOBER = "/usage/api-calls/sources/daily?period=2026-10-01"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        yield installation


def refusal(answer: httpx.Response, status: int) -> dict:
    """The one error of a refusal, after checking what holds for all of them."""
    assert answer.status_code == status, answer.text
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"errors"}
    [error] = answer.json()["errors"]
    assert error["message"]
    return error


def test_a_token_is_needed_in_its_one_form(place: Installation) -> None:
    with place.served() as address, httpx.Client(base_url=address) as client:
        secret = place.read_secret
        assert client.get(MTU, headers={"Authorization": f"bearer {secret}"}).status_code == 200
        for value in ("", "Bearer", f"Basic {secret}", secret, f"Bearer {secret} x",
                      "Bearer wrong", "Bearer \xe9", f"Bearer {secret}x"):  # fmt: skip
            answer = client.get(MTU, headers={"Authorization": value.encode("latin-1")})
            assert refusal(answer, 401)["type"] == "unauthorized", value
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert "x-ratelimit-remaining" not in answer.headers
        refusal(client.get(MTU), 401)
        twice = [("Authorization", f"Bearer {secret}")] * 2
        refusal(client.get(MTU, headers=twice), 401)


def test_an_expired_or_revoked_token_is_refused_at_once(place: Installation) -> None:
    _, brief = place.token("read", NOW_MS + 1000)
    token, revoked = place.token("admin")
    with place.client(brief) as client:
        assert client.get(MTU).status_code == 200
        place.clock.now_ms += 1000
        assert "expired" in refusal(client.get(MTU), 401)["message"]
        headers = {"Authorization": f"Bearer {revoked}"}
        assert client.get(MTU, headers=headers).status_code == 200
        place.catalog.revoke_token(place.workspace.number, token.id, NOW_MS)
        assert "revoked" in refusal(client.get(MTU, headers=headers), 401)["message"]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_body_is_labelled_with_what_was_asked_for(place: Installation, name: str) -> None:
    with place.client() as client:
        plain, labelled = client.get(MTU), client.get(MTU, headers={"Accept": name})
        assert plain.headers["content-type"] == "application/json"
        assert labelled.headers["content-type"] == name
        assert labelled.content == plain.content
        missing = client.get("/usage/mtu/daily", headers={"Accept": name})
        assert missing.headers["content-type"] == name
        refusal(missing, 422)


def test_other_media_types_are_refused(place: Installation) -> None:
    with place.client() as client:
        answer = client.get(MTU, headers={"Accept": "text/html"})
        assert refusal(answer, 406)["field"] == "Accept"
        assert answer.headers["content-type"] == "application/json"
        # A browser's header, which ends in */*, is no reason for a refusal.
        browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        assert client.get(MTU, headers={"Accept": browser}).status_code == 200


def test_the_budget_is_told_and_kept_on_every_path(tmp_path: Path) -> None:
    settings = ApiSettings(requests_per_minute=3)
    with Installation(tmp_path, settings) as place, place.client() as client:
        for remaining, path, status in (
            (2, MTU, 200),
            (1, "/nothing", 404),
            (0, "/usage/mtu/daily", 422),
        ):
            answer = client.get(path)
            assert answer.status_code == status
            assert answer.headers["x-ratelimit-remaining"] == str(remaining)
            assert answer.headers["x-ratelimit-consumed"] == str(3 - remaining)
        reset = parsedate_to_datetime(answer.headers["x-ratelimit-reset"])
        assert reset.timestamp() == NOW_MS / 1000 + 60
        place.clock.now_ms += 500
        answer = client.get(MTU)
        assert refusal(answer, 429)["data"] == {
            "remainingPoints": 0,
            "msBeforeNext": 59_500,
            "consumedPoints": 4,
        }
        assert answer.headers["retry-after"] == "60"
        assert answer.headers["x-ratelimit-remaining"] == "0"
        # Another token has its own budget, and open paths have none.
        other = {"Authorization": f"Bearer {place.admin_secret}"}
        assert client.get(MTU, headers=other).status_code == 200
        assert client.get("/healthz").status_code == 200
        place.clock.now_ms += 59_500
        assert client.get(MTU).status_code == 200


def test_unknown_paths_and_methods(place: Installation) -> None:
    with place.client() as client:
        for path in ("/", "/usage", "/usage/mtu", "/usage/mtu/daily/more", "/v1/track", "/%00",
                     "/headcount/v1/nothing", "/openapi.json/x", "/schema"):  # fmt: skip
            assert refusal(client.get(path), 404)["type"] == "not-found"
        for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
            answer = client.request(method, MTU)
            assert refusal(answer, 405)["type"] == "method-not-allowed"
            assert {"GET", "HEAD"} <= set(answer.headers["allow"].split(", "))


def test_head_is_get_without_a_body(place: Installation) -> None:
    with place.client() as client:
        got, head = client.get(MTU), client.head(MTU)
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == str(len(got.content))
        assert client.head("/usage/mtu/daily").status_code == 422
        assert client.head("/nothing").status_code == 404
        # The connection is still in step.
        assert client.get(MTU).content == got.content


def test_a_past_period_answers_not_modified_until_it_changes(place: Installation) -> None:
    web = place.source("web")
    october = NOVEMBER.shifted(-1)
    place.use(web, october, {3: {"api_calls": 2}})
    with place.client() as client:
        first = client.get(OCTOBER)
        tag = first.headers["etag"]
        assert first.headers["last-modified"] == "Mon, 23 Nov 2026 10:00:00 GMT"
        assert "no-cache" in first.headers["cache-control"]
        for value in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = client.get(OCTOBER, headers={"If-None-Match": value})
            assert again.status_code == 304
            assert again.content == b""
            assert again.headers["etag"] == tag
            assert "x-request-id" in again.headers
            assert "x-ratelimit-remaining" in again.headers
        other_page = client.get(OCTOBER + "&pagination.count=1", headers={"If-None-Match": tag})
        other_label = client.get(OCTOBER, headers={"If-None-Match": tag, "Accept": NAMES[1]})
        assert (other_page.status_code, other_label.status_code) == (200, 200)
        place.use(web, october, {4: {"api_calls": 1}})
        changed = client.get(OCTOBER, headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag


def test_the_current_period_is_not_to_be_kept(place: Installation) -> None:
    with place.client() as client:
        answer = client.get(MTU)
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
        assert "last-modified" in answer.headers
        assert client.get(MTU, headers={"If-None-Match": "*"}).status_code == 200


def test_no_trace_leaves_the_server(
    place: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(workspace: int, period: object, **_: object) -> None:
        raise RuntimeError("the secret inside")

    def unavailable(workspace: int, period: object, **_: object) -> None:
        raise StorageUnavailableError("disk full at /somewhere")

    caplog.handler.setFormatter(TextFormatter("api"))
    with place.client() as client:
        monkeypatch.setattr(place.store, "read_usage", broken)
        with caplog.at_level(logging.ERROR):
            answer = client.get(MTU + "&more=private")
        assert refusal(answer, 500)["type"] == "internal"
        assert "secret" not in answer.text
        assert "RuntimeError" not in answer.text
        assert answer.headers["x-request-id"] in caplog.text
        assert "private" not in caplog.text
        monkeypatch.setattr(place.store, "read_usage", unavailable)
        answer = client.get(MTU)
        assert refusal(answer, 503)["type"] == "unavailable"
        assert answer.headers["retry-after"] == "1"
        assert "somewhere" not in answer.text
        monkeypatch.undo()
        # A failure before any route is reached is one like the others.
        monkeypatch.setattr(place.catalog, "token_by_secret", lambda _: 1 / 0)
        refusal(client.get(MTU), 500)


def test_a_catalog_that_cannot_be_read_is_a_503(place: Installation) -> None:
    with place.client() as client:
        place.catalog.close()
        assert refusal(client.get(MTU), 503)["type"] == "unavailable"


def test_health_readiness_and_metrics_need_no_token(place: Installation) -> None:
    with place.served() as address, httpx.Client(base_url=address) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ok"}  # nobody has said anything yet
        place.backlog = Backlog(NOW_MS - 10_000, 0, 0, None, None)
        assert client.get("/readyz").json() == {"status": "ok", "behind": None}
        place.backlog = Backlog(NOW_MS - 10_001, 0, 0, None, None)
        assert client.get("/readyz").json() == {"status": "ok", "meterSilentSeconds": 10.001}
        place.backlog = Backlog(NOW_MS, 1_000, 60_000, 10.0, 110.0)
        behind = client.get("/readyz").json()["behind"]
        assert behind.pop("message") == place.backlog.sentence
        assert behind == {"messages": 1_000, "seconds": 60.0, "caughtUpInSeconds": 10.0}
        place.backlog = Backlog(NOW_MS, 1_000, 60_000, 10.0, 0.0)
        assert client.get("/readyz").json()["behind"]["caughtUpInSeconds"] is None
        place.not_ready.append("The meter is not running.")
        assert refusal(client.get("/readyz"), 503)["message"] == "The meter is not running."
        place.troubles.append(Trouble("k", "It is full.", "Empty it.", NOW_MS, 3, hinders=True))
        said = refusal(client.get("/readyz"), 503)["message"]
        assert said == "The meter is not running. It is full. Empty it."
        place.not_ready.clear()
        assert refusal(client.get("/readyz"), 503)["message"] == "It is full. Empty it."
        place.troubles[0] = Trouble("k", "It is full.", "", NOW_MS, 3, hinders=False)
        noted = {"kind": "k", "since": "2026-11-23T10:00:00.000Z", "message": "It is full."}
        assert client.get("/readyz").json()["troubles"] == [noted]
        place.troubles[0] = Trouble("k", "It is full.", "", NOW_MS, 3, hinders=True)
        assert client.get("/healthz").status_code == 200
        client.get("/nothing-" + "x" * 50)
        text = client.get("/metrics").text
        assert "headcount_up 1\n" in text
        assert 'headcount_api_requests_total{route="/readyz",status="503"} 3.0' in text
        assert "nothing-" not in text


def test_browsers_are_told_to_take_answers_for_data_only(place: Installation) -> None:
    with place.client() as client:
        for path in (MTU, "/nothing", "/healthz"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert "access-control-allow-origin" not in headers
