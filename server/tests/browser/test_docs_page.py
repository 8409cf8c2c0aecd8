"""/docs in a real browser: the page's own look, in both themes and down to a narrow phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from browser.support import DESK, PHONE, window
from support.installation import Installation
from support.staged import page_of

NARROW = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Installation(tmp_path_factory.mktemp("data")) as place, page_of(place) as home:
        yield home


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("size", "viewport"), [("desk", DESK), ("phone", PHONE), ("narrow", NARROW)]
)
def test_looks(
    browser: Browser, home: str, theme: str, size: str, viewport: dict[str, int]
) -> None:
    with window(browser, home, viewport=viewport, color_scheme=theme) as opened:
        opened.go("/docs")
        opened.check(f"docs-{size}-{theme}")
        assert opened.cut_off() == []
        if size != "desk":
            script = """() => [...document.querySelectorAll("pre")]
                .every(each => each.scrollWidth <= each.clientWidth)"""
            assert opened.page.evaluate(script), "commands are to be seen whole on a phone"
        # The same ground as on every other page.
        ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        opened.go("/page/sign-in")
        assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


def test_the_list_leads_to_operations_and_these_to_shapes(browser: Browser, home: str) -> None:
    with window(browser, home) as opened:
        opened.go("/docs")
        opened.page.get_by_role("link", name="A month in one answer").click()
        operation = opened.page.locator("#getSummary")
        expect(operation).to_be_in_viewport()
        operation.get_by_text("Answers: ").click()
        operation.get_by_role("link", name="SummaryAnswer").click()
        expect(opened.page.locator("#shape-SummaryAnswer")).to_be_in_viewport()
