"""`kill -9` of each process of a real server, at seeded moments, under load.

Eight clients send until they are acknowledged; an intake worker, the meter, the api process, the
supervisor and all of them at once are killed; a reader looks on. At the end every message is
counted once, as the oracle counts. A failing seed is repeated with
`HEADCOUNT_SEED=<seed> pytest <this file>`.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from crash.traffic import Address, Batch, Clients, Source, batches_of, expected
from headcount.counting.calendar import Period
from support.oracle import Oracle
from support.server_fixture import Counts, Server, Shop, eventually, serving

SEEDS = [int(os.environ["HEADCOUNT_SEED"])] if "HEADCOUNT_SEED" in os.environ else range(20)
BATCHES = 500
AHEAD = 60  # batches that clients may begin before a kill that is due has happened
VICTIMS = ("intake", "meter", "api", "supervisor", "all")
SHOPS = {"north": ("web", "app"), "south": ("till",)}
SHUT_DOWN_WITHIN_S = 10.0


@dataclass(frozen=True)
class Prepared:
    """A data folder with workspaces and sources, copied for each test; and the traffic."""

    data: Path
    shops: dict[str, Shop]
    batches: list[Batch]
    oracle: Oracle

    def numbers(self) -> dict[str, int]:
        """Workspace numbers by name: they are made in this order."""
        return {name: number for number, name in enumerate(SHOPS, 1)}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared")
    sources = []
    with serving(folder) as server:
        shops = {name: server.shop(name, *names) for name, names in SHOPS.items()}
    for workspace, (name, names) in enumerate(SHOPS.items(), 1):
        for source in names:
            key = shops[name].write_keys[source]
            sources.append(Source(source, len(sources) + 1, workspace, key))
    batches = batches_of(sources, BATCHES, random.Random("traffic"))
    return Prepared(folder / "data", shops, batches, expected(batches, received_at_ms=0))


class Life:
    """One server after the other on one data folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.address = Address(0)
        self.api = Address(0)
        self.start()

    def start(self) -> None:
        """Start a server; the one before it must be dead."""
        self.server = self._stack.enter_context(serving(self._folder, "--workers", "2"))
        self.address.port = _port(self.server.tracking)
        self.api.port = _port(self.server.api)

    def kill(self, victim: str, rng: random.Random) -> None:
        """Kill by the ids of living processes."""
        roles = ("intake", "meter", "api")
        if victim in roles:
            eventually(lambda: bool(self.server.children(victim)), f"a living {victim} process")
            rng.choice(self.server.children(victim)).kill()
            return
        children = [child for role in roles for child in self.server.children(role)]
        self.server.process.kill()
        if victim == "all":
            rng.shuffle(children)
            for child in children:
                if child.is_running():
                    child.kill()
        self.server.process.wait()
        self.start()


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


class Reader:
    """Asks for the usage of a workspace all the time; what it is told must never fall."""

    def __init__(self, api: Address, shop: Shop) -> None:
        self._api = api
        self._token = shop.token
        self._enough = threading.Event()
        self._failure: BaseException | None = None
        self.answers = 0
        self._thread = threading.Thread(target=self._keep_reading)
        self._thread.start()

    def stop(self) -> None:
        """End reading; raises what went wrong."""
        self._enough.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _keep_reading(self) -> None:
        highest: dict[tuple[str, str], int] = {}
        try:
            while not self._enough.wait(0.02):
                for name, value in self._read().items():
                    assert value >= highest.get(name, 0), f"{name} fell to {value}"
                    highest[name] = value
        except BaseException as failure:
            self._failure = failure

    def _read(self) -> dict[tuple[str, str], int]:
        connection = http.client.HTTPConnection("127.0.0.1", self._api.port, timeout=20)
        try:
            headers = {"Authorization": f"Bearer {self._token}"}
            connection.request("GET", "/headcount/v1/summary", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return {}  # it was just killed
        finally:
            connection.close()
        assert answer.status == 200, body
        self.answers += 1
        data = json.loads(body)["data"]
        scopes = {"": data["month"]["totals"]}
        scopes |= {source["sourceId"]: source["totals"] for source in data["sources"]}
        return {
            (scope, kind): totals[kind]
            for scope, totals in scopes.items()
            for kind in ("apiCalls", "identified", "anonymous", "anonymousIdentified")
        }


@contextmanager
def under_load(prepared: Prepared, folder: Path, seed: int) -> Iterator[tuple[Life, Clients]]:
    """A server on a copy of the prepared folder, with clients and readers at it."""
    shutil.copytree(prepared.data, folder / "data")
    with ExitStack() as stack:
        life = Life(folder, stack)
        order = list(prepared.batches)
        random.Random(seed).shuffle(order)
        clients = Clients(order, life.address)
        readers = [Reader(life.api, shop) for shop in prepared.shops.values()]
        clients.start()
        try:
            yield life, clients
        finally:
            clients.give_up()
            for reader in readers:
                reader.stop()
        assert all(reader.answers for reader in readers)


def assert_all_counted(prepared: Prepared, server: Server) -> None:
    """Usage, as the usage API tells it, is the oracle's."""
    for name, shop in prepared.shops.items():
        here = replace(shop, server=server, name=name)
        here.wait_until_counted()
        workspace = prepared.numbers()[name]
        numbers = [s for s, of in sorted(prepared.oracle.workspace_of.items()) if of == workspace]
        found = here.usage()
        assert found.pop("") == _counts(prepared.oracle, "workspace", workspace)
        assert found == {
            source_id: _counts(prepared.oracle, "source", number)
            for number, source_id in zip(numbers, shop.source_ids.values(), strict=True)
        }


def _counts(oracle: Oracle, scope: str, number: int) -> Counts:
    counts = oracle.counts(Period.of_day(0), scope, number, 0)
    del counts["admitted"]  # retries add to it, as they should
    never = counts["anonymous"] - counts["anonymous_identified"]
    return Counts(**counts, never_identified=never)


@pytest.mark.parametrize("seed", SEEDS)
def test_kills_lose_and_repeat_nothing(seed: int, prepared: Prepared, tmp_path: Path) -> None:
    rng = random.Random(seed)
    victims = rng.sample(VICTIMS, len(VICTIMS))
    moments = sorted(rng.sample(range(10, BATCHES - AHEAD), len(victims)))
    try:
        with under_load(prepared, tmp_path, seed) as (life, clients):
            for moment, victim in zip(moments, victims, strict=True):
                clients.allow(moment + AHEAD)
                clients.await_acknowledged(moment)
                time.sleep(rng.random() * 0.02)
                life.kill(victim, rng)
            clients.finish()
            assert clients.resent, "no kill met a client"
            assert_all_counted(prepared, life.server)
    except BaseException as error:
        error.add_note(
            f"killed {victims} after {moments} batches; HEADCOUNT_SEED={seed} repeats it"
        )
        raise


def test_told_to_stop_under_load_it_ends_well_and_keeps_what_it_acknowledged(
    prepared: Prepared, tmp_path: Path
) -> None:
    with under_load(prepared, tmp_path, 0) as (life, clients):
        clients.allow(BATCHES)
        clients.await_acknowledged(BATCHES // 3)
        life.server.process.send_signal(signal.SIGTERM)
        assert life.server.process.wait(SHUT_DOWN_WITHIN_S) == 0
        assert clients.acknowledged < BATCHES, "the load was over before the server was"
        life.start()
        clients.finish()
        assert_all_counted(prepared, life.server)
