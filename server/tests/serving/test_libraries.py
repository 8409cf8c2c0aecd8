"""Which libraries sent a source's messages: told exactly, by API, page and command line."""

from __future__ import annotations

from pathlib import Path

import httpx

from support.server_fixture import Shop, serving


def sent(shop: Shop) -> dict[str, int]:
    """Messages of several libraries, taken, refused and sent again; what must be told of them."""
    server, key = shop.server, shop.write_keys["web"]
    page = {"type": "page", "userId": "u"}

    def named(name: str) -> dict[str, object]:
        return {**page, "context": {"library": {"name": name, "version": "1"}}}

    for _ in range(2):  # the second time all of them are duplicates, and were sent all the same
        batch = [
            {**named(name), "messageId": f"{name} {n}"} for name in ("a", "b") for n in range(3)
        ]
        server.track("/v1/batch", {"batch": [*batch, {"type": "page"}]}, key)
    server.track(
        "/v1/page", {**page, "messageId": "m"}, key, User_Agent="analytics-go (version: 3)"
    )
    server.track("/v1/p", page, key, User_Agent="Mozilla/5.0 (X11; Linux)")
    server.track("/v1/page", named("\x1b[31m<b>"), key)
    server.track("/v1/page", {"type": "page", "context": {"library": {"name": "none"}}}, key)
    shop.wait_until_counted()
    return {"a": 6, "b": 6, "analytics-go": 1, "analytics.js": 1, "?31m?b?": 1}


def told(shop: Shop) -> dict[str, int]:
    [source] = shop.ask("/headcount/v1/libraries").data["sources"]
    assert source["sourceId"] == shop.source_ids["web"]
    return {each["name"]: each["messages"] for each in source["libraries"]}


def test_each_library_is_told_with_what_it_sent(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        shop = server.shop("Shop", "web", "silent")
        expected = sent(shop)
        assert told(shop) == expected
        # Who sent them is of the same messages as their outcomes, and is none of these.
        totals = shop.ask("/headcount/v1/outcomes").data["totals"]
        assert totals["accepted"] + totals["duplicate"] == sum(expected.values())
        assert totals["rejectedByReason"] == {"no_user_anon_id": 3}
        one = shop.ask(f"/headcount/v1/libraries?sourceId={shop.source_ids['web']}").data
        assert [each["sourceName"] for each in one["sources"]] == ["web"]
        other = shop.ask(f"/headcount/v1/libraries?sourceId={shop.source_ids['silent']}").data
        assert other["sources"] == []
        assert shop.ask("/headcount/v1/libraries?sourceId=x").status == 404
        assert server.ask("/headcount/v1/libraries").status == 401

        printed = server.program.run(
            "libraries", "--host", server.api, HEADCOUNT_TOKEN=shop.token
        ).stdout
        assert "analytics-go" in printed
        assert "\x1b" not in printed
        with httpx.Client(base_url=server.api) as visitor:
            visitor.post("/page/sign-in", data={"token": shop.token})
            page = visitor.get(f"/page/source?source={shop.source_ids['web']}").text
        assert "analytics-go" in page
        assert "<b>" not in page.partition("libraries-label")[2].partition("</section>")[0]
    with serving(tmp_path) as again:
        shop.server = again
        assert told(shop) == expected
