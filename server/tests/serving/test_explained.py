"""Why a count moved: told by API, command line and page, from messages that a server took."""

from __future__ import annotations

from pathlib import Path

import httpx

from support.server_fixture import Shop, serving

GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BROWSER = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0"


def sent(shop: Shop) -> None:
    """A visitor who becomes known, a bot, and a server's user; each in a way of its own."""
    library = {"name": "analytics.js", "version": "4.1.0"}
    web, backend = shop.write_keys["web"], shop.write_keys["backend"]

    def message(kind: str, number: int, **fields: object) -> dict[str, object]:
        context = {"library": library, "userAgent": BROWSER}
        return {"type": kind, "messageId": f"m{number}", "context": context, **fields}

    shop.server.track("/v1/batch", {"batch": [
        message("page", 1, anonymousId="a1"),
        message("track", 2, anonymousId="a2", event="Signed \x1b[31m<b>\u202eUp</b>"),
        message("identify", 3, anonymousId="a1", userId="ann"),
    ]}, web)  # fmt: skip
    shop.server.track(
        "/v1/page", {"messageId": "m4", "anonymousId": "a3"}, web, User_Agent=GOOGLEBOT
    )
    shop.server.track(
        "/v1/track", {"messageId": "m5", "userId": "ann", "event": "Paid"}, backend,
        User_Agent="analytics-python/2.3.2",
    )  # fmt: skip
    shop.wait_until_counted()


def test_every_new_id_is_told_with_its_message(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        shop = server.shop("Shop", "web", "backend")
        sent(shop)
        told = shop.ask("/headcount/v1/explain").data
        rows = [
            (each["sourceName"], each["library"], each["libraryVersion"], each["type"],
             each["event"], each["bot"], each["kind"], each["change"])
            for each in told["contributions"]
        ]  # fmt: skip
        assert sorted(rows) == [
            # Of the backend no id is new: ann was known already.
            ("web", "a browser", "", "page", "", True, "anonymous", 1),
            ("web", "analytics.js", "4.1.0", "identify", "", False, "identified", 1),
            ("web", "analytics.js", "4.1.0", "identify", "", False, "linked", -1),
            ("web", "analytics.js", "4.1.0", "page", "", False, "anonymous", 1),
            ("web", "analytics.js", "4.1.0", "track", "Signed ?[31m<b>?Up</b>", False,
             "anonymous", 1),
        ]  # fmt: skip
        assert told["change"] == told["now"] == sum(row[-1] for row in rows) == 3
        assert told["notes"] == [
            f"{told['against'][:7]} lies before the first usage: there is nothing to hold"
            f" {told['period'][:7]} against, so all of it is new."
        ]
        origins = {each["origin"] for each in told["contributions"]}
        assert "page views by known bots from browsers, by pages that name no library" in origins

        own = shop.ask(
            f"/headcount/v1/explain?sourceId={shop.source_ids['backend']}&by=event&limit=1"
        ).data
        [row] = own["contributions"]
        assert (row["event"], row["kind"], row["sourceId"], row["library"]) == (
            "Paid", "identified", "", "",
        )  # fmt: skip
        assert shop.ask("/headcount/v1/explain?metric=api-calls").data["change"] == 5
        assert shop.ask("/headcount/v1/explain?by=colour").status == 422
        assert shop.ask("/headcount/v1/explain?rank=best").status == 422
        assert shop.ask("/headcount/v1/explain?limit=0").status == 422
        assert shop.ask("/headcount/v1/explain?metric=users").status == 422
        assert shop.ask("/headcount/v1/explain?sourceId=x").status == 404
        assert shop.ask("/headcount/v1/explain?against=2001-01-01").status == 404

        printed = server.program.run(
            "explain", "--host", server.api, "--by", "source,event", HEADCOUNT_TOKEN=shop.token
        ).stdout
        assert "Signed" in printed
        assert "\x1b" not in printed
        own = server.program.run(
            "explain", "--host", server.api, "--source", "backend", HEADCOUNT_TOKEN=shop.token
        )
        assert "Paid" in own.stdout
        for option, said in (
            (("--against", "2001-01"), ("2001-01-01 lies before", "first usage")),
            (("--by", "colour"), ('"by" must name some of source', "Correct the option")),
            (("--source", "Frontend"), ('no source "Frontend"', "headcount source list")),
        ):
            refused = server.program.run(
                "explain", "--host", server.api, *option, HEADCOUNT_TOKEN=shop.token
            )
            assert refused.returncode != 0
            assert all(part in refused.stderr for part in said), refused.stderr
        with httpx.Client(base_url=server.api) as visitor:
            visitor.post("/page/sign-in", data={"token": shop.token})
            page = visitor.get("/page/explain").text
            assert "4.1.0" in page
            assert "<b>Up" not in page
            for query, title in (
                ("period=2001-01-01", "no such month"),
                ("source=x", "no such so"),
            ):
                refused = visitor.get(f"/page/explain?{query}")
                assert (refused.status_code, title in refused.text) == (404, True)
            # Of a month beside itself the one before is shown.
            month = told["period"]
            itself = visitor.get(f"/page/explain?period={month}&against={month}&metric=x&rank=x")
            assert f'value="{told["against"]}" selected' in itself.text
