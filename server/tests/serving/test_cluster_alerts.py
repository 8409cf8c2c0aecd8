"""Alerts and quotas of a cluster: asked for on one node, told once, by whoever lives."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from standardwebhooks import Webhook

from headcount.catalog import Catalog
from headcount.counting.months import current_period
from support.cluster_programs import NodeProgram, eventually, nodes_of_a_cluster
from support.cluster_shop import Shop
from support.nats_servers import NatsServers
from support.scripted_receiver import Does, ScriptedReceiver, scripted_receiver

# Whole nodes: on a machine that others use as well, everything takes a multiple.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def nodes(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[NodeProgram]]:
    """Two nodes over PostgreSQL, or what a test names instead."""
    with ExitStack() as stack:
        address = None
        if getattr(request, "param", "") == "nats":
            servers = stack.enter_context(closing(NatsServers()))
            servers.start()
            address = servers.address
        found = stack.enter_context(nodes_of_a_cluster(tmp_path, "a", "b", address=address))
        for node in found:
            node.settings["HEADCOUNT_BACKUPS"] = str(tmp_path / "backups")
        found[1].settings["HEADCOUNT_HASH_KEY"] = str(tmp_path / "b.key")
        yield found


def told(receiver: ScriptedReceiver, secret: str) -> dict[str, list[str]]:
    """What was taken, verified: the name of each notice to the thresholds in it."""
    found = {}
    for posted in receiver.taken():
        said = Webhook(secret).verify(posted.body, posted.headers)
        crossings = said["data"].get("crossings", ())
        found[posted.headers["webhook-id"]] = [each["threshold"] for each in crossings]
    return {name: texts for name, texts in found.items() if texts}


def thresholds(receiver: ScriptedReceiver, secret: str) -> list[str]:
    return sorted(each for texts in told(receiver, secret).values() for each in texts)


def kill_alert_process(node: NodeProgram) -> None:
    """Kill the process that tells people, as it may end at any moment."""
    assert node._server is not None
    for each in psutil.Process(node._server.pid).children(recursive=True):
        if "alert" in each.cmdline():
            os.kill(each.pid, signal.SIGKILL)


def ask(node: NodeProgram, path: str, token: str) -> Any:
    request = urllib.request.Request(node.where["api"] + path)
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())["data"]


def test_each_threshold_is_told_once_though_who_tells_is_killed_and_its_node_dies(
    nodes: list[NodeProgram],
) -> None:
    a, b = nodes
    down = [True]
    with scripted_receiver(lambda _: Does(503) if down[0] else Does()) as receiver:
        shop = Shop(nodes)
        a.start()
        b.start("--take-over-after", "4")
        shop.post(a, 10)
        eventually(lambda: shop.is_right(b))
        # Asked for on the node that does not tell.
        channel = b.json(
            "channel", "add", "ops", "--workspace", "Shop", "--webhook", receiver.url,
            "--allow-private",
        )  # fmt: skip
        at = [each for amount in ("20", "60", "100", "140") for each in ("--at", amount)]
        b.json("alert", "add", "--workspace", "Shop", "--metric", "api-calls", *at)
        shop.post(a, 20)
        eventually(lambda: len(receiver.came) >= 1)
        kill_alert_process(a)
        down[0] = False
        eventually(lambda: thresholds(receiver, channel["secret"]) == ["20"])
        # While nobody tells, one more is crossed; every node has found it.
        kill_alert_process(a)
        shop.post(b, 40)
        eventually(lambda: shop.is_right(a))
        eventually(lambda: shop.is_right(b))
        eventually(lambda: thresholds(receiver, channel["secret"]) == ["20", "60"])
        eventually(lambda: all(each["backedUpAt"] for each in b.json_status()["partitions"]))
        a.kill()
        shop.post(b, 80)
        eventually(lambda: shop.is_right(b), 120)
        everything = ["100", "140", "20", "60"]
        eventually(lambda: thresholds(receiver, channel["secret"]) == everything, 120)
        # The node that told comes back, and has found things of its own.
        a.start()
        eventually(lambda: shop.is_right(a), 120)

        def states(node: NodeProgram) -> set[str]:
            return {each["state"] for each in node.json("alert", "log")}

        eventually(lambda: all(states(node) == {"delivered"} for node in nodes))
        assert thresholds(receiver, channel["secret"]) == everything
        assert a.json("channel", "test", "ops")["taken"]
        assert b.json("channel", "test", "ops")["taken"]

        def tests_on_a() -> int:
            log = ask(a, "/headcount/v1/alert-log", shop.token)["deliveries"]
            return sum(each["kind"] == "test" for each in log)

        # Its copy of the catalog is about a second old.
        eventually(lambda: tests_on_a() == 2)


@pytest.mark.parametrize("nodes", ["postgresql", "nats"], indirect=True)
def test_quotas_limits_and_prices_hold_on_every_node(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start()
    b.start()
    with scripted_receiver() as receiver:
        # All of it is set on the node that counts nothing and tells nobody.
        b.json("plan", "set", "--workspace", "Shop", "--api-calls", "20")
        priced = ("plan", "price", "2.50", "--workspace", "Shop", "--metric", "api-calls")
        b.json(*priced, "--per", "10", "--currency", "USD")
        channel = b.json(
            "channel", "add", "ops", "--workspace", "Shop", "--webhook", receiver.url,
            "--allow-private",
        )  # fmt: skip
        share = ("--metric", "api-calls", "--at", "50%", "--at", "200%")
        b.json("alert", "add", "--workspace", "Shop", *share)
        quota = ("source", "quota", "web", "--workspace", "Shop", "--api-calls", "30")
        b.json(*quota, "--past", "refuse")
        shop.post(a, 12)
        shop.post(b, 13, again=6)
        eventually(lambda: shop.is_right(a) and shop.is_right(b))
        eventually(lambda: thresholds(receiver, channel["secret"]) == ["50%"])
        shop.post(a, 10)
        eventually(lambda: shop.is_right(a) and shop.is_right(b))
        # Each node refuses by what it shows; what is refused is counted by nobody.
        eventually(lambda: not shop.is_taken(a))
        eventually(lambda: not shop.is_taken(b))
        outcomes = [
            eventually(lambda node=node: agreed(node, shop.token)) for node in nodes
        ]  # the same moment on both
        assert outcomes[0] == outcomes[1]
        [reached] = outcomes[0]
        assert (reached["sourceName"], reached["quota"], reached["past"]) == ("web", 30, "refuse")
        for node in nodes:
            month = ask(node, "/headcount/v1/summary", shop.token)
            assert month["planLimits"]["apiCalls"] == 20
            assert month["overage"]["apiCalls"] == 15
            cost = month["overageCost"]["apiCalls"]
            assert float(cost["amount"]) == 5, "two steps of ten were begun"
            with pytest.raises(urllib.error.HTTPError) as refused:
                ask(node, "/headcount/v1/explain", shop.token)
            assert refused.value.code == 404
            assert "not available in a cluster" in refused.value.read().decode()
        a.json(*quota[:-1], "1000", "--past", "refuse")
        eventually(lambda: shop.is_taken(b))
        eventually(lambda: shop.is_right(b))
        assert shop.fell == []


def agreed(node: NodeProgram, token: str) -> Any:
    """When a quota was reached, once the nodes have agreed on that."""
    catalog = Catalog(node.data / "catalog.sqlite", read_only=True)
    with catalog:
        [shop] = catalog.workspaces()
        period = current_period(time.time_ns() // 1_000_000)
        if not catalog.quotas_reached(shop.number, period):
            return None
    return ask(node, "/headcount/v1/outcomes", token)["quotasReached"]
