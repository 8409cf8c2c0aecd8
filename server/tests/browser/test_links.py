"""A link made on the page: copied once, looked at without a token, kept fresh, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.support import window
from headcount.catalog import PlanLimits
from support.installation import NOVEMBER, Installation, day_of
from support.staged import page_of

OCTOBER, YEAR_BEFORE = NOVEMBER.shifted(-1), NOVEMBER.shifted(-12)
NARROW = {"width": 320, "height": 700}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        for name, calls in (("web", 120), ("app", 40)):
            source = installation.source(name)
            for period in (YEAR_BEFORE, OCTOBER, NOVEMBER):
                of_day = {"api_calls": calls, "admitted": calls, "identified": 9, "anonymous": 4}
                installation.use(source, period, dict.fromkeys(range(1, 24), of_day))
        yield installation


def test_a_view_is_shared_looked_at_and_taken_back(place: Installation, browser: Browser) -> None:
    with page_of(place) as home, window(browser, home) as owner:
        owner.sign_in(place.admin_secret)
        owner.go(f"/?period={OCTOBER}&against={YEAR_BEFORE}")
        owner.page.get_by_role("link", name="Share").click()
        # The form has the view that was being looked at.
        expect(owner.page.locator("#link-period")).to_have_value(str(OCTOBER))
        expect(owner.page.locator("#link-against")).to_have_value("11")
        owner.page.locator("#link-name").fill("Board")
        owner.page.get_by_label("Shows").select_option("all")
        owner.page.get_by_role("button", name="Make the link").click()
        address = owner.page.locator("#secret").inner_text()
        assert address.startswith(f"{home}/page/view/hcl_")
        [row] = owner.rows("table:has(caption:text('Every link'))")
        assert row[:2] == ["Board", "workspace and sources, October 2026, beside 11 months before"]
        assert row[4] == "never used"
        owner.check("links-managed")
        owner.page.reload()
        expect(owner.page.locator("#secret")).to_have_count(0)

        path = address.removeprefix(home)
        with window(browser, home, color_scheme="dark") as other:
            other.go(path)
            other.await_charts()
            assert other.value("total-api-calls") == 160 * 23
            expect(other.page.locator("#beside-label")).to_have_text(
                "October 2026 beside November 2025"
            )
            other.check("shared-dark")
            other.page.locator("#sources").get_by_role("link", name="app").click()
            assert other.value("total-api-calls") == 40 * 23
            other.await_charts()
            other.page.get_by_role("link", name="All sources").click()
            with other.page.expect_download() as download:
                other.page.get_by_role("link", name="CSV of the days").click()
            taken = download.value.path().read_text()
            assert taken.splitlines()[0].endswith("_2025_11")
            assert other.context.cookies() == []

            owner.page.reload()
            [row] = owner.rows("table:has(caption:text('Every link'))")
            assert row[4] == "23 Nov 2026, 10:00 UTC"
            owner.page.get_by_text("Revoke link Board").click()
            row_of_it = owner.page.locator("tr", has_text="Board")
            row_of_it.get_by_role("button", name="Revoke now").click()
            expect(owner.page.locator("#notice")).to_contain_text("shows nothing from now on")
            # What stands open elsewhere says so by itself.
            expect(other.page.locator("h1")).to_have_text("This link shows nothing")
            other.check("shared-over")
            other.complaints.clear()  # the 404 itself


def test_what_is_counted_comes_to_an_open_view_by_itself(
    place: Installation, browser: Browser
) -> None:
    _, secret = place.catalog.add_link(place.workspace.number, 0)
    web = place.catalog.sources(place.workspace.number)[0]
    with page_of(place) as home, window(browser, home, viewport=NARROW) as opened:
        opened.go(f"/page/view/{secret}")
        opened.await_charts()
        before = opened.value("total-api-calls")
        place.use(web, NOVEMBER, {23: {"api_calls": 5, "admitted": 5}})
        expect(opened.page.locator("#total-api-calls")).to_have_text(f"{before + 5:,}")
        opened.check("shared-narrow")
        assert opened.cut_off() == []
        # The month turns, and the view is of the one that runs.
        place.clock.now_ms += 10 * 86_400_000
        expect(opened.page.locator("h1")).to_have_text("December 2026")


def test_limits_are_set_from_a_day_and_taken_back_on_the_page(
    place: Installation, browser: Browser
) -> None:
    place.limit(PlanLimits(mtu=100))
    with page_of(place) as home, window(browser, home, viewport=NARROW) as opened:
        opened.sign_in(place.admin_secret)
        opened.go("/page/manage")
        opened.page.locator("#mtu").fill("250")
        opened.page.locator("#limits-from").fill("2026-11-01")
        opened.page.get_by_role("button", name="Set").click()
        rows = opened.rows("table:has(caption:text('Every limit'))")
        assert [row[:3] for row in rows] == [
            ["1 November 2026", "MTU", "250"], ["the beginning", "MTU", "100"]
        ]  # fmt: skip
        opened.check("limits-narrow")
        number = place.workspace.number
        assert place.catalog.plan_limits(number, day_of(OCTOBER, 31)) == {"mtu": 100}
        opened.page.get_by_text("Take back the limit of MTU from 2026-11-01").click()
        opened.page.get_by_role("button", name="Take back now").first.click()
        expect(opened.page.locator("#notice")).to_contain_text("taken back")
        assert place.catalog.plan_limits(number, day_of(NOVEMBER, 23)) == {"mtu": 100}


def test_prices_are_set_and_shown_in_money_on_the_page(
    place: Installation, browser: Browser
) -> None:
    place.limit(PlanLimits(api_calls=10))
    with page_of(place) as home, window(browser, home, viewport=NARROW) as opened:
        opened.sign_in(place.admin_secret)
        opened.go("/page/manage")
        opened.page.locator("#price-metric").select_option("apiCalls")
        opened.page.locator("#price-amount").fill("12.50")
        opened.page.locator("#price-currency").fill("usd")
        opened.page.locator("#price-step").fill("1,000")
        opened.page.locator("#price-from").fill("2026-11-01")
        opened.page.get_by_role("button", name="Add price").click()
        [row] = opened.rows("table:has(caption:text('Every price'))")
        assert row[:3] == ["1 November 2026", "API calls", "USD 12.50 for each 1,000"]
        opened.check("prices-narrow")
        assert opened.cut_off() == []
        opened.go("/")
        cost = opened.page.locator("#cost-api-calls")
        expect(cost).to_contain_text("USD 50.00 beyond the plan so far")
        opened.check("cost-narrow")
        assert opened.cut_off() == []
        opened.go("/page/manage")
        opened.page.get_by_text("Take back the price of API calls from 2026-11-01").click()
        opened.page.get_by_role("button", name="Take back now").last.click()
        expect(opened.page.locator("#notice")).to_contain_text("taken back")
        assert place.catalog.dated_prices(place.workspace.number) == []
