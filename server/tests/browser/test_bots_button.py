"""The button by which a source refuses known bots, pressed in a real browser on a real server."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from browser.support import window
from support.server_fixture import Server, eventually

BOT = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.3)"
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Safari/604.1"


def test_a_source_refuses_bots_and_counts_them_again(server: Server, browser: Browser) -> None:
    shop = server.shop("Bots", "web")
    key, sent = shop.write_keys["web"], 0

    def post(agent: str) -> str:
        """What becomes of a message: empty where it is admitted."""
        nonlocal sent
        sent += 1
        body = {"messageId": f"m{sent}", "anonymousId": f"a{sent}"}
        answer = server.track("/v1/page", body, key, User_Agent=agent)
        return "" if answer.status == 200 else str(answer.json()["code"])

    with window(browser, server.api) as opened:
        opened.sign_in(shop.token)
        opened.go(f"/page/source?source={shop.source_ids['web']}")
        change = opened.page.locator("section", has_text="Known bots are counted like anybody")
        expect(change.get_by_role("button", name="Refuse known bots")).to_be_visible()
        assert post(BOT) == ""
        change.get_by_role("button", name="Refuse known bots").click()
        expect(opened.page.get_by_text("web refuses messages of known bots")).to_be_visible()
        # A change reaches the workers within a second.
        eventually(lambda: post(BOT) == "bot", "bots to be refused")
        assert post(BROWSER) == ""
        shop.wait_until_counted()
        opened.go(f"/page/source?source={shop.source_ids['web']}")
        expect(opened.page.locator("#outcomes")).to_contain_text("bot")
        refused = opened.value("rejected")
        told = shop.ask("/headcount/v1/outcomes").data["totals"]
        assert told["rejectedByReason"] == {"bot": refused}
        opened.check("source-that-refuses-bots")

        opened.page.get_by_role("button", name="Count bots like anybody").click()
        expect(opened.page.get_by_text("web counts known bots like anybody")).to_be_visible()
        eventually(lambda: post(BOT) == "", "bots to be counted again")
        shop.wait_until_counted()
        assert shop.ask("/headcount/v1/outcomes").data["totals"]["accepted"] > told["accepted"]
