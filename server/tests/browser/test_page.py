"""The page in a real browser, on a real server, while real tracking SDKs post."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import segment.analytics.request
from playwright.sync_api import Browser, expect

from browser.support import PHONE, Window, window
from support.program import now
from support.server_fixture import Server, Shop

MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


@pytest.fixture(autouse=True, scope="module")
def nothing_of_the_sdk_goes_on() -> Iterator[None]:
    """The client that a snippet has made by the way, and connections, end with these tests."""
    yield
    if segment.analytics.default_client is not None:
        segment.analytics.default_client.join()
        segment.analytics.default_client = None
    segment.analytics.request._session.close()


@pytest.fixture
def desk(browser: Browser, server: Server) -> Iterator[Window]:
    with window(browser, server.api) as opened:
        yield opened


@pytest.fixture(scope="module")
def busy(server: Server) -> Shop:
    """A workspace with two months of traffic, some of it refused."""
    shop = server.shop("Busy & Söhne", "web", "モバイル", MARKUP)
    filled_at = now()
    lines = [
        {
            "type": "track", "event": "seen", "messageId": f"{place}-{name}-{number}",
            "receivedAt": (filled_at - timedelta(days=place)).isoformat(),
            "writeKey": key, "anonymousId": f"visitor-{(place * 7 + number) % 60}",
            **({"userId": f"user-{number}"} if number % 3 == 0 else {}),
        }
        for place in range(45)
        for name, key in shop.write_keys.items()
        for number in range(12 if name == "web" else 3)
    ]  # fmt: skip
    file = server.program.cwd / "busy.ndjson"
    file.write_text("\n".join(map(json.dumps, lines)))
    server.program.json("import", str(file), "--workspace", shop.name)
    server.track(
        "/v1/batch", {"batch": [{"type": "track", "event": "x"}, 7]}, shop.write_keys["web"]
    )
    limits = ("--mtu", "100", "--api-calls", "500")
    server.program.json("plan", "set", "--workspace", shop.name, *limits)
    shop.wait_until_counted()
    return shop


def post(server: Server, write_key: str, user_ids: list[str]) -> None:
    """Track through the SDK, as an application does."""
    client = segment.analytics.Client(write_key, host=server.tracking)
    for user_id in user_ids:
        client.track(user_id, "Signed up")
    client.flush()
    client.join()


def test_signing_in_and_out(desk: Window, server: Server, busy: Shop) -> None:
    page = desk.page
    desk.go("/")
    assert page.url == f"{server.api}/page/sign-in"
    desk.check("sign-in")
    for wrong in ("hct_unknown", "not a token", "törichte ☃"):
        page.get_by_label("API token").fill(wrong)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("token")
    # The browser itself notes the answers 401 and 422, as it should.
    assert all("Failed to load resource" in each for each in desk.complaints)
    desk.complaints.clear()

    desk.sign_in(busy.token)
    [cookie] = desk.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert busy.token not in cookie["value"]
    assert busy.token not in page.content()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{server.api}/page/sign-in")
    assert desk.context.cookies() == []
    desk.context.add_cookies([cookie])
    desk.go("/")
    expect(page.get_by_role("alert")).to_contain_text("Your session is over")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_every_view_in_both_themes_and_sizes(
    browser: Browser, server: Server, busy: Shop, theme: str, size: str
) -> None:
    options = {"viewport": PHONE, "device_scale_factor": 2} if size == "phone" else {}
    with window(browser, server.api, color_scheme=theme, **options) as opened:
        opened.sign_in(busy.token)
        opened.await_charts()
        opened.check(f"usage-{size}-{theme}")
        opened.go("/page/manage")
        opened.check(f"manage-{size}-{theme}")
        opened.page.get_by_role("link", name="Connect web").click()
        opened.check(f"connect-{size}-{theme}")


def test_figures_are_the_api_s(desk: Window, busy: Shop) -> None:
    desk.sign_in(busy.token)
    desk.await_charts()
    summary = busy.ask("/headcount/v1/summary").data
    outcomes = busy.ask("/headcount/v1/outcomes").data
    totals = summary["month"]["totals"]
    usage = busy.usage()
    for element_id, name in (
        ("total-mtu", "mtu"),
        ("total-api-calls", "apiCalls"),
        ("identified", "identified"),
        ("never-identified", "neverIdentified"),
        ("anonymous", "anonymous"),
        ("anonymous-identified", "anonymousIdentified"),
    ):
        assert desk.value(element_id) == totals[name]
    for element_id in ("accepted", "duplicate", "rejected"):
        assert desk.value(element_id) == outcomes["totals"][element_id]
    assert outcomes["totals"]["rejected"] == 2
    shown = {row[0]: row for row in desk.rows("#sources")}
    assert set(shown) == {"web", "モバイル", MARKUP}
    for entry in summary["sources"]:
        name, calls, _, mtu, _ = shown[entry["sourceName"]]
        assert calls.split()[0] == f"{entry['totals']['apiCalls']:,}"
        assert mtu == f"{entry['totals']['mtu']:,}"
        assert entry["totals"]["apiCalls"] == usage[entry["sourceId"]].api_calls
    # What somebody typed as a name has not been run.
    assert "Busy & Söhne" in desk.page.title()
    assert desk.page.locator("img").count() == 0


def test_months_and_plan(desk: Window, busy: Shop) -> None:
    desk.sign_in(busy.token)
    totals = busy.ask("/headcount/v1/summary").data["month"]["totals"]
    card = desk.page.locator("#standing-mtu")
    expect(card).to_contain_text(f"{totals['mtu']:.1f} % of the plan's 100")
    options = desk.page.get_by_label("Month", exact=True).locator("option")
    assert 2 <= options.count() <= 3
    earlier = options.nth(1).get_attribute("value") or ""
    desk.page.get_by_label("Month", exact=True).select_option(earlier)
    desk.page.wait_for_url(f"**period={earlier}*")
    past = busy.ask(f"/headcount/v1/summary?period={earlier}").data["month"]["totals"]
    assert desk.value("total-api-calls") == past["apiCalls"]
    expect(desk.page.locator("body")).not_to_contain_text("Estimates")
    desk.go("/?period=2001-01-01")
    expect(desk.page.get_by_role("heading")).to_contain_text("no such month")
    desk.page.get_by_role("link", name="Show the current month").click()
    assert desk.value("total-api-calls") == totals["apiCalls"]
    desk.page.locator(f"#month-{earlier}").click()
    desk.page.wait_for_url(f"**period={earlier}*")
    assert desk.value("total-api-calls") == past["apiCalls"]
    desk.complaints.clear()  # the 404 itself


def test_sorting_by_keyboard(desk: Window, busy: Shop) -> None:
    desk.sign_in(busy.token)
    head = desk.page.locator("#sort-name")
    head.focus()
    names = sorted(["web", "モバイル", MARKUP], key=str.casefold)
    for order, expected in (("ascending", names), ("descending", names[::-1])):
        desk.page.keyboard.press("Enter")
        expect(desk.page.locator(f"th[aria-sort={order}] #sort-name")).to_be_focused()
        assert [row[0] for row in desk.rows("#sources")] == expected


def test_from_nothing_to_live_figures(desk: Window, server: Server) -> None:
    shop = server.shop("Fresh")
    page = desk.page
    desk.sign_in(shop.token)
    expect(page.get_by_role("heading", name="No source yet")).to_be_visible()
    desk.check("no-source")
    page.get_by_label("Name of the first source").fill("Website")
    page.get_by_role("button", name="Add the source").click()
    expect(page.get_by_role("status")).to_contain_text("Website was added")
    [source] = shop.ask("/headcount/v1/sources").data["sources"]

    page.get_by_role("link", name="Usage").click()
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    desk.check("no-traffic")
    snippets = {}
    for name in ("analytics.js", "Python", "Node", "curl"):
        if name != "analytics.js":  # which is open from the start
            page.get_by_text(name, exact=True).click()
        code = page.locator("details[open] pre[data-copy] code").inner_text()
        assert source["writeKey"] in code
        assert server.tracking.removeprefix("http://") in code
        snippets[name] = code
    shop.await_key(source["writeKey"])
    namespace: dict[str, object] = {}
    # A snippet itself is the first thing that posts; the page then shows no snippets any more.
    exec(snippets["Python"], namespace)
    expect(page.locator("#total-mtu")).to_have_attribute("data-value", "1")

    for turn in range(1, 4):
        post(server, source["writeKey"], [f"user-{turn}", f"more-{turn}", f"user-{turn}"])
        expect(page.locator("#total-api-calls")).to_have_attribute("data-value", str(1 + 3 * turn))
    assert desk.value("total-mtu") == 1 + 2 * 3 - 1  # the snippet's user-1 came again
    desk.await_charts()


def test_managing(desk: Window, server: Server, browser: Browser) -> None:
    shop = server.shop("Managed")
    page = desk.page
    desk.sign_in(shop.token)
    desk.go("/page/manage")
    page.get_by_label("New source").fill("till")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("Show the write key of till").click()
    key = page.locator(".reveal[open] code").inner_text()
    shop.await_key(key)
    post(server, key, ["somebody"])
    shop.wait_until_counted()
    assert shop.usage()[""].api_calls == 1

    page.get_by_label("New source").fill("till")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("already")

    page.get_by_text("Disable till").click()
    page.get_by_role("button", name="Disable now").click()
    expect(page.get_by_role("status")).to_contain_text("is disabled")
    shop.await_key(key, taken=False)
    page.get_by_role("button", name="Enable till").click()
    shop.await_key(key)
    page.get_by_text("Rotate key of till").click()
    page.get_by_role("button", name="Rotate now").click()
    shop.await_key(key, taken=False)
    page.get_by_text("Show the write key of till").click()
    shop.await_key(page.locator(".reveal[open] code").inner_text())

    page.get_by_label("MTU").fill("1,000")
    page.get_by_label("API calls").fill("lots")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("alert")).to_contain_text("whole number")
    page.get_by_label("MTU").fill("1,000")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("status")).to_contain_text("are set")
    limits = {"mtu": 1000, "apiCalls": None}
    assert shop.ask("/headcount/v1/plan-limits").data["planLimits"] == limits

    page.get_by_label("New token").select_option("read")
    page.get_by_role("button", name="Make", exact=True).click()
    secret = page.locator("#secret").inner_text()
    page.reload()
    assert secret not in page.content()
    with window(browser, server.api) as reader:
        reader.sign_in(secret)
        reader.go("/page/manage")
        expect(reader.page.locator("main")).to_contain_text("only reads")
        assert reader.page.get_by_role("button", name="Rotate now").count() == 0
        assert shop.token not in reader.page.content()
        reader.go("/")
        page.get_by_text("Revoke token").last.click()
        page.get_by_role("button", name="Revoke now").last.click()
        expect(page.get_by_role("status")).to_contain_text("is revoked")
        expect(reader.page.get_by_role("alert")).to_contain_text("session is over")
        reader.check("session-over")
        reader.page.get_by_role("link", name="Sign in again").click()
        expect(reader.page.get_by_label("API token")).to_be_visible()
        reader.complaints.clear()  # the 401 itself


def test_two_workspaces_in_one_session(desk: Window, server: Server, busy: Shop) -> None:
    other = server.shop("Another", "only")
    desk.sign_in(busy.token)
    desk.page.get_by_role("link", name="Add a workspace").click()
    expect(desk.page.get_by_text("You are signed in to")).to_be_visible()
    desk.sign_in(other.token)
    switch = desk.page.get_by_label("Workspace", exact=True)
    assert switch.locator("option:checked").inner_text() == "Another"
    switch.select_option(label=busy.name)
    desk.page.wait_for_url("**workspace=*")
    assert desk.value("total-api-calls") == busy.usage()[""].api_calls
    server.program.json("token", "revoke", _token_id(other), "--workspace", other.name)
    desk.go(f"/?workspace={other.id}")
    expect(desk.page.get_by_role("alert")).to_contain_text("session is over")
    desk.go("/")
    assert desk.value("total-api-calls") == busy.usage()[""].api_calls


def _token_id(shop: Shop) -> str:
    [token] = shop.ask("/headcount/v1/tokens").data["tokens"]
    return str(token["id"])


def test_a_link_from_another_site(desk: Window, server: Server, busy: Shop) -> None:
    desk.sign_in(busy.token)
    desk.page.goto(server.api.replace("127.0.0.1", "localhost") + "/page/sign-in")
    follow = "to => { const link = document.createElement('a'); link.href = to; link.click(); }"
    desk.page.evaluate(follow, f"{server.api}/?sort=name")
    expect(desk.page.locator("#total-mtu")).to_be_visible()
    assert desk.page.url == f"{server.api}/?sort=name"
    assert all(each.startswith("http://localhost:") for each in desk.strangers)
    desk.strangers.clear()


def test_a_server_that_cannot_be_reached(desk: Window, busy: Shop) -> None:
    desk.sign_in(busy.token)
    desk.await_charts()
    desk.context.set_offline(True)
    expect(desk.page.get_by_role("alert")).to_contain_text("cannot be reached")
    desk.check("unreachable")
    desk.context.set_offline(False)
    expect(desk.page.get_by_role("alert")).to_have_count(0)
    expect(desk.page.locator("#fresh.live")).to_be_visible()
    assert all("ERR_INTERNET_DISCONNECTED" in each for each in desk.complaints)
    desk.complaints.clear()


def test_without_javascript(browser: Browser, server: Server, busy: Shop) -> None:
    with window(browser, server.api, java_script_enabled=False) as opened:
        opened.sign_in(busy.token)
        totals = busy.ask("/headcount/v1/summary").data["month"]["totals"]
        page = opened.page
        expect(page.locator("#total-mtu")).to_have_text(f"{totals['mtu']:,}")
        expect(page.locator("#sources-body tr")).to_have_count(3)
        expect(page.locator("noscript p").first).to_be_visible()
        page.get_by_role("link", name="MTU", exact=True).click()
        expect(page.locator("th[aria-sort=descending] #sort-mtu")).to_be_visible()
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#total-mtu")).to_have_text(f"{totals['mtu']:,}")


def test_the_theme_can_be_chosen(desk: Window, busy: Shop) -> None:
    desk.sign_in(busy.token)
    desk.await_charts()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = desk.page.evaluate(ground)
    desk.page.get_by_role("button", name="Dark theme").click()
    dark = desk.page.evaluate(ground)
    assert dark != light
    desk.page.reload()
    assert desk.page.evaluate(ground) == dark
    desk.page.get_by_role("button", name="Light theme").click()
    assert desk.page.evaluate(ground) == light
