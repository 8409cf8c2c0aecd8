"""`kill -9` of each process of a server whose sources forward, at seeded moments, to a vendor that
delays, refuses for a while, resets, answers garbage and dies.

What the vendor holds at the end, de-duplicated by message id, is what was counted, in order per
source: also where senders give up after a kill, so that nobody but the server knows whether their
message was taken. A failing seed is repeated with `HEADCOUNT_SEED=<seed> pytest <this file>`.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.scripted_vendor import Doing, ScriptedVendor, scripted_vendor
from support.server_fixture import Server, Shop, eventually, serving

SEEDS = [int(os.environ["HEADCOUNT_SEED"])] if "HEADCOUNT_SEED" in os.environ else range(2)
VICTIMS = ("intake", "forward", "meter", "supervisor", "all", "vendor")
ROLES = ("intake", "meter", "api", "forward")
NOBODY_THERE, CUT_OFF = 0, 1
SENDERS = {"web": 1, "app": 3}


def script_of(seed: int) -> Any:
    """What the vendor does: mostly what it should, and all that it should not."""

    def script(number: int) -> Doing:
        rng = random.Random(f"{seed} {number}")
        luck = rng.random()
        if luck < 0.85:
            return Doing(after_s=rng.random() * 0.01)
        return rng.choice(
            [
                Doing(503),
                Doing(500, holds=True),  # it took it, and says that it failed
                Doing(429, headers=(("Retry-After", "0"),)),
                Doing(reset=True),
                Doing(reset=True, holds=True),
                Doing(0, holds=True),
                Doing(302, headers=(("Location", "http://127.0.0.1:1/"),)),
                Doing(after_s=0.1),
            ]
        )

    return script


@dataclass
class Sender:
    """Sends one request after the other, each once the one before was acknowledged or given up."""

    name: str
    key: str
    number: int
    life: Life
    rng: random.Random
    enough: threading.Event
    acknowledged: list[str] = field(default_factory=list)
    given_up: int = 0
    failure: BaseException | None = None

    def run(self) -> None:
        try:
            turn = 0
            while not self.enough.wait(self.rng.random() * 0.05):
                self._send(turn)
                turn += 1
        except BaseException as failure:
            self.failure = failure

    def _send(self, turn: int) -> None:
        path, body, ids = self._request(turn)
        while True:
            status = self._post(path, body)
            if status == 200:
                self.acknowledged += ids
                return
            if status == CUT_OFF and self.rng.random() < 0.5:
                # It may have been taken or not: only the server knows.
                self.given_up += 1
                return
            assert status in (NOBODY_THERE, CUT_OFF, 429, 503), status
            time.sleep(0.02)

    def _request(self, turn: int) -> tuple[str, bytes, list[str]]:
        place = {"sender": self.number, "turn": turn}
        if self.rng.random() < 0.5:
            # Without an id, so that the one it is counted by is made here; a retry is another one.
            message = {"event": "x", "userId": f"u{self.rng.randrange(50)}", "properties": place}
            ids = []
            if self.rng.random() < 0.5:
                ids = [f"{self.name}-{self.number}-{turn}"]
                message["messageId"] = ids[0]
            return "/v1/track", json.dumps(message).encode(), ids
        batch: list[Any] = []
        ids = []
        for index in range(self.rng.randrange(1, 6)):
            luck = self.rng.random()
            if luck < 0.2:
                batch.append({"type": "track", "userId": "rejected"})
                continue
            message_id = f"{self.name}-{self.number}-{turn}-{index}"
            ids.append(message_id)
            batch.append(
                {
                    "type": "page", "messageId": message_id, "properties": place,
                    "anonymousId": f"a{self.rng.randrange(50)}",
                }
            )  # fmt: skip
        return "/v1/batch", json.dumps({"batch": batch, "writeKey": self.key}).encode(), ids

    def _post(self, path: str, body: bytes) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.life.port, timeout=20)
        basic = base64.b64encode(f"{self.key}:".encode()).decode()
        try:
            connection.connect()
        except OSError:
            return NOBODY_THERE
        try:
            connection.request("POST", path, body, {"Authorization": f"Basic {basic}"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return CUT_OFF
        finally:
            connection.close()


class Life:
    """One server after the other on one data folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.server: Server = self.start()

    def start(self) -> Server:
        self.server = self._stack.enter_context(serving(self._folder, "--workers", "2"))
        port = urlsplit(self.server.tracking).port
        assert port is not None
        self.port = port
        return self.server

    def kill(self, victim: str, vendor: ScriptedVendor, rng: random.Random) -> None:
        if victim == "vendor":
            vendor.die()
            time.sleep(0.5)
            vendor.start()
        elif victim in ROLES:
            eventually(lambda: bool(self.server.children(victim)), f"a living {victim} process")
            rng.choice(self.server.children(victim)).kill()
        else:
            children = [child for role in ROLES for child in self.server.children(role)]
            self.server.process.kill()
            if victim == "all":
                for child in rng.sample(children, len(children)):
                    if child.is_running():
                        child.kill()
            self.server.process.wait()
            self.start()


