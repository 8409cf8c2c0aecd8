"""Known bots are counted like anybody, until a source refuses them; then they are an outcome."""

from __future__ import annotations

from pathlib import Path

import httpx

from support.server_fixture import serving

BOT = "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) Version/17.1 Safari/604.1"


def test_a_source_refuses_known_bots_where_it_is_told_to(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        shop = server.shop("Shop", "web")
        key, source_id = shop.write_keys["web"], shop.source_ids["web"]

        def post(number: int, agent: str) -> int:
            body = {"messageId": f"m{number}", "anonymousId": f"a{number}"}
            return server.track("/v1/page", body, key, User_Agent=agent).status

        def batch(*agents: str) -> list[dict[str, object]]:
            return [
                {"type": "page", "messageId": f"{agent} in {len(agents)}", "userId": "u",
                 "context": {"userAgent": agent}}
                for agent in agents
            ]  # fmt: skip

        assert [post(1, BOT), post(2, BROWSER)] == [200, 200]
        server.program.run("source", "bots", "web", "--workspace", "Shop", "--refuse")
        shop.wait_until_counted()
        [listed] = shop.ask("/headcount/v1/sources").data["sources"]
        assert listed["refusesBots"] is True
        # A change reaches the workers within a second.
        tries = 0
        while post(1000 + tries, BOT) == 200:
            tries += 1
            assert tries < 2000
        assert post(3, BROWSER) == 200
        server.track("/v1/batch", {"batch": batch(BOT, BROWSER)}, key)
        shop.wait_until_counted()
        totals = shop.ask("/headcount/v1/outcomes").data["totals"]
        assert totals["rejectedByReason"] == {"bot": 2}
        assert totals["accepted"] == 4 + tries

        with httpx.Client(base_url=server.api) as visitor:
            visitor.post("/page/sign-in", data={"token": shop.token})
            page = visitor.get(f"/page/source?source={source_id}").text
        assert "Messages of known bots are refused" in page
        server.program.run("source", "bots", "web", "--workspace", "Shop", "--count")
        [listed] = shop.ask("/headcount/v1/sources").data["sources"]
        assert listed["refusesBots"] is False


def test_a_known_message_id_on_another_message_is_an_outcome_of_its_own(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        shop = server.shop("Shop", "web")
        key = shop.write_keys["web"]
        for body in (
            {"messageId": "m1", "userId": "ann"},
            {"messageId": "m1", "userId": "ann"},
            {"messageId": "m1", "userId": "bob"},
        ):
            server.track("/v1/page", body, key)
        shop.wait_until_counted()
        totals = shop.ask("/headcount/v1/outcomes").data["totals"]
        assert totals == {
            "accepted": 1, "duplicate": 1, "conflictingDuplicate": 1, "rejected": 0,
            "rejectedByReason": {},
        }  # fmt: skip
        with httpx.Client(base_url=server.api) as visitor:
            visitor.post("/page/sign-in", data={"token": shop.token})
            page = visitor.get(f"/page/source?source={shop.source_ids['web']}").text
            metrics = visitor.get("/metrics").text
        for reason in ("", "conflicting"):
            series = f'headcount_messages_total{{outcome="duplicate",reason="{reason}"}}'
            assert f"{series} 1.0" in metrics
        assert "Conflicting duplicate" in page
