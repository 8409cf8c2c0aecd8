"""In a cluster each threshold is told once, and none is missed, whatever dies.

Every node judges what it shows; whoever tells at the moment writes it down in the one catalog.
Histories on a log that misbehaves: partitions and mirrors start again, he who tells changes and
dies between the cluster's catalog and his own, the registry goes away, a node is lost for good.
Judged by the sums that nodes have shown after each of their commits.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from headcount.alerting.deliverer import Deliverer
from headcount.catalog import Catalog
from headcount.catalog.shared_contents import Contents, Version
from headcount.catalog.told import ToldCatalog
from headcount.cluster.one_catalog import OneCatalog, begin
from headcount.counting.alerts import AlertRule, AlertSetup, Quota, parse_threshold
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.metrics import BY_NAME
from headcount.counting.months import current_period
from headcount.errors import CatalogUnchangedError, EngineAwayError
from headcount.meter.limits import MeterLimits
from headcount.store.partition_protocol import MirrorStore
from headcount.store.protocol import Change
from support.memory_log import NO_FAULTS
from support.memory_registry import MemoryRegistryServer
from support.oracle import PlainFact
from support.stage_histories import FIRST_DAY, KEEPING, memory_folder
from support.staged_cluster import StagedCluster

Patch = pytest.MonkeyPatch
Mark = tuple[int, str, str]
"""Rule, month and threshold."""

RULES = [
    AlertRule(
        number, f"r{number}", "", 1, source, "count", metric,
        tuple(parse_threshold(text, metric) for text in texts), channels=(1,),
    )
    for number, (source, metric, texts) in enumerate(
        [
            (0, "mtu", ["2", "4", "5", "7", "80%"]),
            (0, "api_calls", ["3", "9", "20", "150%"]),
            (2, "mtu", ["1", "3", "4"]),
            (2, "api_calls", ["2", "5", "11"]),
        ],
        1,
    )
]  # fmt: skip
QUOTA = Quota(1, 2, "api_calls", 6, "mark")
LIMIT = 10


class Died(BaseException):
    """A process that is killed."""


class DyingCatalog:
    """The one catalog, as a process sees it that may be killed just behind a change."""

    def __init__(self, server: MemoryRegistryServer, random: Random) -> None:
        self._one = OneCatalog(server.open)
        self._random = random
        self.dies = 0.0

    def newer(self, held: Version) -> Contents | None:
        return self._one.newer(held)

    def publish(self, before: Version, data: bytes) -> Version:
        version = self._one.publish(before, data)
        if self._random.random() < self.dies:
            raise Died
        return version


class World:
    """A cluster of two nodes with rules, and what each has shown."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, Random(seed)
        self.cluster = StagedCluster(
            folder, seed, now_ms=(FIRST_DAY + 40) * MS_PER_DAY, mirrors=2,
            limits=MeterLimits(3, 3, 3, past_bytes_max=1 << 20),
            alerts=lambda: self.setup,
        )  # fmt: skip
        self.setup = AlertSetup(tuple(RULES), lambda *_: LIMIT, (QUOTA,))
        self.registry = MemoryRegistryServer()
        with Catalog(folder / "first.sqlite") as first:
            shop = first.add_workspace("Shop", 1)
            for name in ("one", "web", "three", "four"):
                first.add_source(shop.number, name, 1)
            first.add_channel(
                1, channel_id="c", name="ops", kind="webhook", shown="", sealed=b"", digest="none",
                now_ms=1,
            )  # fmt: skip
            begin(self.registry.open(), first.begin_sharing())
        self.disks = 0
        self.shared = [DyingCatalog(self.registry, self.random) for _ in range(2)]
        self.catalogs = [self._catalog(node) for node in range(2)]
        self.found: list[set[Mark]] = [set(), set()]
        self.lost: set[Mark] = set()
        self.quota_months: list[set[Period]] = [set(), set()]
        self.high: list[dict[Any, int]] = [{}, {}]
        self.whole = [False, False]
        self.posted = 0
        self.looks_at_commits()

    def _catalog(self, node: int) -> Catalog:
        self.disks += 1
        place = self.folder / f"disk{self.disks}"
        place.mkdir()
        catalog = Catalog(place / "catalog.sqlite", shared=self.shared[node])
        catalog.catch_up()
        return catalog

    # What nodes show

    def looks_at_commits(self) -> None:
        """Look at what each mirror shows behind each of its commits, from now on."""
        for node, (store, host) in enumerate(self.cluster.mirrors):
            commit = store.commit

            def seen(
                change: Change, node: int = node, store: MirrorStore = store, host: Any = host,
                commit: Callable[[Change], None] = commit,
            ) -> None:  # fmt: skip
                was_whole = not host.mirror.missing()
                before = self._counts(store)
                commit(change)
                self._follow(node, store, before, was_whole=was_whole)

            store.commit = seen  # type: ignore[method-assign]

    def _counts(self, store: MirrorStore) -> dict[tuple[int, Period, str], int]:
        found = {}
        for period in (Period.of_day(FIRST_DAY), Period.of_day(FIRST_DAY + 40)):
            reading = store.read_usage(1, period)
            counts = {0: reading.workspace} | dict(
                zip(reading.source_numbers.tolist(), reading.sources, strict=True)
            )
            for source, of_scope in counts.items():
                for metric in ("mtu", "api_calls"):
                    found[source, period, metric] = int(BY_NAME[metric].of(of_scope).sum())
        return found

    def _follow(
        self, node: int, store: MirrorStore, before: dict[Any, int], *, was_whole: bool
    ) -> None:
        current = current_period(self.cluster.now_ms, store.state().last_metered_day)
        high = self.high[node]
        for place, value in self._counts(store).items():
            source, period, metric = place
            former = max(high.get(place, 0), before.get(place, 0))
            reached = high[place] = max(former, value)
            if not was_whole:
                continue
            for rule in RULES:
                for threshold in rule.thresholds:
                    target = threshold.target(metric, LIMIT)
                    if (rule.source, rule.metric) != (source, metric) or reached < (target or 0):
                        continue
                    if period == current or former < (target or 0):
                        self.found[node].add((rule.number, str(period), threshold.text))
            is_judged = period == current or value != before.get(place, 0)
            is_of_quota = (source, metric) == (QUOTA.source, QUOTA.metric)
            if is_of_quota and is_judged and reached >= QUOTA.amount:
                self.quota_months[node].add(period)

    # What happens

    def post(self) -> None:
        random = self.random
        facts = []
        for _ in range(random.randint(1, 4)):
            self.posted += 1
            user = random.choice([None, None, "a", "b", "c", "d"])
            anonymous = random.choice([None, "v", "w", "x", "y", "z"])
            day = FIRST_DAY + random.choice([3, 20, 29, 39, 40, 40])
            facts.append(
                PlainFact(
                    day * MS_PER_DAY + 3_600_000 + self.posted, 1, random.choice([2, 2, 3]),
                    f"m{random.randint(1, 60)}", user, anonymous, imported=True,
                )
            )  # fmt: skip
        self.cluster.append(random.randrange(2), random.randrange(2), facts)

    def look(self, node: int) -> None:
        """What a node's mirror does beside taking packs, once a second."""
        _, host = self.cluster.mirrors[node]
        if not host.mirror.missing():
            self.cluster.watches[node].look(host.mirror.until_ms())

    def tell(self, node: int) -> None:
        """A node is the one that tells, for a moment; it may be killed while it does."""
        with (
            suppress(CatalogUnchangedError, Died),
            closing(
                Deliverer(
                    self.catalogs[node], self.cluster.mirrors[node][0].alerts, bytes,
                    lambda: self.cluster.now_ms,
                )
            ) as deliverer,
        ):  # fmt: skip
            deliverer.take_events()

    def lose(self, node: int) -> None:
        """A node is lost for good, with what it alone has found; another one comes, for which the
        log has no more of what was counted."""
        cluster = self.cluster
        cluster.server.forget_all("counts.")
        while cluster.mirrors:
            store, host = cluster.mirrors.pop()
            host.mirror.close()
            host.close()
            store.close()
        for each in (cluster.folder / f"mirror{node}").iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        self.lost |= self.found[node]
        self.found[node], self.quota_months[node], self.high[node] = set(), set(), {}
        cluster.watches.clear()
        for _ in range(2):
            cluster.start_mirror()
        self.looks_at_commits()
        self.catalogs[node].close()
        self.registry.away = False
        self.catalogs[node] = self._catalog(node)

    def restart_mirrors(self) -> None:
        self.cluster.restart_mirrors()
        self.looks_at_commits()

    def act(self) -> None:
        random, cluster = self.random, self.cluster
        what = random.random()
        if what < 0.35:
            self.post()
        elif what < 0.65:
            cluster.step()
        elif what < 0.72:
            cluster.restart(random.choice(cluster.names))
        elif what < 0.76:
            self.restart_mirrors()
        elif what < 0.78:
            self.lose(random.randrange(2))
        elif what < 0.82:
            self.registry.away = not self.registry.away
        elif what < 0.91:
            self.look(random.randrange(2))
        else:
            node = random.randrange(2)
            self.shared[node].dies = 0.3
            self.tell(node)
            self.shared[node].dies = 0.0

    # What is true of it

    def told(self) -> Counter[Mark]:
        catalog = self.catalogs[0]
        catalog.catch_up()
        number = {rule.id: rule.number for rule in RULES}
        return Counter(
            (number[each["rule"]["id"]], each["period"], each["threshold"])
            for record in catalog.deliveries(1, most=10_000)
            for each in msgspec.json.decode(record.body)["data"]["crossings"]
        )

    def end(self) -> None:
        """All that is found is told, and nothing else, and nothing twice."""
        self.registry.away = False
        self.cluster.settle()
        for node in (0, 1, 0):
            self.look(node)
            self.tell(node)
        told, found = self.told(), self.found[0] | self.found[1]
        assert max(told.values(), default=0) <= 1, "told twice"
        assert found <= told.keys() <= found | self.lost
        for node, (store, _) in enumerate(self.cluster.mirrors):
            for period in (Period.of_day(FIRST_DAY), Period.of_day(FIRST_DAY + 40)):
                reached = {each.period for each in store.alerts.quotas_reached(1, period)}
                assert reached == self.quota_months[node] & {period}

    def close(self) -> None:
        for catalog in self.catalogs:
            catalog.close()
        self.cluster.close()


