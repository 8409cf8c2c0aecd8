"""Notices as people get them, in a real browser: the mail that a mail server took, wide and on a
phone, light and dark; and what Slack was posted, laid out as it lays it out."""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser.support import DESK, PHONE, window
from headcount.alerting.alert_notices import alert_body
from headcount.alerting.apprise_services import tell_service
from headcount.alerting.channels import email_config, service_config
from headcount.alerting.digest_pictures import Drawings
from headcount.alerting.mail import send_mail
from headcount.alerting.notice_page import notice_of
from headcount.charts.javascript import can_draw
from headcount.counting.alerts import AlertEvent, Crossing
from support.digest_place import DigestPlace
from support.mail_server import mail_server
from support.service_behind_proxy import service_behind_proxy

AT_MS = 1_795_000_000_000
REACHED = Crossing(
    rule="r", name="MTU", kind="count", metric="mtu", rule_number=1, source=0,
    period="2026-11-01", mark="80%", threshold="80%", value=9_650, target=9_600, limit=12_000,
)  # fmt: skip
FORECAST = Crossing(
    rule="f", name="MTU", kind="forecast", metric="mtu", rule_number=2, source=0,
    period="2026-11-01", mark="100%", threshold="100%", value=12_100, target=12_000, limit=12_000,
    low=12_100, likely=12_700, high=13_400,
)  # fmt: skip
SILENT = Crossing(
    rule="s", name="Web", kind="silent", metric="api_calls", rule_number=3, source=4,
    period="2026-11-01", mark="silent", day="2026-11-17", since_ms=AT_MS - 90_000_000,
)  # fmt: skip
SOURCE = "checkout-service-of-the-north-with-a-name-that-nobody-would-want-to-type <script>"


def alert(*crossings: Crossing) -> str:
    event = AlertEvent("evt_5f1c0a9be2d84376a1c05e7b", 1, AT_MS, (1,), crossings)
    return alert_body(event, ("w1", "Shop & <b>Lager</b>"), {4: ("s4", SOURCE)})


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What is told, by what it is called."""
    place = DigestPlace(tmp_path_factory.mktemp("digest"))
    place.channel("weekly")
    place.goes_on(9)
    [record] = place.catalog.deliveries(1)
    yield {
        "alert": alert(REACHED),
        "alerts": alert(REACHED, FORECAST, SILENT),
        "digest": record.body,
    }
    place.catalog.close()


def mailed(body: str) -> str:
    """The page of the mail that a mail server took, with its pictures where the page names them."""
    with mail_server() as server:
        config = email_config(["ops@example.com"], server.url, "headcount@example.com")
        answer = send_mail(config, "evt", notice_of(body, *Drawings().of(body)), AT_MS)
        assert answer.taken, answer
        [mail] = server.came
    return shown(mail)


def shown(mail: EmailMessage) -> str:
    page = mail.get_body(("html",))
    assert page is not None
    text = str(page.get_content())
    for part in mail.walk():
        if part.get_content_type() == "image/png":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            name = part["Content-ID"].strip("<>")
            text = text.replace(
                f"cid:{name}", f"data:image/png;base64,{b64encode(content).decode()}"
            )
    assert "cid:" not in text
    return text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("what", ["alert", "alerts", "digest"])
@pytest.mark.parametrize("room", ["wide", "phone"])
def test_a_mail_reads_well_wide_and_on_a_phone_light_and_dark(
    browser: Browser, bodies: dict[str, str], what: str, room: str, scheme: str
) -> None:
    if what == "digest" and not can_draw():
        pytest.skip("needs the extra plot")
    size = DESK if room == "wide" else PHONE
    with window(browser, "about:blank", viewport=size, color_scheme=scheme) as opened:
        opened.page.set_content(mailed(bodies[what]))
        opened.check(f"mail-{what}-{room}-{scheme}")
        assert not opened.cut_off()
        heading = opened.page.locator("h1").inner_text()
        assert "Shop" in heading
        assert opened.page.locator("script, b").count() == 0
        loaded = opened.page.evaluate("[...document.images].map(each => each.naturalWidth)")
        assert len(loaded) == (2 if what == "digest" else 0)
        assert all(width > 400 for width in loaded)


def test_what_slack_is_posted_reads_well(
    browser: Browser, bodies: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = service_config("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7/#usage")
    with service_behind_proxy("hooks.slack.com", tmp_path) as slack:
        for name, value in slack.environment.items():
            monkeypatch.setenv(name, value)
        for body in bodies.values():
            assert tell_service(config, notice_of(body)).taken
        posts = [json.loads(body)["attachments"][0] for _, body in slack.came]
    # Slack shows & < > as they are once they are written as entities, as a browser does.
    page = "".join(
        f'<article style="border-left:4px solid {post["color"]};padding:4px 12px;margin:16px;'
        'font:15px/1.46 Lato,system-ui,sans-serif;overflow-wrap:anywhere">'
        f'<h2 style="font-size:15px;margin:0">{post["title"]}</h2>'
        f'<p style="white-space:pre-wrap;margin:4px 0">{post["text"]}</p>'
        f"<footer>{html.escape(post['footer'])}</footer></article>"
        for post in posts
    )
    page = f'<!doctype html><html lang="en"><title>Slack</title><main><h1>Slack</h1>{page}</main>'
    with window(browser, "about:blank", viewport={"width": 760, "height": 800}) as opened:
        opened.page.set_content(page)
        opened.picture("notices-in-slack")
        text = opened.page.locator("main").inner_text()
        assert "Shop & <b>Lager</b> has reached 80% of the plan's 12,000 MTU" in text
        assert opened.page.locator("script, b").count() == 0
