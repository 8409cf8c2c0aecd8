"""The page with more than people are used to: five hundred sources, and counts of 10^12."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from browser.support import NARROW, PHONE, Window, window
from headcount.catalog import PlanLimits
from headcount.counting.facts import Rejection
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX
from headcount.extras import install_command
from headcount.store.protocol import Change
from support.installation import NOVEMBER, NOW_MS, Installation, day_of
from support.staged import page_of

SOURCES = 500
HUGE = 10**12
OCTOBER = NOVEMBER.shifted(-1)
BYTES_MAX = 200_000
"""What the page itself may weigh on the wire, compressed, without the library for charts."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("size")) as installation:
        fill(installation)
        yield installation


def fill(place: Installation) -> None:
    """Two months of five hundred sources, each a little smaller than the one before."""
    random = np.random.default_rng(7)
    number = place.workspace.number
    counts, rejections = {}, []
    sources = [place.source(f"Source {each:03d}") for each in range(SOURCES)]
    for period, days in ((OCTOBER, 31), (NOVEMBER, 23)):
        whole = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
        for place_of, source in enumerate(sources):
            new = np.zeros_like(whole)
            new[:days, 0] = random.integers(1, 4_000, days) // (place_of + 1) + 1
            new[:days, 1] = new[:days, 0] // 3
            new[:days, 4] = new[:days, 0]
            counts[period, number, source.number] = new
            whole += new
            rejections.append(
                Rejection(number, source.number, day_of(period, 3), "invalid_id", place_of + 1)
            )
        if period == NOVEMBER:
            for scope in (whole, counts[period, number, sources[0].number]):
                scope[0, [0, 4]] += HUGE
        counts[period, number, 0] = whole
    place.store.commit(Change(counts=counts, rejections=tuple(rejections), counted_until_ms=NOW_MS))
    place.limit(PlanLimits(mtu=None, api_calls=2 * HUGE), number)


@pytest.fixture
def home(place: Installation) -> Iterator[str]:
    with page_of(place) as address:
        yield address


def moved(opened: Window) -> dict[str, int]:
    """Bytes on the wire by path, of everything that the window's page has loaded."""
    script = """() => [...performance.getEntriesByType("navigation"),
        ...performance.getEntriesByType("resource")].map(
            each => [new URL(each.name).pathname, each.transferSize])"""
    return dict(opened.page.evaluate(script))


def test_five_hundred_sources(place: Installation, browser: Browser, home: str) -> None:
    with window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.await_charts()
        expect(opened.page.locator("#sources-body tr")).to_have_count(SOURCES)
        assert 0 < moved(opened)["/"] < BYTES_MAX
        opened.picture("usage-500-sources")
        opened.page.locator("#sort-name").click()
        expect(opened.page.locator("th[aria-sort=ascending] #sort-name")).to_be_visible()
        names = [row[0] for row in opened.rows("#sources")]
        assert names == [f"Source {each:03d}" for each in range(SOURCES)]
        opened.go("/page/manage")
        expect(opened.page.locator("main")).to_contain_text("Source 499")


@pytest.mark.parametrize(("size", "viewport"), [("phone", PHONE), ("narrow", NARROW)])
def test_a_million_million_on_a_phone(
    place: Installation, browser: Browser, home: str, size: str, viewport: dict[str, int]
) -> None:
    with window(browser, home, viewport=viewport) as opened:
        opened.sign_in(place.admin_secret)
        opened.await_charts()
        assert opened.value("total-api-calls") > HUGE
        expect(opened.page.locator("#standing-api-calls")).to_contain_text("50.0 % of the plan")
        opened.picture(f"usage-huge-{size}")
        assert opened.cut_off() == []
        opened.go("/page/manage")
        opened.picture(f"manage-500-sources-{size}")
        assert opened.cut_off() == []


@pytest.mark.parametrize("calls", [10**4, 10**7, 10**9])
def test_counts_of_any_length_find_room_on_a_narrow_phone(
    tmp_path: Path, browser: Browser, calls: int
) -> None:
    with Installation(tmp_path) as place:
        web = place.source("web")
        for period in (OCTOBER, NOVEMBER):
            new = {"api_calls": calls, "admitted": calls, "identified": calls // 3}
            place.use(web, period, dict.fromkeys(range(1, 24), new))
        place.limit(PlanLimits(mtu=None, api_calls=20 * calls), place.workspace.number)
        with page_of(place) as home, window(browser, home, viewport=NARROW) as opened:
            opened.sign_in(place.read_secret)
            opened.await_charts()
            opened.picture(f"usage-{calls}-narrow")
            assert opened.cut_off() == []


def test_without_the_library_for_charts(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headcount.page.assets.can_draw", lambda: False)
    with Installation(tmp_path) as place:
        source = place.source("web")
        place.use(source, NOVEMBER, {3: {"api_calls": 7, "admitted": 7, "identified": 2}})
        with page_of(place) as home, window(browser, home) as opened:
            opened.sign_in(place.read_secret)
            assert opened.value("total-api-calls") == 7
            expect(opened.page.locator("main")).to_contain_text(install_command("plot"))
            assert opened.page.locator(".chart").count() == 0
            opened.check("usage-without-charts")
