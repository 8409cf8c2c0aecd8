"""A workspace of a cluster with clients that post to any node, and what they expect to read."""

from __future__ import annotations

import json
import random
import urllib.error
import urllib.request
from base64 import b64encode
from typing import Any

from support.cluster_programs import NodeProgram, eventually


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
        eventually(lambda: self.is_taken(node))

    def is_taken(self, node: NodeProgram) -> bool:
        """Whether a node acknowledges what was posted last."""
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
