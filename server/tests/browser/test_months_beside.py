"""A month beside any other, and beside the plan of its own time: on the page and taken along."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, expect

from browser.support import Window, window
from headcount.catalog import PlanLimits
from support.installation import NOVEMBER, Installation, day_of
from support.staged import page_of

YEAR_BEFORE, OCTOBER = NOVEMBER.shifted(-12), NOVEMBER.shifted(-1)
NARROW = {"width": 320, "height": 700}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        for name, times in (("web", 3), ("app", 1)):
            source = installation.source(name)
            for months, calls in ((-12, 100), (-1, 180), (0, 200)):
                period = NOVEMBER.shifted(months)
                of_day = {"api_calls": calls * times, "admitted": calls * times}
                of_day |= {"identified": calls // 10 * times, "anonymous": calls // 5 * times}
                days = range(1, (period.length if months else 23) + 1)
                installation.use(source, period, dict.fromkeys(days, of_day))
        yield installation


def saved(opened: Window, button: str, chart: str) -> Download:
    line = opened.page.locator(f"[data-chart={chart}] + .take")
    with opened.page.expect_download() as download:
        line.get_by_role("button", name=button).click()
    return download.value


def lines(opened: Window, name: str) -> tuple[str, list[dict[str, str]]]:
    """A table taken along: its file's name, and its lines by column."""
    with opened.page.expect_download() as download:
        opened.page.get_by_role("link", name=name).click()
    with download.value.path().open(newline="") as file:
        return download.value.suggested_filename, list(csv.DictReader(file))


def test_a_month_stands_beside_the_same_one_a_year_ago(
    place: Installation, browser: Browser, tmp_path: Path
) -> None:
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        heading = opened.page.locator("#beside-label")
        expect(heading).to_have_text("November 2026 beside October 2026")
        choice = opened.page.locator("select[name=against]")
        assert choice.locator("option").all_inner_texts()[:3] == [
            "beside the month before", "beside the year before", "beside October 2026"
        ]  # fmt: skip
        choice.select_option(str(YEAR_BEFORE))
        opened.page.wait_for_url(f"**against={YEAR_BEFORE}*")
        expect(heading).to_have_text("November 2026 beside November 2025")
        opened.await_charts()
        card = opened.page.locator("#standing-api-calls")
        expect(card).to_contain_text("+100 % against 9,200 at the end of 23 November 2025")
        assert opened.rows(".beside")[0] == ["API calls", "18,400", "9,200", "+9,200", "▲ +100 %"]
        assert opened.rows("#sources")[0][2] == "▲ +100 %"
        canvas = opened.page.locator("[data-chart=api-calls] canvas")
        box = canvas.bounding_box()
        assert box is not None
        opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tip = opened.page.locator("#tip")
        expect(tip).to_contain_text("November 2025")
        day = int(tip.locator("dd").first.inner_text())
        assert tip.inner_text().split("\n")[2:] == [
            "November 2026", f"{800 * day:,}", "November 2025", f"{400 * day:,}"
        ]  # fmt: skip
        opened.page.mouse.move(2, 2)
        expect(tip).to_have_count(0)
        opened.check("beside-a-year-before")
        # The choice is kept on the way to a source and to another month, and drops out there
        # where the month would stand beside itself.
        opened.page.locator("#sources").get_by_role("link", name="web").click()
        expect(heading).to_have_text("November 2026 beside November 2025")
        assert opened.rows(".beside")[0] == ["API calls", "13,800", "6,900", "+6,900", "▲ +100 %"]
        opened.page.get_by_label("Month", exact=True).select_option(str(OCTOBER))
        expect(heading).to_have_text("October 2026 beside November 2025")
        expect(opened.page.locator("#standing-mtu")).to_contain_text("against 2,700 in November")
        opened.page.get_by_label("Month", exact=True).select_option(str(YEAR_BEFORE))
        opened.page.wait_for_url(f"**period={YEAR_BEFORE}*")
        expect(opened.page.locator("main")).to_contain_text("nothing to compare with")


