"""The page with five hundred sources: `python -m bench.page` opens it as a person does.

Takes nothing; gives how long it takes from signing in until the figures stand and until the charts
are drawn, and how many bytes move, in the system's Chromium on a real server. Two whole months lie
in the store, of which the later one, with 31 days, is shown. A figure that is not what was laid
down fails the run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.load import BenchError
from bench.machine import Neighbours, machine_notes
from bench.report import Row, tell
from bench.server import Server, Tenant, add_tenant, this_period
from headcount.clock import now_ms
from headcount.counting.calendar import Period
from headcount.counting.metrics import ADMITTED, API_CALLS, IDENTIFIED, KINDS
from headcount.counting.usage import DAYS_MAX
from headcount.datafolder import open_data_folder
from headcount.page.assets import LIBRARY
from headcount.store.opening import open_store
from headcount.store.protocol import Change

__all__ = ["main"]

_CHROMIUM = "/usr/bin/chromium"
_SOURCES = 500
_DAYS = 31
_REPEATS = 5
_OPEN_S = 65.0  # two of the reloads that an open page makes of itself
_MOBILE = {"offline": False, "latency": 60, "downloadThroughput": 1.2e6, "uploadThroughput": 1e6}
"""9 Mbit/s with 60 ms of delay, as browsers' tools mean by a good mobile connection."""


@dataclass(frozen=True, slots=True)
class _Opening:
    """One opening of the page.

    Attributes:
        figures_s, charts_s: from asking for the page until they stood there.
        sizes: bytes on the wire by path; 0 for what the browser had kept.
    """

    figures_s: float
    charts_s: float
    sizes: dict[str, int]


def main() -> int:
    """Run it.

    Returns:
        The exit status: 1 when a figure was wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headcount-page-") as name:
        folder = Path(name)
        notes, neighbours = machine_notes(folder), Neighbours()
        try:
            rows = _measured(folder / "data", notes)
        except BenchError as error:
            print(f"The run failed: {error}", file=sys.stderr)
            return 1
        notes["taken by other programs meanwhile"] = f"{neighbours.share():.0%} of the cores"
    return tell(rows, notes, write=options.write)


def _measured(data: Path, notes: dict[str, str]) -> list[Row]:
    tenant = add_tenant(data, "volume", _SOURCES)
    period = this_period().shifted(-1)
    while period.length != _DAYS:
        period = period.shifted(-1)
    calls = _lay_down(data, tenant, period)
    with (
        Server(data, 1).wait_announced() as server,
        sync_playwright() as playwright,
        closing(
            playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        ) as browser,
    ):
        notes["browser"] = f"Chromium {browser.version}"
        started = _first(browser, server, tenant, period, calls)
        before_s = server.cpu_s("api")
        first = [_first(browser, server, tenant, period, calls) for _ in range(_REPEATS)]
        used_s = (server.cpu_s("api") - before_s) / _REPEATS
        again = _again(browser, server, tenant, period, calls)
        mobile = [
            _first(browser, server, tenant, period, calls, slow=True) for _ in range(_REPEATS)
        ]
        open_bytes = _left_open(browser, server, tenant)
    scenario = f"The page: {_SOURCES} sources, {_DAYS} days, the month before behind them"
    page_bytes, library_bytes, other_bytes = _shares(first[0].sizes)
    return [
        _times(
            scenario, "first visit of all after a start", [started],
            "the server makes the library of the charts then",
        ),
        _times(scenario, "first visit", first, f"{used_s * 1e3:,.0f} ms of the api process"),
        _times(scenario, "again", again, "styles, script and library kept by the browser"),
        _times(scenario, "first visit, 9 Mbit/s with 60 ms of delay", mobile, ""),
        Row(
            scenario, "bytes moved, first visit",
            f"{(page_bytes + library_bytes + other_bytes) / 1e3:,.0f} kB",
            f"page {page_bytes / 1e3:,.0f}, library of the charts {library_bytes / 1e3:,.0f},"
            f" styles and script {other_bytes / 1e3:,.0f}",
        ),
        Row(scenario, "bytes moved, again", f"{sum(again[0].sizes.values()) / 1e3:,.0f} kB"),
        Row(
            scenario, "bytes moved while open, nothing happening",
            f"{open_bytes / _OPEN_S * 60 / 1e3:,.0f} kB a minute", "asked every second",
        ),
    ]  # fmt: skip


def _lay_down(data: Path, tenant: Tenant, period: Period) -> int:
    """Put a month and the one before into the store; the API calls of the month."""
    random = np.random.default_rng(7)
    calls = 0
    with closing(open_store(open_data_folder(data, create=False).store)) as store:
        for month in (period.shifted(-1), period):
            counts = {}
            whole = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
            for place, number in enumerate(tenant.sources):
                new = np.zeros_like(whole)
                made = random.integers(1, 4_000_000, month.length) // (place + 1) + 1
                new[: month.length, API_CALLS] = new[: month.length, ADMITTED] = made
                new[: month.length, IDENTIFIED] = made // 20
                counts[month, tenant.number, number] = new
                whole += new
            counts[month, tenant.number, 0] = whole
            store.commit(Change(counts=counts, counted_until_ms=now_ms()))
            calls = int(whole[:, API_CALLS].sum())
    return calls


def _first(
    browser: Browser, server: Server, tenant: Tenant, period: Period, calls: int, slow: bool = False
) -> _Opening:
    """Sign in with a browser that has kept nothing, and open the month."""
    with _signed_in(browser, server, tenant) as context:
        return _opened(context, server, period, calls, slow=slow)


def _again(
    browser: Browser, server: Server, tenant: Tenant, period: Period, calls: int
) -> list[_Opening]:
    with _signed_in(browser, server, tenant) as context:
        _opened(context, server, period, calls)
        return [_opened(context, server, period, calls) for _ in range(_REPEATS)]


@contextmanager
def _signed_in(browser: Browser, server: Server, tenant: Tenant) -> Iterator[BrowserContext]:
    """A browser that has signed in without having opened any page."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        answer = context.request.post(
            f"{server.api}/page/sign-in", form={"token": tenant.token}, max_redirects=0
        )
        if answer.status != 303:
            raise BenchError(f"signing in was answered {answer.status}")
        yield context
    finally:
        context.close()


