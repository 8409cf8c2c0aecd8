"""The page of one source: reached by its name, with its own days, outcomes and code to copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from browser.support import Window, window
from headcount.counting.alerts import QuotaReached
from headcount.counting.facts import Rejection
from headcount.store.protocol import Change
from support.installation import NOVEMBER, NOW_MS, Installation, day_of
from support.staged import page_of

OCTOBER = NOVEMBER.shifted(-1)
NARROW = {"width": 320, "height": 700}
BUSY_DAY, BUSY_CALLS = 13, 600


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        fill(installation)
        yield installation


def day(calls: int) -> dict[str, int]:
    return {"api_calls": calls, "admitted": calls, "identified": calls // 10}


def fill(place: Installation) -> None:
    """Two sources; one has a day of six times the usual, quiet weekends and refused messages."""
    web, till = place.source("Website"), place.source("Till & Söhne")
    # 7 November 2026 is a Saturday.
    november = {each: day(20 if (each - 7) % 7 < 2 else 100) for each in range(1, 24)}
    place.use(web, OCTOBER, dict.fromkeys(range(1, 32), day(90)))
    place.use(web, NOVEMBER, november | {BUSY_DAY: day(BUSY_CALLS)})
    place.use(till, NOVEMBER, {3: day(40)})
    refused = Rejection(place.workspace.number, web.number, day_of(NOVEMBER, 9), "invalid_id", 77)
    place.store.commit(Change(rejections=(refused,), counted_until_ms=NOW_MS))


def test_where_a_quota_was_reached_is_said_and_drawn(place: Installation, browser: Browser) -> None:
    web = next(each for each in place.catalog.sources() if each.name == "Website")
    reached = QuotaReached(
        place.workspace.number, NOVEMBER, web.number, "api_calls", 900, NOW_MS - 86_400_000,
        "refuse",
    )  # fmt: skip
    place.store.commit(Change(quotas_reached=[reached]))
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.admin_secret)
        outcomes = opened.page.locator("#outcomes")
        expect(outcomes).to_contain_text("Quota of 900 API calls reached by Website")
        opened.page.locator("#sources").get_by_role("link", name="Website").click()
        expect(outcomes).to_contain_text("Quota of 900 API calls reached")
        expect(outcomes).to_contain_text("past it are answered 429")
        opened.await_charts()
        opened.check("source-past-its-quota")


def heading(opened: Window, name: str) -> Locator:
    return opened.page.get_by_role("heading", name=name, exact=True, level=1)


def test_the_name_of_a_source_leads_to_its_page(place: Installation, browser: Browser) -> None:
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.admin_secret)
        opened.page.locator("#sources").get_by_role("link", name="Till & Söhne").click()
        expect(heading(opened, "Till & Söhne")).to_be_visible()
        assert opened.value("total-api-calls") == 40
        expect(opened.page.locator("#last-message")).to_have_text(
            "Last message on 3 November (UTC)"
        )
        opened.page.get_by_role("link", name="All sources").click()
        opened.page.locator("#standing-api-calls").get_by_role("link", name="Website").first.click()
        opened.await_charts()
        with place.client() as client:
            summary = client.get("/headcount/v1/summary").json()["data"]
        totals = {each["sourceName"]: each["totals"] for each in summary["sources"]}["Website"]
        for shown, name in (("total-api-calls", "apiCalls"), ("total-mtu", "mtu"),
                            ("identified", "identified"), ("accepted", "apiCalls")):  # fmt: skip
            assert opened.value(shown) == totals[name]
        assert opened.value("rejected") == 77
        expect(opened.page.locator("#outcomes")).to_contain_text("must be strings or integers")
        busy = next(row for row in opened.rows("main") if row[0].startswith(f"{BUSY_DAY} Nov"))
        assert (busy[0], busy[1]) == (f"{BUSY_DAY} November Fri", f"{BUSY_CALLS}")
        key = next(each for each in place.catalog.sources() if each.name == "Website").write_key
        expect(opened.page.locator(".snippets")).to_contain_text(key)
        # Its other months, too.
        opened.page.get_by_label("Month", exact=True).select_option(str(OCTOBER))
        opened.page.wait_for_url(f"**period={OCTOBER}*")
        expect(heading(opened, "Website")).to_be_visible()
        assert opened.value("total-api-calls") == 31 * 90


def test_the_page_of_a_source_stays_up_to_date(place: Installation, browser: Browser) -> None:
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.page.locator("#sources").get_by_role("link", name="Till & Söhne").click()
        opened.await_charts()
        till = next(each for each in place.catalog.sources() if each.name.startswith("Till"))
        place.clock.now_ms += 1_000
        place.use(till, NOVEMBER, {23: day(50)})
        expect(opened.page.locator("#total-api-calls")).to_have_attribute("data-value", "90")
        expect(opened.page.locator("#last-message")).to_contain_text("23 November")
        assert opened.page.url.startswith(f"{home}/page/source?")


def test_no_such_source(place: Installation, browser: Browser) -> None:
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.go("/page/source?source=nobody")
        expect(opened.page.get_by_role("heading")).to_have_text("There is no such source here")
        opened.complaints.clear()  # the 404 itself


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "narrow"])
def test_looks(place: Installation, browser: Browser, theme: str, size: str) -> None:
    options = {"viewport": NARROW, "device_scale_factor": 2} if size == "narrow" else {}
    with page_of(place) as home, window(browser, home, color_scheme=theme, **options) as opened:
        opened.sign_in(place.admin_secret)
        opened.await_charts()
        opened.check(f"sources-{size}-{theme}")
        assert opened.cut_off() == []
        opened.page.locator("#sources").get_by_role("link", name="Website").click()
        opened.await_charts()
        opened.check(f"source-{size}-{theme}")
        assert opened.cut_off() == []


def drawn_bars(opened: Window) -> int:
    """How many charts of new counts there are."""
    return opened.page.locator("[data-chart^=new-] canvas").count()


def test_new_counts_stand_beside_the_running_total(place: Installation, browser: Browser) -> None:
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.await_charts()
        expect(opened.page.locator("[data-chart=source-mtu] canvas")).to_be_visible()
        assert drawn_bars(opened) == 2


def test_a_link_leads_there_after_signing_in(place: Installation, browser: Browser) -> None:
    till = next(each for each in place.catalog.sources() if each.name.startswith("Till"))
    wanted = f"/page/source?workspace={place.workspace.id}&source={till.id}&period={NOVEMBER}"
    with page_of(place) as home, window(browser, home) as opened:
        opened.go(wanted)
        opened.page.get_by_label("API token").fill(place.read_secret)
        opened.page.locator("button.primary").click()
        expect(heading(opened, till.name)).to_be_visible()
        assert opened.page.url == home + wanted
        # A session that ends under an open page leads back to it, too.
        opened.page.context.clear_cookies()
        opened.page.get_by_role("link", name="Sign in again").click()
        opened.page.get_by_label("API token").fill(place.read_secret)
        opened.page.locator("button.primary").click()
        expect(heading(opened, till.name)).to_be_visible()
        assert opened.page.url == home + wanted
        opened.complaints.clear()  # the 401 itself
