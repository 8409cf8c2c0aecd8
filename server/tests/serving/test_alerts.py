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
        # A receiver that takes its time does not keep the server from ending well.
        receiver.script = lambda _: Does(after_s=40)
        came = len(receiver.came)
        shop.server.program.run("alert", "resend", str(log[0]["id"]))
        eventually(lambda: len(receiver.came) > came, "a try that is not answered")


def test_what_nobody_could_be_told_is_said_and_told_once_there_is_a_channel(
    tmp_path: Path,
) -> None:
    """A rule that comes before its plan's limit and before any channel, as people set things up."""
    with scripted_receiver() as receiver, serving(tmp_path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        made = run(shop, "alert", "add", "--workspace", "Shop", "--at", "50%", "--at", "1000")
        assert made["needsLimit"] == ["50%"]
        shown = server.program.run("alert", "show", made["id"])
        assert "1000, 50% (the plan sets no limit)" in shown.stdout
        said = shown.stderr
        assert "50% cannot be reached yet: the plan sets no limit of MTU." in said
        assert "headcount plan set --workspace Shop --mtu N" in said
        [listed] = server.ask("/headcount/v1/alerts", shop.token).data["alerts"]
        assert listed["needsLimit"] == ["50%"]
        sends(shop, 0, 6)
        shop.wait_until_counted()
        run(shop, "plan", "set", "--workspace", "Shop", "--mtu", "10")
        [listed] = server.ask("/headcount/v1/alerts", shop.token).data["alerts"]
        assert listed["needsLimit"] == []

        eventually(lambda: bool(run(shop, "alert", "log")), "the log to say that nobody was told")
        [entry] = run(shop, "alert", "log")
        assert (entry["channel"], entry["state"]) == ("no channel", "dropped")
        assert "50% of the plan's 10 MTU" in entry["title"]
        eventually(
            lambda: b"Nobody is told of alerts" in server.ask("/readyz").body, "/readyz to say so"
        )
        # What to do is what helps here, and nothing of channels that fail.
        assert b"headcount alert resend" in server.ask("/readyz").body
        assert b"three days" not in server.ask("/readyz").body
        channel = run(
            shop, "channel", "add", "ops", "--workspace", "Shop", "--webhook", receiver.url,
            "--allow-private",
        )  # fmt: skip
        assert channel["untold"] == 1
        refused = server.program.run("alert", "resend", "seventeen")
        assert refused.returncode == 2
        assert "There is no delivery 'seventeen'" in refused.stderr
        server.program.run("alert", "resend", str(entry["id"]))
        eventually(lambda: bool(receiver.taken()), "it to be told")
        posted = receiver.taken()[0]
        told = Webhook(channel["secret"]).verify(posted.body, posted.headers)
        assert [each["threshold"] for each in told["data"]["crossings"]] == ["50%"]
        eventually(
            lambda: b"Nobody is told of alerts" not in server.ask("/readyz").body, "it to be over"
        )


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
