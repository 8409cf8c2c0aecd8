"""Two nodes of a cluster as whole servers on a real PostgreSQL: what either takes, both show."""

from __future__ import annotations

import contextlib
import json
import random
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.cluster_programs import NodeProgram, database_server, eventually, nodes_of_a_cluster

MANY = ("--rate-limit-per-minute", "100000")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[NodeProgram]]:
    with nodes_of_a_cluster(tmp_path, "a", "b") as found:
        yield found


class Shop:
    """A workspace with a source, its clients and its reader."""

    def __init__(self, nodes: list[NodeProgram]) -> None:
        self.nodes = nodes
        nodes[0].json("workspace", "add", "Shop")
        self.key = nodes[0].json("source", "add", "web", "--workspace", "Shop")["writeKey"]
        self.token = nodes[0].json("token", "add", "--workspace", "Shop")["token"]
        self.users: set[str] = set()
        self.anonymous: set[str] = set()
        self.messages: set[str] = set()
        self.chance = random.Random(7)
        self.shown: dict[str, tuple[int, int]] = {}
        self.fell: list[tuple[str, tuple[int, int], tuple[int, int]]] = []

    def post(self, node: NodeProgram, count: int, *, again: int = 0) -> None:
        """Messages, some of them copies of what any node has taken before."""
        batch = []
        for _ in range(count):
            message = f"m{len(self.messages)}"
            self.messages.add(message)
            batch.append(self._message(message))
        copies = self.chance.sample(sorted(self.messages), min(again, len(self.messages)))
        batch += [self._message(message) for message in copies]
        self._body = json.dumps({"batch": batch}).encode()
        # Like a client that tries again: the same messages until they are taken.
        eventually(lambda: self._is_taken(node))

    def _is_taken(self, node: NodeProgram) -> bool:
        request = urllib.request.Request(f"{node.where['tracking']}/v1/batch", self._body)
        request.add_header("Content-Type", "application/json")
        basic = b64encode(f"{self.key}:".encode()).decode()
        request.add_header("Authorization", f"Basic {basic}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _message(self, message: str) -> dict[str, Any]:
        user, anonymous = f"u{hash(message) % 40}", f"a{self.chance.randrange(30)}"
        self.users.add(user)
        self.anonymous.add(anonymous)
        return {
            "type": "track", "event": "e", "messageId": message, "userId": user,
            "anonymousId": anonymous,
        }  # fmt: skip

    def read(self, node: NodeProgram) -> tuple[int, dict[str, Any]]:
        try:
            return self._read(node)
        except OSError:
            return 0, {}

    def _read(self, node: NodeProgram) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(f"{node.where['api']}/headcount/v1/summary")
        request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def counted(self, node: NodeProgram) -> tuple[int, int] | None:
        """API calls and identified users of the month, as a node shows them; None where it does
        not. No node may ever show fewer than it did."""
        status, body = self.read(node)
        if status != 200:
            return None
        totals = body["data"]["month"]["totals"]
        shown = totals["apiCalls"], totals["identified"]
        former = self.shown.get(node.name, (0, 0))
        if shown[0] < former[0] or shown[1] < former[1]:
            self.fell.append((node.name, former, shown))
        self.shown[node.name] = shown
        return shown

    def expected(self) -> tuple[int, int]:
        return len(self.messages), len(self.users)

    def is_right(self, node: NodeProgram) -> bool:
        return self.counted(node) == self.expected()


def kill_children(node: NodeProgram, *roles: str) -> None:
    """End processes of a server as the system would."""
    assert node._server is not None
    for child in psutil.Process(node._server.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.cmdline()[-1] in roles:
                child.kill()


def test_what_either_node_takes_both_show(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start(*MANY)
    b.start(*MANY)
    eventually(lambda: shop.read(a)[0] == shop.read(b)[0] == 200)
    shop.post(a, 30)
    shop.post(b, 30, again=20)
    eventually(lambda: shop.is_right(a) and shop.is_right(b))
    # Whatever ends begins again, and nothing is counted twice or not at all.
    for roles in (("relay",), ("partitions",), ("mirror", "node"), ("intake", "api")):
        kill_children(a, *roles)
        kill_children(b, *roles)
        shop.post(a, 10, again=10)
        shop.post(b, 10, again=10)
        eventually(lambda: shop.is_right(a) and shop.is_right(b))
    assert shop.fell == []


def test_while_the_log_is_away_reads_are_old_and_right_and_then_complete(
    nodes: list[NodeProgram],
) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start(*MANY)
    b.start(*MANY)
    eventually(lambda: shop.read(a)[0] == shop.read(b)[0] == 200)
    shop.post(a, 20)
    eventually(lambda: shop.is_right(a) and shop.is_right(b))
    before = shop.expected()
    primary = database_server().primary
    primary.kill()
    try:
        shop.post(a, 20, again=5)
        shop.post(b, 20, again=5)
        eventually(lambda: "log cannot be asked" in _ready(a))
        assert (shop.counted(a), shop.counted(b)) == (before, before)
    finally:
        primary.start()
    eventually(lambda: shop.is_right(a) and shop.is_right(b))
    assert shop.fell == []


def test_a_node_reads_nothing_before_all_partitions_are_there(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    shop = Shop(nodes)
    b.start(*MANY)  # all partitions are the other's, who does not serve yet
    eventually(lambda: "has counted is not here yet" in _ready(b))
    assert shop.read(b)[0] == 503
    a.start(*MANY)
    shop.post(b, 10)
    eventually(lambda: shop.is_right(b))


def _ready(node: NodeProgram) -> str:
    try:
        with urllib.request.urlopen(f"{node.where['api']}/readyz", timeout=30) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
