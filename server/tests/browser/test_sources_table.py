"""Sixty sources: the table is whole, can be searched, and what no chart names can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from browser.support import Window, window
from headcount.counting.facts import Rejection
from headcount.store.protocol import Change
from support.installation import NOVEMBER, NOW_MS, Installation, day_of
from support.staged import page_of

SOURCES = 60
REFUSED = (3, 30)
NARROW = {"width": 320, "height": 700}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("sources")) as installation:
        fill(installation)
        yield installation


def fill(place: Installation) -> None:
    """Sources of one size, the last a little larger; two of them with refused messages."""
    rejections = []
    for each in range(SOURCES):
        source = place.source(f"Shop {each:02d}{' Nord' if each % 20 == 0 else ''}")
        calls = 1_000 + each
        place.use(
            source, NOVEMBER, {5: {"api_calls": calls, "admitted": calls, "identified": calls // 9}}
        )
        if each in REFUSED:
            messages = 9 if each == REFUSED[0] else 500
            number = place.workspace.number
            day = day_of(NOVEMBER, 9)
            rejections.append(Rejection(number, source.number, day, "no_user_anon_id", messages))
    place.store.commit(Change(rejections=tuple(rejections), counted_until_ms=NOW_MS))


@pytest.fixture
def home(place: Installation) -> Iterator[str]:
    with page_of(place) as address:
        yield address


def names(opened: Window) -> list[str]:
    return [row[0] for row in opened.rows("#sources")]


def test_sources_are_found_while_their_name_is_typed(
    place: Installation, browser: Browser, home: str
) -> None:
    with window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        count = opened.page.locator("#sources-count")
        expect(count).to_have_text("60 sources")
        foot = opened.page.locator("#sources-foot td").first
        expect(foot).to_have_text(opened.page.locator("#total-api-calls").inner_text())
        field = opened.page.get_by_label("Find a source")
        field.press_sequentially("nord 4")
        expect(count).to_have_text("1 of 60 sources")
        assert names(opened) == ["Shop 40 Nord"]
        expect(field).to_be_focused()
        # The link holds what is shown, and sorting keeps it.
        field.fill("nord")
        expect(count).to_have_text("3 of 60 sources")
        opened.page.locator("#sort-name").click()
        expect(opened.page.locator("th[aria-sort=ascending] #sort-name")).to_be_visible()
        opened.page.reload()
        assert names(opened) == ["Shop 00 Nord", "Shop 20 Nord", "Shop 40 Nord"]
        field.fill("<b>")
        expect(count).to_have_text("0 of 60 sources")


def test_sources_are_found_without_a_script(
    place: Installation, browser: Browser, home: str
) -> None:
    with window(browser, home, java_script_enabled=False) as opened:
        opened.sign_in(place.read_secret)
        opened.page.get_by_label("Find a source").fill("nord")
        opened.page.get_by_role("button", name="Find").click()
        expect(opened.page.locator("#sources-body tr")).to_have_count(3)


def test_what_others_are_can_be_seen(place: Installation, browser: Browser, home: str) -> None:
    with window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.await_charts()
        apart = opened.page.locator("#apart")
        expect(apart).to_contain_text("1 to 6 of 60 sources")
        seen = set(shown_in_chart(opened))
        assert "54 others" in seen
        opened.page.get_by_role("link", name="See the other 54").click()
        expect(apart).to_contain_text("7 to 12 of 60 sources")
        next_ones = set(shown_in_chart(opened))
        assert len(next_ones) == 6
        assert not next_ones & seen
        assert not any("other" in name for name in next_ones)
        for _ in range(8):
            opened.page.locator("#smaller").click()
            opened.page.wait_for_load_state()
        expect(apart).to_contain_text("55 to 60 of 60 sources")
        expect(opened.page.locator("#smaller")).to_have_count(0)
        opened.go("/?from=99999")
        expect(apart).to_contain_text("1 to 6 of 60 sources")


def shown_in_chart(opened: Window) -> list[str]:
    script = """() => JSON.parse(document.getElementById("charts").textContent)
        .charts["source-api-calls"].data.values.map(row => row.source)"""
    found: list[str] = opened.page.evaluate(script)
    return found


def test_rejections_that_deserve_it_stand_at_the_top(
    place: Installation, browser: Browser, home: str
) -> None:
    with window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        notices = opened.page.locator("#attention section")
        # Nine messages of a thousand are no trouble of anybody's; one in three is.
        expect(notices).to_have_count(1)
        expect(notices).to_contain_text("32.7 % of the messages of Shop 30 were rejected")
        expect(notices).to_contain_text("500 of 1,530")
        expect(notices).to_contain_text('needs a "userId" or an "anonymousId"')
        notices.get_by_role("link", name="Shop 30").click()
        expect(opened.page.locator("#attention section")).to_have_count(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut_on_a_narrow_phone(
    place: Installation, browser: Browser, home: str, theme: str
) -> None:
    with window(
        browser, home, viewport=NARROW, color_scheme=theme, device_scale_factor=2
    ) as opened:
        opened.sign_in(place.read_secret)
        opened.await_charts()
        opened.check(f"sixty-sources-narrow-{theme}")
        assert opened.cut_off() == []


def test_paper_has_the_name_of_the_workspace_and_no_controls(
    place: Installation, browser: Browser, home: str
) -> None:
    with window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.await_charts()
        opened.check("sixty-sources-desk")
        opened.page.emulate_media(media="print")
        expect(opened.page.locator("p.printed")).to_have_text("Usage of Acme")
        expect(opened.page.get_by_role("heading", level=1)).to_have_text("November 2026")
        for control in ("#period", "#find", "#banner", "header"):
            expect(opened.page.locator(control)).to_be_hidden()
        opened.picture("sixty-sources-print")
        paper = opened.page.pdf(format="A4")
        assert paper.startswith(b"%PDF")


def test_what_is_shown_can_be_taken_along(place: Installation, browser: Browser, home: str) -> None:
    with window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.await_charts()
        field = opened.page.get_by_label("Find a source")
        field.fill("nord")
        expect(opened.page.locator("#sources-body tr")).to_have_count(3)
        name, text = taken(opened, opened.page.get_by_role("link", name="CSV of the sources"))
        assert name == "headcount-2026-11-sources.csv"
        lines = text.decode().splitlines()
        assert lines[0] == "source_id,source_name,api_calls,api_calls_change,mtu,mtu_change"
        cells = [line.split(",")[1:] for line in lines[1:]]
        assert cells == [
            ["Shop 40 Nord", "1040", "", "115", ""],
            ["Shop 20 Nord", "1020", "", "113", ""],
            ["Shop 00 Nord", "1000", "", "111", ""],
        ]
        _, text = taken(opened, opened.page.get_by_role("link", name="CSV of the days"))
        assert "2026-11-05,61770,61770,6837,6837" in text.decode().splitlines()
        _, text = taken(opened, opened.page.get_by_role("link", name="CSV of the outcomes"))
        assert text.decode().splitlines()[1] == "Shop 30,1030,0,500,no_user_anon_id 500"
        name, text = taken(opened, opened.page.get_by_role("button", name="SVG of API calls, run"))
        assert name == "headcount-2026-11-api-calls.svg"
        assert text.startswith(b"<svg")
        assert b"Acme, November 2026" in text
        _, text = taken(opened, opened.page.get_by_role("button", name="PNG of MTU by day"))
        assert text.startswith(b"\x89PNG")


def taken(opened: Window, control: Locator) -> tuple[str, bytes]:
    """The name and the bytes of the file that a click gives."""
    with opened.page.expect_download() as given:
        control.click()
    return given.value.suggested_filename, Path(given.value.path()).read_bytes()
