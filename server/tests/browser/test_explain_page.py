"""The page that tells why a month moved, over two generated months with two causes planted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.support import NARROW, window
from headcount.counting.contributions import DayOfContributions
from headcount.store.protocol import Change
from support.generated_months import NOVEMBER, OCTOBER, SOURCES, generated
from support.installation import Installation
from support.staged import page_of


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        fill(installation)
        yield installation


def fill(place: Installation) -> None:
    """October, and November with a wave of bots and a library's version gone wrong."""
    workspace = place.workspace.number
    for number, name in SOURCES.items():
        assert place.source(name).number == number
    months = generated(1, "bots", "library_version")
    for period, month in zip((OCTOBER, NOVEMBER), months, strict=True):
        days = [
            (
                period,
                DayOfContributions(workspace, source, day, held.numbers[[at]], held.counts[[at]]),
            )
            for source, held in month.contributions.items()
            for at, day in enumerate(held.days.tolist())
        ]
        attributes = next(iter(month.contributions.values())).attributes
        counts = {(period, workspace, source): each for source, each in month.counts.items()}
        place.store.commit(
            Change(
                counts=counts,
                contributions=days,
                attributes=attributes,
                counted_until_ms=place.clock.now_ms,
            )
        )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("explain", {}),
        ("explain-dark", {"color_scheme": "dark"}),
        ("explain-narrow-dark", {"color_scheme": "dark", "viewport": NARROW}),
    ],
)
def test_causes_and_contributions_are_seen_whole(
    place: Installation, browser: Browser, name: str, options: dict[str, object]
) -> None:
    with page_of(place) as home, window(browser, home, **options) as opened:
        opened.sign_in(place.read_secret)
        opened.page.get_by_role("link", name="Why did it move?").click()
        causes = opened.page.locator("article.cause")
        expect(causes.nth(0)).to_contain_text("One library version makes more ids")
        expect(causes.nth(0)).to_contain_text("4.2.0")
        expect(causes.nth(1)).to_contain_text("Known bots")
        changes = [
            int(row[1].replace(",", "").replace("\N{MINUS SIGN}", "-"))
            for row in opened.rows("table")
        ]
        assert len(changes) > 10
        assert sum(changes[:-1]) == changes[-1] != 0, "contributions add up to the change"
        opened.check(name)
        assert opened.cut_off() == []


def test_a_source_s_page_leads_to_its_own_reasons(place: Installation, browser: Browser) -> None:
    with page_of(place) as home, window(browser, home) as opened:
        opened.sign_in(place.read_secret)
        opened.page.get_by_role("link", name="Website").first.click()
        opened.page.get_by_role("link", name="Why did it move?").click()
        expect(opened.page.get_by_role("heading", level=1)).to_contain_text("Website")
        opened.page.get_by_label("First").select_option("surprise")
        opened.page.wait_for_url("**rank=surprise**")
        expect(opened.page.get_by_role("heading", level=1)).to_contain_text("Website")
