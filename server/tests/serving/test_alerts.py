"""Alerts on a whole server: from a message to a webhook that is verified, through kills."""

from __future__ import annotations

import os
import signal
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
        eventually(lambda: len(receiver.taken()) >= 2, "two notices")
        told = [
            Webhook(channel["secret"]).verify(posted.body, posted.headers)
            for posted in receiver.taken()
        ]
        reached = [each["threshold"] for one in told for each in one["data"]["crossings"]]
        assert sorted(reached) == ["120%", "50%", "80%"]
        log = run(shop, "alert", "log")
        assert {each["state"] for each in log} == {"delivered"}
        came = len(receiver.came)
        shop.server.program.run("alert", "resend", str(log[0]["id"]))
        eventually(lambda: len(receiver.came) > came, "it to be told again")
        assert receiver.came[-1].headers["webhook-id"] == log[0]["event"]
        assert run(shop, "channel", "test", "ops")["taken"]
