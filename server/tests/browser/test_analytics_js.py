"""analytics.js in a real browser: the snippets that people copy, on a site of their own.

The library comes from its npm package, served by the site as a bundler or a person would; the code
is what the page and docs/quickstart.md say. A visitor's calls go to a real server, and usage must
be what the oracle makes of them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from browser.support import window
from headcount.counting.calendar import Period
from support.needed import needed_node
from support.oracle import Oracle, PlainFact
from support.server_fixture import Server, Shop, eventually

HERE = Path(__file__).parent
LIBRARY = HERE.parent / "clients/node_modules/@segment/analytics-next/dist/umd"
QUICKSTART = HERE.parents[2] / "docs/quickstart.md"

# What a bundler makes of the import: the package's own build for browsers, under its name.
BUNDLED = """<script src="/index.js"></script>
<script type="importmap">{"imports": {"@segment/analytics-next": "/import.mjs"}}</script>
<script type="module">%s
window.analytics = analytics
</script>"""
IMPORTED = "export const { AnalyticsBrowser } = window.AnalyticsNext"

READY = "() => new Promise(resolve => { analytics.ready(resolve) })"

# A visitor who looks around and signs up.
VISIT = """async name => {
    for (let number = 0; number < 12; number += 1) analytics.track("Seen", { number })
    analytics.page("Catalogue")
    await analytics.alias(name)
    await analytics.identify(name, { plan: "free" })
    analytics.group("team")
    await analytics.track("Bought")
}"""
VISITED = (*("seen",) * 13, "alias", "identify", "seen", "seen")
VISITORS = ("ada", "名前")


def told(visitor: str, first: Sequence[str]) -> Iterator[PlainFact]:
    """A visitor's calls as facts: those of the snippet itself, then those of the visit."""
    user, device = None, 1
    for number, call in enumerate((*first, *VISITED)):
        named, previous = user, None
        if call == "alias":
            # The library keeps the user that it knows, if any.
            named, previous = user or visitor, user or f"device {device} of {visitor}"
        elif call != "seen":
            named = visitor if call == "identify" else "user-1"
            # Another user than the known one is another person, on the same machine.
            device += user not in (None, named)
            user = named
        anonymous = f"device {device} of {visitor}"
        yield PlainFact(0, 1, 1, f"{visitor} {number}", named, anonymous, previous)


@dataclass
class Site:
    """A site on loopback: the library's files, and pages that a test writes."""

    home: str
    pages: dict[str, str]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    needed_node()
    with _served() as site:
        yield site


@contextmanager
def _served() -> Iterator[Site]:
    pages = {"/import.mjs": IMPORTED}

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            if page is None:
                super().do_GET()
                return
            body = page.encode()
            self.send_response(200)
            kind = "text/javascript" if self.path.endswith(".mjs") else "text/html; charset=utf-8"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(LIBRARY)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield Site(f"http://127.0.0.1:{server.server_port}", pages)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def shown_by_the_page(browser: Browser, server: Server, shop: Shop) -> str:
    """The code for analytics.js that the page shows for the workspace's source."""
    with window(browser, server.api) as opened:
        opened.sign_in(shop.token)
        [source_id] = shop.source_ids.values()
        opened.go(f"/page/connect?source={source_id}")
        return opened.page.locator("details[open] pre[data-copy] code").inner_text()


def from_the_docs(server: Server, shop: Shop, language: str, place: int = 0) -> str:
    """A piece of code of the quick start's section, with this server's address and a key."""
    section = QUICKSTART.read_text("utf-8").partition("## analytics.js")[2].partition("\n## ")[0]
    code = re.findall(rf"^```{language}\n(.*?)^```", section, re.M | re.S)[place]
    [write_key] = shop.write_keys.values()
    assert "YOUR_WRITE_KEY" in code
    address = server.tracking.removeprefix("http://")
    return code.replace("YOUR_WRITE_KEY", write_key).replace("127.0.0.1:8080", address)


