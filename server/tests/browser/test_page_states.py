"""The page where things are not as usual: quiet months, odd clocks, lost servers, second tabs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from browser.support import PHONE, Window, window
from headcount.catalog import PlanLimits
from headcount.troubles import Trouble
from support.installation import NOVEMBER, NOW_MS, Installation
from support.staged import page_of

OCTOBER, SEPTEMBER = NOVEMBER.shifted(-1), NOVEMBER.shifted(-2)
HOUR_MS = 3_600_000
MARKUP = "<b onclick=alert(1)>&quot;{{ 7 * 7 }}</b> ‮gnirts"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        yield installation


def steady(calls: int, days: int = 23) -> dict[int, dict[str, int]]:
    """The same usage on every day of a month."""
    new = {"api_calls": calls, "admitted": calls, "identified": calls // 10}
    return dict.fromkeys(range(1, days + 1), new)


def summary(place: Installation, query: str = "") -> Any:
    with place.client() as client:
        return client.get(f"/headcount/v1/summary{query}").json()["data"]


def test_months_without_data(place: Installation, browser: Browser) -> None:
    place.use(place.source("web"), SEPTEMBER, steady(40, 30))
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        quiet = opened.page.locator("#quiet-month")
        expect(quiet).to_contain_text("No API calls in November 2026")
        assert (opened.value("total-mtu"), opened.value("total-api-calls")) == (0, 0)
        expect(opened.page.locator("main")).not_to_contain_text("stimate")
        opened.check("quiet-month")
        opened.go(f"/?period={OCTOBER}")
        expect(quiet).to_contain_text("Choose another one above")
        # Against September, all of it is gone.
        expect(opened.page.locator("#standing-api-calls")).to_contain_text("\N{MINUS SIGN}100 %")
        opened.page.get_by_label("Month", exact=True).select_option(str(SEPTEMBER))
        opened.page.wait_for_url(f"**period={SEPTEMBER}*")
        assert opened.value("total-api-calls") == 40 * 30
        expect(quiet).to_have_count(0)
        opened.await_charts()
        opened.go("/?period=soon")
        expect(opened.page.get_by_role("heading")).to_contain_text("no such month")
        opened.check("no-such-month")
        opened.complaints.clear()  # the 422 itself


@pytest.mark.parametrize("used", [False, True])
def test_a_reading_token_before_there_is_anything(
    place: Installation, browser: Browser, used: bool
) -> None:
    if used:
        place.source("web")
    with page_of(place) as home, window(browser, home, viewport=PHONE) as opened:
        opened.sign_in(place.read_secret)
        title = "No messages yet" if used else "No source yet"
        expect(opened.page.get_by_role("heading", name=title)).to_be_visible()
        expect(opened.page.locator(".notice")).to_contain_text("Your token only reads")
        opened.check(f"reader-{'no-traffic' if used else 'no-source'}-phone")


def test_a_source_of_markup_is_text_wherever_it_stands(
    place: Installation, browser: Browser
) -> None:
    place.use(place.source(MARKUP), NOVEMBER, steady(40))
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.admin_secret)
        opened.await_charts()
        assert opened.rows("#sources")[0][0] == MARKUP
        expect(opened.page.locator("#standing-mtu")).to_contain_text(MARKUP)
        chart = opened.page.locator("[data-chart=source-api-calls] canvas")
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        assert box is not None
        opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.62)
        expect(opened.page.locator("#tip")).to_contain_text(MARKUP)
        assert opened.page.locator("b[onclick]").count() == 0
        opened.go("/page/manage")
        opened.page.get_by_role("link", name="Connect").click()
        assert MARKUP in opened.page.locator("h1").inner_text()
        assert opened.page.locator("b[onclick]").count() == 0


def test_where_the_month_will_end_and_what_drives_it(place: Installation, browser: Browser) -> None:
    place.use(place.source("web"), OCTOBER, steady(70, 31))
    place.use(place.source("app"), NOVEMBER, steady(100))
    place.limit(PlanLimits(mtu=1_000, api_calls=2_500))
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        card = opened.page.locator("#standing-api-calls")
        for words in (
            "+42.9 % against 1,610 at the end of 23 October",
            "92.0 % of the plan's 2,500",
            "Estimate for 30 Nov about ",
            "Limit of 2,500 about 26 Nov (25 Nov to 26 Nov)",
            "Largest source app 2,300 (100 %)",
            "Moved most app +2,300",
            "Estimates, with the range for four cases of five",
        ):
            expect(card).to_contain_text(re.compile(re.escape(words).replace("\\ ", r"\s*")))
        expect(card.get_by_role("meter")).to_have_attribute("aria-valuetext", "92.0 %")
        expect(opened.page.locator("#standing-mtu")).to_contain_text("not this month")


def test_pointing_at_a_day_tells_its_figures(place: Installation, browser: Browser) -> None:
    place.use(place.source("web"), OCTOBER, steady(30, 31))
    place.use(place.source("app"), NOVEMBER, steady(40))
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.await_charts()
        chart = opened.page.locator("[data-chart=api-calls] canvas")
        box = chart.bounding_box()
        assert box is not None
        opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tip = opened.page.locator("#tip")
        expect(tip).to_contain_text("November 2026")
        day = int(tip.locator("dd").first.inner_text())
        told = ["Day", str(day), "November 2026", f"{40 * day:,}", "October 2026", f"{30 * day:,}"]
        assert tip.inner_text().split("\n") == told
        opened.page.mouse.move(2, 2)
        expect(tip).to_have_count(0)


def test_figures_stand_before_the_charts_and_without_them(
    place: Installation, browser: Browser
) -> None:
    place.use(place.source("web"), NOVEMBER, steady(40))
    held: list[Route] = []
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.page.route("**/vega.js", lambda route: held.append(route))
        with opened.page.expect_request("**/vega.js"):
            opened.page.goto(home, wait_until="commit")  # its load waits for the library's
        chart = opened.page.locator("[data-chart=mtu]")
        expect(chart).to_have_text("Drawing…")
        assert opened.value("total-api-calls") == 40 * 23
        for route in held:
            route.abort()
        expect(chart).to_contain_text("its figures stand in the tables")
        opened.check("charts-that-could-not-be-drawn")
        opened.complaints.clear()  # about what was kept from it


@pytest.mark.parametrize("off_hours", [-1, 1])
def test_a_browser_s_clock_an_hour_off_changes_nothing(
    place: Installation, browser: Browser, off_hours: int
) -> None:
    place.use(place.source("web"), NOVEMBER, steady(40))
    with page_of(place) as home, window(browser, home) as opened:
        opened.page.clock.set_fixed_time(NOW_MS + off_hours * HOUR_MS)
        opened.sign_in(place.read_secret)
        opened.await_charts()
        expect(opened.page.locator("#fresh")).to_have_text("Counted up to 10:00:00 UTC ")
        expect(opened.page.locator("#fresh.live")).to_be_visible()
        expect(opened.page.get_by_role("alert")).to_have_count(0)


def test_a_server_s_clock_an_hour_off(place: Installation, browser: Browser) -> None:
    place.use(place.source("web"), NOVEMBER, steady(40))
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        place.clock.now_ms = NOW_MS + HOUR_MS
        expect(opened.page.locator("#fresh-lag")).to_have_text("60 min behind")
        place.clock.now_ms = NOW_MS - HOUR_MS
        expect(opened.page.locator("#fresh-lag")).to_have_text("")
        opened.page.reload()
        assert opened.value("total-api-calls") == 40 * 23


def test_a_server_that_is_gone_and_comes_back(place: Installation, browser: Browser) -> None:
    place.use(place.source("web"), NOVEMBER, steady(40))
    with ExitStack() as stack:
        serving = ExitStack()
        home = serving.enter_context(page_of(place))
        stack.callback(serving.close)
        opened = stack.enter_context(window(browser, home))
        opened.sign_in(place.read_secret)
        opened.await_charts()
        serving.close()
        expect(opened.page.get_by_role("alert")).to_contain_text("cannot be reached")
        assert opened.value("total-api-calls") == 40 * 23
        # Sessions live in the server's memory, so its successor asks to sign in again.
        stack.enter_context(page_of(place, int(home.rpartition(":")[2])))
        expect(opened.page.get_by_role("alert")).to_contain_text("session is over")
        opened.page.get_by_role("link", name="Sign in again").click()
        expect(opened.page.get_by_role("alert")).to_contain_text("Your session is over")
        opened.sign_in(place.read_secret)
        assert opened.value("total-api-calls") == 40 * 23
        opened.complaints.clear()  # of the browser, about connections refused


def test_a_server_that_cannot_read_its_store(
    place: Installation, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.use(place.source("web"), NOVEMBER, steady(40))
    read = type(place.store).read_usage

    def broken(*_: object) -> None:
        raise OSError("disk on fire")

    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        monkeypatch.setattr(type(place.store), "read_usage", broken)
        expect(opened.page.get_by_role("alert")).to_contain_text("cannot read usage now")
        monkeypatch.setattr(type(place.store), "read_usage", read)
        expect(opened.page.get_by_role("alert")).to_have_count(0)
        opened.complaints.clear()  # the answers 500


def test_a_second_tab(place: Installation, browser: Browser) -> None:
    source = place.source("web")
    place.use(source, NOVEMBER, steady(40))
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.admin_secret)
        second = second_tab(opened)
        second.go("/")
        place.clock.now_ms += 1_000
        place.use(source, NOVEMBER, {23: {"api_calls": 5, "admitted": 5}})
        for tab in (opened, second):
            total = tab.page.locator("#total-api-calls")
            expect(total).to_have_attribute("data-value", str(40 * 23 + 5))
        # Signing in anew gives the session another key, which the first tab's forms do not have.
        opened.go("/page/manage")
        second.sign_in(place.admin_secret)
        opened.page.get_by_label("New source").fill("till")
        opened.page.get_by_role("button", name="Add", exact=True).click()
        expect(opened.page.get_by_role("heading", name="Nothing was changed")).to_be_visible()
        assert [each.name for each in place.catalog.sources()] == ["web"]
        opened.go("/")
        second.page.get_by_role("button", name="Sign out").click()
        expect(opened.page.get_by_role("alert")).to_contain_text("session is over")
        assert opened.value("total-api-calls") == 40 * 23 + 5
        opened.complaints.clear()  # the answers 403 and 401


def second_tab(opened: Window) -> Window:
    """Another tab of the same browser."""
    return Window(opened.home, opened.context.new_page(), opened.context)


def test_figures_of_any_size_are_the_api_s(place: Installation, browser: Browser) -> None:
    place.use(place.source("web"), OCTOBER, steady(7, 31))
    place.use(place.source("app"), NOVEMBER, steady(10**12))
    with page_of(place) as home, window(browser, home, viewport=PHONE) as opened:
        opened.sign_in(place.read_secret)
        opened.await_charts()
        totals = summary(place)["month"]["totals"]
        assert opened.value("total-api-calls") == totals["apiCalls"] == 23 * 10**12
        assert opened.value("total-mtu") == totals["mtu"]
        for shown, name in (
            ("identified", "identified"),
            ("never-identified", "neverIdentified"),
            ("anonymous", "anonymous"),
            ("anonymous-identified", "anonymousIdentified"),
        ):
            assert opened.value(shown) == totals[name]
        for figure in opened.page.locator(".figure").all():
            lines = "shown => shown.offsetHeight / parseFloat(getComputedStyle(shown).lineHeight)"
            assert round(figure.evaluate(lines)) == 1, "a figure is broken over lines"
        opened.check("usage-trillions-phone")


def test_what_hinders_the_server_stands_on_an_open_page(
    place: Installation, browser: Browser
) -> None:
    place.use(place.source("web"), NOVEMBER, steady(40))
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        told = opened.page.locator("#hindrances")
        expect(told).to_be_empty()
        # Nothing is counted anew, so only what hinders changes the page.
        place.not_ready.append("The disk is full, and messages are refused. Free space.")
        expect(told).to_contain_text("The disk is full, and messages are refused.")
        assert opened.value("total-api-calls") == 40 * 23
        opened.check("hindered")
        place.not_ready.clear()
        noted = Trouble("aside", f"3 messages wait {MARKUP}.", "Look.", NOW_MS, 1, hinders=False)
        place.troubles.append(noted)
        expect(told).to_contain_text(f"3 messages wait {MARKUP}. Look.")
        place.troubles.clear()
        expect(told).to_be_empty()
