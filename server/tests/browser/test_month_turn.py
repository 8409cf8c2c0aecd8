"""A page that is open while one month ends and the next begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.support import window
from headcount.counting.calendar import MS_PER_DAY, Period
from support.installation import NOVEMBER, Installation
from support.staged import page_of

DECEMBER = NOVEMBER.shifted(1)


@pytest.mark.parametrize("path", ["/", "/#main"], ids=["plain address", "after the skip link"])
@pytest.mark.parametrize("used", [True, False], ids=["used at once", "not used yet"])
def test_an_open_page_goes_on_to_the_new_month(
    tmp_path: Path, browser: Browser, used: bool, path: str
) -> None:
    with Installation(tmp_path) as place:
        web = place.source("web")

        def use(period: Period, day: int, calls: int) -> None:
            place.use(web, period, {day: {"api_calls": calls, "admitted": calls, "identified": 1}})

        place.clock.now_ms = DECEMBER.first_day * MS_PER_DAY - 1_000
        use(NOVEMBER, 30, 7)
        with page_of(place) as home, window(browser, home) as opened:
            opened.sign_in(place.read_secret)
            opened.go(path)
            opened.await_charts()
            assert opened.value("total-api-calls") == 7
            if used:
                use(DECEMBER, 1, 3)
            place.clock.now_ms += 2_000
            heading = opened.page.get_by_role("heading", level=1)
            expect(heading).to_have_text("December 2026")
            calls = opened.page.locator("#total-api-calls")
            expect(calls).to_have_attribute("data-value", "3" if used else "0")
            assert opened.page.get_by_label("Month", exact=True).input_value() == str(DECEMBER)
            use(DECEMBER, 1, 2)
            expect(calls).to_have_attribute("data-value", "5" if used else "2")
            # What came at the very end of the month is in the month itself.
            use(NOVEMBER, 30, 1)
            opened.page.get_by_label("Month", exact=True).select_option(str(NOVEMBER))
            expect(calls).to_have_attribute("data-value", "8")
            expect(heading).to_have_text("November 2026")
