"""One browser and one real server for all tests of the page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from browser.support import CHROMIUM, FLAGS, PATIENCE_MS
from support.needed import needed_program
from support.server_fixture import Server, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = needed_program(CHROMIUM, "apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("page"), "--workers", "1") as server:
        yield server
