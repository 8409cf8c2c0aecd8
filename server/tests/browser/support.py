"""A real browser for tests: the system's Chromium, watched.

Gives windows that note every complaint of a page and every request to another host; a test fails
that leaves any. Screenshots go to test-artifacts/page, to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

__all__ = ["CHROMIUM", "FLAGS", "Window", "window"]

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",  # containers have no user namespaces to build one from
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 30_000
PHONE = {"width": 390, "height": 844}
NARROW = {"width": 320, "height": 700}
DESK = {"width": 1280, "height": 900}
_PICTURES = Path(__file__).parents[3] / "test-artifacts" / "page"


@dataclass
class Window:
    """One window of a browser on one site.

    Attributes:
        home: the beginning of the site's URLs.
        page, context: Playwright's.
        complaints: what the browser's console said against the pages.
        strangers: URLs of requests to other hosts.
    """

    home: str
    page: Page
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def sign_in(self, token: str) -> None:
        """Sign in from the first page, and wait for usage."""
        self.page.goto(f"{self.home}/page/sign-in")
        self.page.get_by_label("API token").fill(token)
        self.page.locator("button.primary").click()
        self.page.wait_for_url(f"{self.home}/")

    def go(self, path: str) -> None:
        """Open an address of the site."""
        self.page.goto(self.home + path)

    def await_charts(self) -> None:
        """Wait until the charts are drawn."""
        expect(self.page.locator("html")).to_have_attribute("data-charts", "drawn")
        expect(self.page.locator("canvas").first).to_be_visible()

    def value(self, element_id: str) -> int:
        """The number behind a figure."""
        shown = self.page.locator(f"#{element_id}")
        value = int(shown.get_attribute("data-value") or "")
        assert shown.inner_text() == f"{value:,}"
        return value

    def rows(self, table: str) -> list[list[str]]:
        """The texts of a table's body."""
        script = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
        found: list[list[str]] = self.page.locator(f"{table} tbody tr").evaluate_all(script)
        return found

    def picture(self, name: str) -> None:
        """Take a picture; nothing is wider than the window."""
        _PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=_PICTURES / f"{name}.png", full_page=True)
        wide, room = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= room, f"{wide} pixels wide in a window of {room}"

    def cut_short(self) -> list[str]:
        """What is no longer than a month, and yet shows a part only."""
        script = """() => [...document.querySelectorAll(".scroll:has(.months, .beside, .days)")]
            .filter(part => part.scrollHeight > part.clientHeight + 1)
            .map(part => part.getAttribute("aria-labelledby"))"""
        found: list[str] = self.page.evaluate(script)
        return found

    def cut_off(self) -> list[str]:
        """What is wider than its place: its end must be scrolled to, or lies over something."""
        script = """() => [...document.querySelectorAll(
            ".scroll, figure, .card, main :is(td, th, dd, dt, p, h1, h2, h3, li, button, label)"
        )].filter(part => part.checkVisibility() && part.clientWidth > 1
            && !(part.closest("thead")?.clientWidth === 1)
            && !part.closest(".unseen, .spoken")
            && part.scrollWidth > part.clientWidth + 1)
        .map(part => part.outerHTML.slice(0, 200))"""
        found: list[str] = self.page.evaluate(script)
        return found

    def check(self, name: str) -> None:
        """Take a picture, and see that nothing keeps anybody out."""
        self.picture(name)
        found: Any = Axe().run(self.page).response["violations"]
        barriers = [(each["id"], each["nodes"][0]["html"][:200]) for each in found]
        assert not barriers, barriers


@contextmanager
def window(browser: Browser, home: str, **options: Any) -> Iterator[Window]:
    """A window of its own, as of another person.

    Args:
        browser: the browser.
        home: the beginning of the site's URLs.
        options: more options of Playwright's contexts.
    """
    context = browser.new_context(**{"viewport": DESK} | options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    opened = Window(home, page, context)

    def heard(message: Any) -> None:
        if message.type in ("error", "warning"):
            opened.complaints.append(message.text)

    def asked(request: Any) -> None:
        if urlsplit(request.url).scheme != "data" and not request.url.startswith(f"{home}/"):
            opened.strangers.append(request.url)

    page.on("console", heard)
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    context.on("request", asked)
    try:
        yield opened
        assert not opened.complaints, opened.complaints
        assert not opened.strangers, opened.strangers
    finally:
        context.close()
