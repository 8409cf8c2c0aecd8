"""RudderStack's library, and Segment's snippet, in a real browser and against a real server.

Each comes from its npm package and is changed by nothing but addresses and a key; what a visitor
does is what usage says, and nobody but this server is asked for anything.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from browser.support import window
from support.needed import needed_node
from support.server_fixture import Counts, Server, Shop, eventually, serving

MODULES = Path(__file__).parents[1] / "clients/node_modules"
SNIPPET_S_LIBRARY = MODULES / "@segment/analytics-next/dist/umd/standalone.js"
RUDDER = "@rudderstack/analytics-js/dist/npm/modern/bundled/esm/index.mjs"
HEAD = '<!doctype html><title>Shop</title><link rel="icon" href="data:,">'

# What stands in a page; both make window.analytics.
RUDDER_PAGE = """<script type="module">
import { RudderAnalytics } from "/%s"
const rudder = window.analytics = new RudderAnalytics()
rudder.load("KEY", "TRACKING", {
  configUrl: "TRACKING", useBeacon: %s, beaconQueueOptions: { flushQueueInterval: 500 },
})
</script>"""
SNIPPET_PAGE = """<script>
window.analytics = Object.assign([], { _writeKey: "KEY", _cdn: "TRACKING" })
for (const method of ["page", "track", "identify", "group", "ready"]) {
  analytics[method] = (...values) => analytics.push([method, ...values])
}
</script>
<script async src="TRACKING/analytics.js/v1/KEY/analytics.min.js"></script>"""

READY = "() => new Promise(resolve => { analytics.ready(resolve) })"
VISIT = """() => {
  for (let number = 0; number < 5; number += 1) analytics.track("Seen", { number })
  analytics.page("Catalogue")
  analytics.identify("ada", { plan: "free" })
  analytics.group("team")
  analytics.track("Bought")
}"""
VISITED = Counts(9, 1, 1, 1, 0)

WAYS = {
    "RudderStack's": (RUDDER_PAGE % (RUDDER, "false"), {"/v1/track", "/v1/batch"}),
    "RudderStack's, by beacon": (RUDDER_PAGE % (RUDDER, "true"), {"/beacon/v1/batch"}),
    "Segment's snippet": (SNIPPET_PAGE, {"/v1/t"}),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    needed_node()
    library = ("--analytics-js", str(SNIPPET_S_LIBRARY))
    with serving(tmp_path_factory.mktemp("sites"), *library, "--workers", "1") as server:
        yield server


class Handler(SimpleHTTPRequestHandler):
    """Serves npm packages, and one page."""

    page = ""

    def do_GET(self) -> None:
        if self.path != "/shop":
            super().do_GET()
            return
        body = Handler.page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(MODULES)))
    thread = threading.Thread(target=served.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


def page_of(code: str, shop: Shop) -> str:
    [key] = shop.write_keys.values()
    return HEAD + code.replace("TRACKING", shop.server.tracking).replace("KEY", key)


@pytest.mark.parametrize("name", WAYS)
def test_usage_is_what_a_visitor_did(
    browser: Browser, server: Server, site: str, name: str
) -> None:
    code, posted_to = WAYS[name]
    shop = server.shop(name, "site")
    Handler.page = page_of(code, shop)
    with window(browser, site) as opened:
        opened.go("/shop")
        opened.page.evaluate(READY)
        opened.page.evaluate(VISIT)
        eventually(lambda: shop.usage()[""].api_calls >= VISITED.api_calls, f"calls by {name}")
        opened.page.wait_for_timeout(0)  # so that what was asked is noted by now
        asked = [urlsplit(url) for url in opened.strangers]
        assert {f"http://{each.netloc}" for each in asked} == {server.tracking}
        assert {each.path for each in asked} & posted_to
        opened.strangers.clear()
    shop.wait_until_counted()
    assert shop.usage()[""] == VISITED
    assert shop.ask("/headcount/v1/outcomes").data["totals"]["rejected"] == 0
