"""Alerts on a whole server: from a message to a webhook that is verified, through kills."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from support.scripted_receiver import Does, scripted_receiver
from support.server_fixture import Shop, eventually, serving


def run(shop: Shop, *arguments: str) -> Any:
    return shop.server.program.json(*arguments)


def sends(shop: Shop, first: int, count: int) -> None:
    for number in range(first, first + count):
        message = {"event": "x", "userId": f"u{number}", "messageId": f"m{number}"}
        assert shop.server.track("/v1/track", message, shop.write_keys["web"]).status == 200


def test_a_threshold_that_is_reached_is_told_once_and_verified(tmp_path: Path) -> None:
    down = [True]
    with (
        scripted_receiver(lambda _: Does(503) if down[0] else Does()) as receiver,
        serving(tmp_path, "--workers", "1") as server,
    ):
        shop = server.shop("Shop", "web")
        run(shop, "plan", "set", "--workspace", "Shop", "--mtu", "10")
        channel = run(
            shop, "channel", "add", "ops", "--workspace", "Shop", "--webhook", receiver.url,
            "--allow-private",
        )  # fmt: skip
        assert channel["secret"].startswith("whsec_")
        assert "secret" not in run(shop, "channel", "list")[0]
        run(
            shop,
            "alert",
            "add",
            "--workspace",
            "Shop",
            "--at",
            "50%",
            "--at",
            "80%",
            "--at",
            "120%",
        )
        sends(shop, 0, 9)
        shop.wait_until_counted()
        eventually(lambda: len(receiver.came) >= 1, "a first try")
        down[0] = False
        for role in ("meter", "alert"):
            [process] = server.children(role)
            os.kill(process.pid, signal.SIGKILL)
        sends(shop, 9, 3)

        def reached() -> list[str]:
            told = {  # by name: what was sent and not noted when it was killed is sent again
                posted.headers["webhook-id"]: Webhook(channel["secret"]).verify(
                    posted.body, posted.headers
                )
                for posted in receiver.taken()
            }
            found = [each for one in told.values() for each in one["data"]["crossings"]]
            return sorted(each["threshold"] for each in found)

        # In two notices or three, as the commits fell.
        eventually(lambda: len(reached()) >= 3, "all thresholds to be told")
        assert reached() == ["120%", "50%", "80%"]
        log = run(shop, "alert", "log")
        assert {each["state"] for each in log} == {"delivered"}
        came = len(receiver.came)
        shop.server.program.run("alert", "resend", str(log[0]["id"]))
        eventually(lambda: len(receiver.came) > came, "it to be told again")
        assert receiver.came[-1].headers["webhook-id"] == log[0]["event"]
        assert run(shop, "channel", "test", "ops")["taken"]


def test_a_source_past_its_quota_is_refused_and_what_was_taken_stays_counted(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, "--workers", "1") as server:
        shop = server.shop("Shop", "web", "free")
        shop.server.program.run("source", "quota", "web", "--api-calls", "5", "--past", "refuse")
        sends(shop, 0, 5)
        came = [5]

        def refused() -> bool:
            message = {"event": "x", "userId": "u", "messageId": f"m{came[0]}"}
            answer = server.track("/v1/track", message, shop.write_keys["web"])
            if answer.status == 200:
                came[0] += 1
                time.sleep(0.2)
                return False
            assert answer.status == 429
            assert answer.json()["code"] == "quota_reached"
            assert 0 < int(answer.headers["Retry-After"]) <= 3600
            return True

        eventually(refused, "a refusal")
        free = {"event": "x", "userId": "u", "messageId": "free"}
        assert server.track("/v1/track", free, shop.write_keys["free"]).status == 200
        shop.wait_until_counted()
        assert shop.usage()[shop.source_ids["web"]].api_calls == came[0]
        outcomes = server.ask("/headcount/v1/outcomes", shop.token).data
        [reached] = outcomes["quotasReached"]
        assert (reached["sourceName"], reached["quota"], reached["past"]) == ("web", 5, "refuse")
        shop.server.program.run("source", "quota", "web", "--api-calls", "1000")

        def taken() -> bool:
            message = {"event": "x", "userId": "u", "messageId": "again"}
            return server.track("/v1/track", message, shop.write_keys["web"]).status == 200

        eventually(taken, "the source to be taken again")


def test_a_quota_that_marks_refuses_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        shop.server.program.run("source", "quota", "web", "--api-calls", "3")
        sends(shop, 0, 12)
        shop.wait_until_counted()
        sends(shop, 12, 3)
        shop.wait_until_counted()
        assert shop.usage()[shop.source_ids["web"]].api_calls == 15
        [reached] = server.ask("/headcount/v1/outcomes", shop.token).data["quotasReached"]
        assert reached["past"] == "mark"