ONE_BY_ONE = {"/v1/i", "/v1/t", "/v1/p", "/v1/g", "/v1/a"}


@dataclass(frozen=True)
class Way:
    """A way to use the library.

    Attributes:
        code: what stands in a page, for a browser's window on Headcount and a workspace.
        first: what the snippet itself calls.
        paths: where it posts.
    """

    code: Callable[[Browser, Server, Shop], str]
    first: tuple[str, ...]
    paths: set[str]


WAYS = {
    "the page's snippet": Way(
        lambda browser, server, shop: BUNDLED % shown_by_the_page(browser, server, shop),
        ("identify user-1", "seen"), ONE_BY_ONE,
    ),
    "from npm": Way(
        lambda _, server, shop: BUNDLED % from_the_docs(server, shop, "js", 0),
        ("seen", "seen"), ONE_BY_ONE,
    ),
    "in batches": Way(
        lambda _, server, shop: BUNDLED % from_the_docs(server, shop, "js", 1),
        ("seen", "seen"), {"/v1/b"},
    ),
    "as a script": Way(
        lambda _, server, shop: from_the_docs(server, shop, "html", 0), ("seen",), ONE_BY_ONE
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_usage_is_what_visitors_did(
    browser: Browser, server: Server, site: Site, name: str
) -> None:
    way = WAYS[name]
    shop = server.shop(f"Site, {name}", "site")
    head = '<!doctype html><title>Shop</title><link rel="icon" href="data:,">'
    site.pages["/shop"] = head + way.code(browser, server, shop)
    facts = [fact for visitor in VISITORS for fact in told(visitor, way.first)]
    for number, visitor in enumerate(VISITORS, 1):
        with window(browser, site.home) as opened:
            opened.go("/shop")
            opened.page.evaluate(READY)
            opened.page.evaluate(VISIT, visitor)
            calls = number * len(facts) // len(VISITORS)
            eventually(lambda: shop.usage()[""].api_calls >= calls, f"calls of {visitor}")  # noqa: B023
            asked = [urlsplit(url) for url in opened.strangers]
            # Whatever is not of the site is of this server: the library asks nobody else.
            assert {f"http://{each.netloc}" for each in asked} == {server.tracking}
            paths = {each.path for each in asked}
            assert paths - {f"/v1/projects/{shop.write_keys['site']}/settings"} == way.paths
            opened.strangers.clear()
    shop.wait_until_counted()
    oracle = Oracle()
    for fact in facts:
        oracle.meter(fact, 0)
    counted = oracle.counts(Period.of_day(0), "workspace", 1, 0)
    del counted["admitted"]
    usage = shop.usage()[""]
    assert {each: getattr(usage, each) for each in counted} == counted
    outcomes = shop.ask("/headcount/v1/outcomes").data["totals"]
    assert (outcomes["accepted"], outcomes["duplicate"]) == (len(facts), 0)
    assert outcomes["rejected"] == 0


def test_a_visitor_who_leaves_at_once_loses_nothing(
    browser: Browser, server: Server, site: Site
) -> None:
    """What the library holds for its next batch is posted while the page goes away."""
    shop = server.shop("Hurried", "site")
    way = WAYS["in batches"]
    head = '<!doctype html><title>Shop</title><link rel="icon" href="data:,">'
    site.pages["/shop"] = head + way.code(browser, server, shop)
    site.pages["/elsewhere"] = f"{head}<p>Elsewhere</p>"
    with window(browser, site.home) as opened:
        opened.go("/shop")
        opened.page.evaluate(READY)
        opened.page.evaluate(VISIT, "ada")
        opened.go("/elsewhere")
        calls = len(list(told("ada", way.first)))
        eventually(lambda: shop.usage()[""].api_calls == calls, "calls of somebody who left")
        opened.strangers.clear()
