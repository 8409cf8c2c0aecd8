"""One drill: takes a seed, an engine and seconds; gives what was done, or says what was wrong.

Everything must be counted in the end as the oracle counts it, on every node, day and scope; and at
no moment may a count have fallen. Each threshold of an alert that is reached must have been told
once. That everything is counted is what the cluster says itself
(`Last-Modified`), so a freshness that passes too early is found out here.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from drill.clients import Clients
from drill.faults import DEATHS, MOVES, Fault, Scene
from drill.nodes import Node, run
from drill.reading import Rows, Watcher, fresh_until, read_rows
from drill.telling import Telling
from drill.traffic import Shop, Traffic, day_number, noon_of
from headcount.catalog import Catalog
from headcount.counting.calendar import Period
from headcount.datafolder import DataFolder, open_data_folder
from moved_clock import MovedClock
from support.engine_servers import ENGINES
from support.oracle import Oracle
from support.program import go_by, now

__all__ = ["Outcome", "drill"]

_FRESH_WITHIN_S = 480
_NAMES = ("n1", "n2", "n3")
_EACH = 4
_SHOPS = {"north": ("web", "app"), "south": ("till",), "race": ("track",)}
_COUNTS = {
    "apiCalls": "api_calls",
    "identified": "identified",
    "anonymous": "anonymous",
    "anonymousIdentified": "anonymous_identified",
}


@dataclass(frozen=True)
class Outcome:
    """What a drill came to.

    Attributes:
        posts: how many were acknowledged.
        snapshots: how many counts were compared with the oracle's.
        reads: how many readings were watched meanwhile.
        thresholds: how many were told, each once.
        done: what was done to the cluster.
        fresh_after_s: how long after the last post everything was counted.
    """

    posts: int
    snapshots: int
    reads: int
    thresholds: int
    done: list[str]
    fresh_after_s: float


class Drill:
    """A cluster of three nodes, and what happens to it.

    Args:
        seed: decides all that is decided by chance.
        engine: `postgresql` or `nats`.
        folder: for everything.
    """

    def __init__(self, seed: int, engine: str, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.seed = seed
        self.folder = folder
        self.servers = ENGINES[engine]()
        moment = now()
        if moment.hour >= 22:
            # Live messages must arrive on one day.
            go_by(MovedClock(folder / "clock", noon_of(moment)))
        self.begun_ms = round(now().timestamp() * 1000)
        self.today = day_number(now())
        settings = {
            "HEADCOUNT_CLUSTER": self.servers.address,
            "HEADCOUNT_WORKERS": "1",
            "HEADCOUNT_RATE_LIMIT_PER_MINUTE": "1000000",
            "HEADCOUNT_PRUNE_AFTER": "backup",
            "HEADCOUNT_BACKUPS": str(folder / "backups"),
            "HEADCOUNT_BACKUP_MINUTES": "1",
        }
        (folder / "backups").mkdir()
        self.nodes = [Node(name, folder, settings) for name in _NAMES]
        self.watchers: list[Watcher] = []
        self.clients: Clients | None = None
        self.telling = Telling()

    def begin(self, *, move: bool) -> None:
        """Begin the cluster; with all partitions shared out, or all on the first node."""
        first, *others = self.nodes
        shops = [self._shop(first.data, *each) for each in enumerate(_SHOPS.items(), 1)]
        run(first.settings, "cluster", "init", "--facts", str(_EACH), "--keys", str(_EACH))
        key = self.folder / "hash-key"
        shutil.copy(DataFolder(first.data).hash_key, key)
        for node in others:
            node.settings["HEADCOUNT_HASH_KEY"] = str(key)
        first.start()
        for node in others:
            node.start()
        for number, node in enumerate(others if move else [], 1):
            theirs = self.partitions()[number :: len(self.nodes)]
            run(first.settings, "cluster", "move", *theirs, "--to", node.name)
        self.traffic = Traffic(self.seed, shops[:-1], shops[-1], self.begun_ms)
        self.shops = shops
        self.periods = [Period.of_day(self.today), self.traffic.last_month]
        self.telling.begin(self.nodes, shops)

    def partitions(self) -> list[str]:
        """Their names."""
        return [f"{stage}-{number}" for stage in ("facts", "keys") for number in range(_EACH)]

    @staticmethod
    def _shop(data: Path, number: int, of: tuple[str, Sequence[str]]) -> Shop:
        """Made before there is a cluster, which takes it in."""
        name, sources = of
        folder = open_data_folder(data, create=True)
        moment_ms = round(now().timestamp() * 1000)
        with Catalog(folder.catalog) as catalog:
            workspace = catalog.add_workspace(name, moment_ms).number
            made = {each: catalog.add_source(workspace, each, moment_ms) for each in sources}
            _, token = catalog.add_token(workspace, "admin", moment_ms)
        return Shop(
            number,
            name,
            token,
            {each: source.write_key for each, source in made.items()},
            {each: source.id for each, source in made.items()},
        )

    def load(self, clients: int, rest_s: float) -> None:
        """Begin to post and to read."""
        self.clients = Clients(self.traffic, self.nodes, clients, rest_s)
        texts = [str(period) for period in self.periods]
        self.watchers = [Watcher(node, self.shops, texts) for node in self.nodes]
        self.clients.start()
        for watcher in self.watchers:
            watcher.start()

    def settle(self) -> None:
        """Wait until what was posted up to now is counted; then copies may come in other months."""
        assert self.clients is not None
        posts, messages = self.traffic.settle()
        until_s = time.monotonic() + _FRESH_WITHIN_S
        while not self.clients.are_done_with(posts):
            self.require_sound()
            assert time.monotonic() < until_s, self.story("posts are not acknowledged")
            time.sleep(0.1)
        self.until_fresh(now())
        self.traffic.settled(messages)

    def until_fresh(self, moment: datetime) -> float:
        """Wait until every node says that all before a moment is counted; how long that took."""
        began_s = time.monotonic()
        passed = moment.replace(microsecond=0) + timedelta(seconds=1)
        waiting = [(node, shop) for node in self.nodes if not node.is_lost for shop in self.shops]
        while waiting:
            self.require_sound()
            if time.monotonic() - began_s > _FRESH_WITHIN_S:
                raise AssertionError(self.story(f"not fresh: {waiting[0][0].name}"))
            node, shop = waiting[0]
            until = fresh_until(node, shop, str(self.periods[0]))
            if until is not None and until >= passed:
                waiting.pop(0)
            else:
                time.sleep(0.1)
        return time.monotonic() - began_s

    def until_disks_may_go(self) -> None:
        """Wait until no disk has anything alone, as who parts with one does."""
        until_s = time.monotonic() + _FRESH_WITHIN_S
        while True:
            self.require_sound()
            status = run(self.nodes[0].settings, "cluster", "status", "--json", may_miss=True)
            if not (at_risk := json.loads(status)["atRisk"]):
                return
            assert time.monotonic() < until_s, self.story(at_risk[0])
            time.sleep(1)

    def require_sound(self) -> None:
        """Fail at once where anything was wrong."""
        assert self.clients is not None
        wrong = [*self.clients.wrong, *(each for w in self.watchers for each in w.wrong)]
        if wrong:
            raise AssertionError(self.story("; ".join(wrong[:5])))

    def lose_a_node(self, scene: Scene) -> None:
        """A node is lost for good, with its disk, when all that it took is handed on.

        It is the one that tells people, so that another goes on with what was told.
        """
        assert self.clients is not None
        node, heir = self.nodes[2], self.nodes[0]
        self.clients.avoided.add(node.name)
        self.settle()
        run(node.settings, "cluster", "move", "facts-0", "--to", node.name)
        scene.say(f"moved facts-0 to {node.name}, which tells people from now on")
        self.settle()
        # What the node took may be in its partitions alone, if the log was wiped a moment ago.
        self.until_disks_may_go()
        node.lose()
        run(heir.settings, "cluster", "takeover", node.name, "--to", heir.name)
        run(heir.settings, "cluster", "retire", node.name, "--yes")
        scene.say(f"lost {node.name} for good; {heir.name} took its partitions over")

    def end(self) -> tuple[int, float]:
        """Let everything be counted, and compare it; how much, and how long it took."""
        assert self.clients is not None
        self.clients.finish()
        took_s = self.until_fresh(self.clients.last_at)
        # At once, and not sooner or later; what that must be is reckoned when all of it is read.
        read = [
            (node, shop, period, read_rows(node, shop, str(period)))
            for node in self.nodes
            if not node.is_lost
            for shop in self.shops
            for period in self.periods
        ]
        for watcher in self.watchers:
            watcher.stopping.set()
            watcher.join()
        compared = self.compare(read)
        living = [node for node in self.nodes if not node.is_lost]
        reached = {
            (shop.name, str(period)): rows.reached()
            for node, shop, period, rows in read
            if node is living[0] and rows is not None
        }
        wrong = self.telling.compare(living, self.shops, reached)
        assert not wrong, self.story("; ".join(wrong[:5]))
        self.require_sound()
        return compared, took_s

    def compare(self, read: Sequence[tuple[Node, Shop, Period, Rows | None]]) -> int:
        """Hold everything that nodes showed to the oracle; how many counts that were."""
        oracle = self.traffic.oracle()
        compared = 0
        races: dict[Node, list[Rows]] = {}
        for node, shop, period, rows in read:
            if shop is self.shops[-1]:
                races.setdefault(node, []).extend([rows] if rows else [])
                continue
            assert rows is not None, self.story(f"{node.name} does not answer")
            compared += self._compare(node, shop, period, rows, oracle)
        for node, shown in races.items():
            self._compare_racing(node, shown)
        return compared

    def _compare(self, node: Node, shop: Shop, period: Period, rows: Rows, oracle: Oracle) -> int:
        found: dict[tuple[str, str, str], int] = {
            ("", day, name): count for (day, name), count in rows.workspace.items()
        } | rows.sources
        names = {shop.source_ids[name]: name for name in shop.source_ids}
        wrong = []
        for (source, day, name), count in found.items():
            number = day_number(datetime.fromisoformat(f"{day}T00:00:00+00:00"))
            scope = "source" if source else "workspace"
            of = self.traffic.source_number(shop, names[source]) if source else shop.number
            expected = oracle.counts(period, scope, of, number)[_COUNTS[name]]
            if count != expected:
                wrong.append(f"{names.get(source, 'all')} {day} {name}: {count}, not {expected}")
        assert not wrong, self.story(f"{node.name}, {shop.name}: {'; '.join(wrong[:5])}")
        return len(found)

    def _compare_racing(self, node: Node, shown: Sequence[Rows]) -> None:
        """Of deliveries in two months one counts, whichever it was."""
        total = dict.fromkeys(("apiCalls", "identified"), 0)
        for rows in shown:
            if rows.workspace:
                day = max(day for day, _ in rows.workspace)
                for name in total:
                    total[name] += rows.workspace[day, name]
        expected = dict.fromkeys(total, len(self.traffic.racing))
        assert total == expected, self.story(f"{node.name}, races: {total}, not {expected}")

    def story(self, wrong: str) -> str:
        """What was wrong, and all that helps to find out why."""
        logs = "\n".join(f"--- {node.name}\n{node.log()[-1500:]}" for node in self.nodes)
        return f"seed {self.seed}: {wrong}\n{logs}"

    def close(self) -> None:
        """End everything, however it went."""
        for watcher in self.watchers:
            watcher.stopping.set()
        for node in self.nodes:
            node.kill()
        if self.clients is not None:
            self.clients.give_up()
        self.telling.close()
        self.servers.close()


def drill(seed: int, engine: str, seconds: float, *, moves: bool = True) -> Outcome:
    """Run one.

    Args:
        seed: decides all that is decided by chance.
        engine: `postgresql` or `nats`.
        seconds: for how long faults are begun; each is begun once at least.
        moves: whether partitions are shared out, moved and put back, and a node is lost for good.

    Raises:
        AssertionError: something was wrong.
    """
    folder = Path(tempfile.mkdtemp(prefix="headcount-drill-"))
    found = Drill(seed, engine, folder)
    try:
        found.begin(move=moves)
        found.load(clients=4, rest_s=0.1)
        scene = Scene(
            found.nodes,
            found.servers,
            found.chance,
            found.partitions(),
            folder / "copies",
            found.settle,
        )
        until_s = time.monotonic() + seconds
        # Each once, in an order that the seed decides; then whichever.
        faults: Sequence[Fault] = (*DEATHS, *MOVES) if moves else DEATHS
        due = found.chance.sample(faults, len(faults))
        while due or time.monotonic() < until_s:
            (due.pop() if due else found.chance.choice(faults))(scene)
            scene.rest(0.5, 2)
            found.require_sound()
            if found.chance.random() < 0.4:
                found.settle()
        if moves:
            found.lose_a_node(scene)
        compared, took_s = found.end()
        assert found.clients is not None
        reads = sum(watcher.reads for watcher in found.watchers)
        told = len(found.telling.told())
        return Outcome(found.clients.acknowledged, compared, reads, told, scene.done, took_s)
    finally:
        found.close()
        shutil.rmtree(folder, ignore_errors=True)