def await_delivered(shop: Shop, name: str) -> dict[str, Any]:
    """Wait until nothing waits for the vendor any more; what it says of the source."""
    told: dict[str, Any] = {}

    def delivered() -> bool:
        nonlocal told
        told = shop.server.program.json("source", "forward", name, "--show")
        return told["waitingMessages"] == 0 and told["waitingBytes"] == 0

    eventually(delivered, f"all of {name} to be delivered")
    return told


def assert_held_is_counted(shop: Shop, vendor: ScriptedVendor, name: str, key: str) -> None:
    """The vendor's ids and users are those that were counted."""
    held = vendor.distinct(key)
    usage = shop.usage()[shop.source_ids[name]]
    assert len(held) == usage.api_calls
    assert len({each["userId"] for each in held if "userId" in each}) == usage.identified
    assert len({each["anonymousId"] for each in held if "anonymousId" in each}) == usage.anonymous


def assert_in_order(vendor: ScriptedVendor, key: str, senders: list[Sender]) -> None:
    for sender in senders:
        turns = [
            each["properties"]["turn"]
            for each in vendor.distinct(key)
            if each["properties"]["sender"] == sender.number
        ]
        assert turns == sorted(turns), f"{sender.name} {sender.number} came out of order"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_vendor_holds_is_what_was_counted_through_kills(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    victims = rng.sample(VICTIMS, len(VICTIMS))
    try:
        with ExitStack() as stack:
            vendor = stack.enter_context(scripted_vendor(script_of(seed)))
            life = Life(tmp_path, stack)
            shop = life.server.shop("Shop", *SENDERS, "apart")
            for name in SENDERS:
                shop.server.program.json(
                    "source", "forward", name, "--to", vendor.url, "--write-key", f"vendor-{name}"
                )
            eventually(lambda: bool(life.server.children("forward")), "a process that forwards")
            time.sleep(0.5)  # until every worker knows
            enough = threading.Event()
            senders = [
                Sender(
                    name,
                    shop.write_keys[name],
                    number,
                    life,
                    random.Random(f"{seed} {name} {number}"),
                    enough,
                )
                for name, count in SENDERS.items()
                for number in range(count)
            ]
            threads = [threading.Thread(target=each.run) for each in senders]
            for thread in threads:
                thread.start()
            for victim in victims:
                time.sleep(0.2 + rng.random() * 0.5)
                life.kill(victim, vendor, rng)
            enough.set()
            for thread in threads:
                thread.join()
            assert [each.failure for each in senders if each.failure] == []
            shop.server = life.server
            shop.wait_until_counted()
            for name in SENDERS:
                key, of_source = f"vendor-{name}", [s for s in senders if s.name == name]
                told = await_delivered(shop, name)
                assert set(told["outcomes"]) == {"delivered"}
                ids = {each["messageId"] for each in vendor.messages(key)}
                missing = {i for each in of_source for i in each.acknowledged} - ids
                assert missing == set(), f"{len(missing)} were acknowledged and not delivered"
                assert_held_is_counted(shop, vendor, name, key)
                assert_in_order(vendor, key, of_source)
                bodies = [each.body for each in vendor.came if each.write_key == key]
                assert not any(shop.write_keys[name].encode() in body for body in bodies)
                assert not any(b"rejected" in body for body in bodies)
            left = list((tmp_path / "data" / "spool").glob("*/*.segment"))
            assert left == [], "what is delivered is deleted"
    except BaseException as error:
        error.add_note(f"killed {victims}; HEADCOUNT_SEED={seed} repeats it")
        raise
