"""The page of alerts: rules, channels and the log, as somebody with and without an admin token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.support import window
from headcount.alerting.alert_notices import alert_body
from headcount.alerting.channels import WebhookConfig, fresh_secret, sealed
from headcount.catalog import NO_CHANNEL, Attempt, NewDelivery
from headcount.catalog.entities import fresh_id
from headcount.counting.alerts import AlertEvent, Crossing
from support.installation import NOW_MS, Installation
from support.staged import page_of


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        fill(installation)
        yield installation


def fill(place: Installation) -> None:
    """A channel that was told something at the second try, and one that is gone."""
    catalog, number = place.catalog, place.workspace.number
    web = place.source("Website")
    channels = []
    for name in ("ops", "Lager & Versand"):
        channel_id = fresh_id()
        config = WebhookConfig("https://hooks.example.com/x", fresh_secret())
        channels.append(
            catalog.add_channel(
                number, channel_id=channel_id, name=name, kind="webhook",
                shown="https://hooks.example.com/…", sealed=sealed(b"", channel_id, config),
                digest="none", now_ms=NOW_MS,
            )
        )  # fmt: skip
    catalog.change_channel(channels[1].number, NOW_MS, state="gone", said="it answers 410")
    catalog.add_alert_rule(
        number, source=web.number, name="Website is silent", kind="silent", metric="api_calls",
        thresholds=(), quiet_hours=6, channels=[], now_ms=NOW_MS,
    )  # fmt: skip
    reached = Crossing(
        rule="r", name="MTU", kind="count", metric="mtu", rule_number=1, source=0,
        period="2026-11-01", mark="80%", threshold="80%", value=9_650, target=9_600, limit=12_000,
    )  # fmt: skip
    event = AlertEvent("evt_1", number, NOW_MS, (channels[0].number,), (reached,))
    body = alert_body(event, (place.workspace.id, "Shop"), {})
    told = catalog.add_delivery(
        NewDelivery(number, channels[0].number, "evt_1", "alert", body), NOW_MS
    )
    other = AlertEvent("evt_0", number, NOW_MS, (), (reached,))
    untold = alert_body(other, (place.workspace.id, "Shop"), {})
    catalog.add_delivery(NewDelivery(number, NO_CHANNEL, "evt_0", "alert", untold), NOW_MS)
    for status, state in ((503, "waiting"), (204, "delivered")):
        attempt = Attempt(NOW_MS, status, f"it answers {status}", 80)
        catalog.note_attempt(told.id, attempt, state=state, next_at_ms=NOW_MS)  # type: ignore[arg-type]


def test_rules_are_added_changed_and_removed(place: Installation, browser: Browser) -> None:
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.admin_secret)
        page = opened.page
        page.get_by_role("link", name="Alerts", exact=True).click()
        page.get_by_label("Tell when").select_option("forecast:mtu")
        page.get_by_label("Reaches", exact=True).first.fill("80%, 100 %; 12000")
        page.get_by_role("button", name="Add rule").click()
        expect(page.locator("#notice")).to_contain_text("was added")
        row = page.locator("tr", has_text="at the month's end").last
        expect(row).to_contain_text("12000, 80%, 100%")
        opened.check("alerts")
        row.get_by_text("Change", exact=False).first.click()
        row.get_by_label("Reaches").fill("120%")
        row.get_by_role("button", name="Set").click()
        expect(page.locator("#notice")).to_contain_text("told at 120%")
        [changed] = [each for each in place.catalog.alert_rules() if each.kind == "forecast"]
        assert changed.thresholds == ("120%",)
        page.get_by_label("Reaches", exact=True).first.fill("nonsense")
        page.get_by_role("button", name="Add rule").click()
        expect(page.locator("#notice.failed")).to_contain_text("no threshold")
        row = page.locator("tr", has_text="at the month's end").last
        row.locator("summary", has_text="Remove").click()
        row.get_by_role("button", name="Remove now").click()
        expect(page.locator("#notice")).to_contain_text("is removed")
        assert [each.kind for each in place.catalog.alert_rules()] == ["silent"]


def test_hours_of_silence_are_changed_and_no_other_is_taken_for_them(
    place: Installation, browser: Browser
) -> None:
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.admin_secret)
        opened.go("/page/alerts")
        page = opened.page
        row = page.locator("tr", has_text="Website is silent")
        for typed, said in (("12", "after 12 hours of silence"), ("1.5", ""), ("400", "")):
            row.locator("summary", has_text="Change").click()
            row.get_by_label("Hours of silence").fill(typed)
            row.get_by_role("button", name="Set").click()
            shown = page.locator("#notice" if said else "#notice.failed")
            expect(shown).to_contain_text(said or "from 1 to 336")
        # What is no number is not a day instead.
        page.get_by_label("Tell when").select_option("silent:apiCalls")
        page.get_by_label("Hours of silence").first.fill("two")
        page.get_by_role("button", name="Add rule").click()
        expect(page.locator("#notice.failed")).to_contain_text("from 1 to 336")
        [rule] = place.catalog.alert_rules()
        assert rule.quiet_hours == 12


def test_the_log_shows_every_try_and_tells_again(place: Installation, browser: Browser) -> None:
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.admin_secret)
        opened.go("/page/alerts")
        log = opened.page.locator("section", has=opened.page.locator("#log-label"))
        expect(log).to_contain_text("80% of the plan's 12,000 MTU")
        log.get_by_text("2 tries").click()
        expect(log).to_contain_text("it answers 503")
        nobody = log.locator("tr", has_text="no channel")
        expect(nobody).to_contain_text("nobody was told: there was no channel")
        opened.check("alerts-log")
        log.locator("tr", has_text="it answers 503").get_by_role("button", name="Resend").click()
        expect(opened.page.locator("#notice")).to_contain_text("told to ops")
        told = place.catalog.deliveries(place.workspace.number)[-1]
        assert (told.state, told.event) == ("waiting", "evt_1")
        expect(opened.page.locator("main")).to_contain_text("gone")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("alerts-phone", {"viewport": {"width": 390, "height": 844}}),
        ("alerts-narrow", {"viewport": {"width": 320, "height": 700}}),
        ("alerts-dark", {"color_scheme": "dark"}),
    ],
)
def test_it_is_looked_at_on_a_phone_and_in_the_dark(
    place: Installation, browser: Browser, name: str, options: dict[str, object]
) -> None:
    with page_of(place) as home, window(browser, home, **options) as opened:
        opened.sign_in(place.admin_secret)
        opened.go("/page/alerts")
        opened.check(name)


def test_who_only_reads_sees_all_and_changes_nothing(place: Installation, browser: Browser) -> None:
    _, secret = place.token("read")
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(secret)
        opened.go("/page/alerts")
        expect(opened.page.locator("main")).to_contain_text("Website is silent")
        expect(opened.page.get_by_role("button", name="Add rule")).to_have_count(0)
        expect(opened.page.get_by_role("button", name="Resend")).to_have_count(0)