def _opened(
    context: BrowserContext, server: Server, period: Period, calls: int, slow: bool = False
) -> _Opening:
    page = context.new_page()
    if slow:
        context.new_cdp_session(page).send("Network.emulateNetworkConditions", _MOBILE)
    began_s = time.perf_counter()
    page.goto(f"{server.api}/?period={period}", wait_until="commit")
    page.wait_for_function(
        f"() => document.querySelectorAll('#sources-body tr').length === {_SOURCES}"
        " && document.readyState !== 'loading'"
    )
    figures_s = time.perf_counter() - began_s
    page.wait_for_selector("html[data-charts=drawn]")
    charts_s = time.perf_counter() - began_s
    shown = int(page.locator("#total-api-calls").get_attribute("data-value") or "")
    if shown != calls:
        raise BenchError(f"{calls:,} calls were laid down, and the page says {shown:,}")
    sizes = _sizes(page)
    page.close()
    return _Opening(figures_s, charts_s, sizes)


def _sizes(page: Page) -> dict[str, int]:
    script = """() => [...performance.getEntriesByType("navigation"),
        ...performance.getEntriesByType("resource")].map(
            each => [new URL(each.name).pathname, each.transferSize])"""
    found: dict[str, int] = {}
    for path, size in page.evaluate(script):
        found[path] = found.get(path, 0) + size
    return found


def _left_open(browser: Browser, server: Server, tenant: Tenant) -> int:
    """Bytes that move while the current month's page stands open and nothing happens."""
    with _signed_in(browser, server, tenant) as context:
        page = context.new_page()
        page.goto(f"{server.api}/")
        page.wait_for_timeout(2_000)
        before = sum(_sizes(page).values())
        page.wait_for_timeout(_OPEN_S * 1e3)
        return sum(_sizes(page).values()) - before


def _shares(sizes: dict[str, int]) -> tuple[int, int, int]:
    """Bytes of the page itself, of the library that draws, and of the rest."""
    library = sum(size for path, size in sizes.items() if path.endswith(LIBRARY))
    return sizes["/"], library, sum(sizes.values()) - sizes["/"] - library


def _times(scenario: str, name: str, openings: list[_Opening], beside: str) -> Row:
    figures, charts = (
        statistics.median(each)
        for each in (
            [opening.figures_s for opening in openings],
            [opening.charts_s for opening in openings],
        )
    )
    return Row(
        scenario, f"{name}, until figures and tables / charts",
        f"{figures:.2f} / {charts:.2f} s", beside,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