def test_what_stands_beside_can_be_taken_along(place: Installation, browser: Browser) -> None:
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.go(f"/?against={YEAR_BEFORE}")
        opened.await_charts()
        picture = saved(opened, "SVG", "mtu")
        assert picture.suggested_filename == "headcount-2026-11-beside-2025-11-mtu.svg"
        drawn = picture.path().read_text("utf-8")
        for words in ("November 2026", "November 2025", "beside November 2025"):
            assert words in drawn
        assert saved(opened, "PNG", "mtu").path().read_bytes().startswith(b"\x89PNG")

        name, found = lines(opened, "CSV of both months")
        assert name == "headcount-2026-11-beside-2025-11-beside.csv"
        assert found[0] == {
            "metric": "api_calls", "month": "2026-11", "up_to": "2026-11-23", "count": "18400",
            "other_month": "2025-11", "other_up_to": "2025-11-23", "other_count": "9200",
            "difference": "9200",
        }  # fmt: skip
        name, found = lines(opened, "CSV of the days")
        assert name == "headcount-2026-11-beside-2025-11-days.csv"
        by_day = {each["day"] or each["other_day"]: each for each in found}
        assert len(by_day) == 30
        third = by_day["2026-11-03"]
        assert (third["other_day"], third["api_calls"], third["api_calls_2025_11"]) == (
            "2025-11-03", "2400", "1200"
        )  # fmt: skip
        assert (third["new_mtu"], third["new_mtu_2025_11"]) == ("240", "120")
        last = by_day["2025-11-30"]
        assert (last["day"], last["api_calls"], last["api_calls_2025_11"]) == ("", "", "12000")
        name, found = lines(opened, "CSV of the sources")
        assert name == "headcount-2026-11-beside-2025-11-sources.csv"
        assert found[0]["source_name"] == "web"
        assert [found[0][f"api_calls{end}"] for end in ("", "_2025_11", "_change")] == [
            "13800", "6900", "6900"
        ]  # fmt: skip


def test_one_that_is_over_stands_beside_the_one_that_runs(
    place: Installation, browser: Browser
) -> None:
    with page_of(place) as home, window(browser, home, viewport=NARROW) as opened:
        opened.sign_in(place.read_secret)
        opened.go(f"/?period={OCTOBER}&against={NOVEMBER}")
        card = opened.page.locator("#standing-api-calls")
        # What is compared are the days that both have; the figure is the whole month's.
        assert opened.value("total-api-calls") == 720 * 31
        expect(card).to_contain_text(
            "against 18,400 at the end of 23 November; 16,560 at the end of 23 October"
        )
        assert opened.rows(".beside")[0][1:3] == ["16,560", "18,400"]
        opened.await_charts()
        opened.check("beside-narrow")
        assert opened.cut_off() == []
        assert opened.cut_short() == []
        assert opened.page.locator(".scroll .days tbody tr").count() == 31


def test_a_month_is_over_the_limit_of_its_own_time(place: Installation, browser: Browser) -> None:
    place.limit(PlanLimits(mtu=2_000, api_calls=20_000))
    place.limit(PlanLimits(mtu=20_942), from_day=day_of(NOVEMBER, 23))
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        expect(opened.page.locator("#standing-mtu")).to_contain_text("% of the plan's 20,942")
        expect(opened.page.locator("#over-mtu")).to_have_count(0)
        year = opened.rows(".months")
        assert year[0][0] == "November 2026"
        assert " over " not in "".join(year[0])
        assert year[1][0] == "October 2026"
        assert [year[1][2], year[1][4]] == ["2,320 over 20,000", "4,696 over 2,000"]
        opened.go(f"/?period={OCTOBER}")
        expect(opened.page.locator("#over-mtu")).to_have_text("4,696 over 2,000")
        expect(opened.page.locator("#over-api-calls")).to_have_text("2,320 over 20,000")
        # The chart's line is the same limit.
        opened.await_charts()
        held = opened.page.locator("#charts").inner_text()
        assert "limit 20,000" in held
        assert "limit 20,942" not in held