def live(seed: int, steps: int = 50) -> int:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        world = World(Path(folder), seed)
        try:
            world.cluster.settle()  # whole from the start, as a cluster that runs is
            world.cluster.faults(KEEPING)
            for _ in range(steps):
                with suppress(EngineAwayError):
                    world.act()
            world.cluster.faults(NO_FAULTS)
            world.end()
            return len(world.told())
        finally:
            world.close()


@pytest.mark.parametrize("seed", range(10))
def test_each_threshold_is_told_once_and_none_is_missed(seed: int) -> None:
    assert live(seed) > 3


def _forget_what_was_told(patch: Patch) -> None:
    patch.setattr(ToldCatalog, "_is_told", lambda *_: False)


def _judge_behind_the_commit(patch: Patch) -> None:
    """Found after the sums are durable, by who may be killed between: what falls again is lost."""
    from headcount.stages.mirror_watch import MirrorWatch

    patch.setattr(MirrorWatch, "judge", lambda *_: None)
    patch.setattr(MirrorWatch, "committed", lambda *_: None)


@pytest.mark.parametrize(
    "mistake",
    [_forget_what_was_told, _judge_behind_the_commit],
    ids=lambda each: each.__name__,
)
def test_a_mistake_is_seen(mistake: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mistake(monkeypatch)
    for seed in range(30):
        try:
            live(seed)
        except AssertionError:
            return
    raise AssertionError("no history has seen it")
