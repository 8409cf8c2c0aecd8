"""A cluster's data plane in one thread, on a log that loses, repeats, delays and rolls back.

Real journals, partitions, stores and mirrors; time is a number that the test turns. Knows in which
order stage 1 committed what, and so what an oracle must be told.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headcount.counting.alerts import AlertSetup
from headcount.counting.batch import facts_from_bytes
from headcount.counting.calendar import MS_PER_DAY
from headcount.errors import EngineAwayError
from headcount.journal import JournalDirectory, JournalFile
from headcount.meter.limits import MeterLimits
from headcount.meter.sources import KnownSources
from headcount.stages.chain import Arrival
from headcount.stages.counts_feed import CountsFeed
from headcount.stages.first_stage import FirstStage
from headcount.stages.forget_orders import ForgetOrder, OrderPublishing, PendingOrder, encoded_order
from headcount.stages.hosts import HostedPartition, MirrorHost, PartitionHost, RelayHost
from headcount.stages.mirror import Mirror
from headcount.stages.mirror_watch import MirrorWatch
from headcount.stages.outbox import Outbox
from headcount.stages.partition_meter import PartitionMeter
from headcount.stages.partitioning import FactsSplit, RecordsSplit
from headcount.stages.relay import Relay
from headcount.stages.second_stage import SecondStage
from headcount.store.opening import open_mirror_store, open_partition_store
from headcount.store.partition_protocol import MirrorStore, PartitionStore
from support.memory_log import NO_FAULTS, LogFaults, MemoryLogServer
from support.oracle import Oracle, PlainFact
from support.rig import HASHER, pack

STEP_MS = 250


class Person(NamedTuple):
    """Whom to forget."""

    user: str | None
    anonymous: str | None
    only: set[int] | None

    def renamed(self, fact: PlainFact, name: str) -> PlainFact:
        """A fact in which they are somebody else."""
        if self.user is not None and fact.user == self.user:
            fact = replace(fact, user=name)
        for part in ("anonymous", "previous"):
            if self.anonymous is not None and getattr(fact, part) == self.anonymous:
                fact = replace(fact, **{part: name})
        return fact


class StagedNode:
    """One node's intake: journals and a relay."""

    def __init__(self, cluster: StagedCluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.folder = cluster.folder / name
        self.folder.mkdir()
        self.writers = JournalDirectory(self.folder / "journals")
        self.journals = [self.writers.claim(), self.writers.claim()]
        self.start()

    def start(self) -> None:
        """Begin a relay, as a new process would."""
        cluster = self.cluster
        log = cluster.server.open()
        readers = JournalDirectory(self.folder / "journals")
        self.readers = [readers.open(path) for path in readers.paths()]
        relay = Relay(
            self.name, "facts", cluster.facts, log, lambda: self.readers,
            FactsSplit(cluster.facts, KnownSources(lambda: cluster.workspace_of)),
            lambda: cluster.now_ms,
        )  # fmt: skip
        self.host = RelayHost(relay, log, cluster.monotonic_s)

    def stop(self) -> None:
        """End the relay; what it knew is gone."""
        self.host.close()
        for reader in self.readers:
            reader.close()

    def close(self) -> None:
        self.stop()
        for journal in self.journals:
            journal.close()
        self.writers.close()


class StagedCluster:
    """The whole of it.

    Args:
        folder: where everything lies.
        seed: of the log's faults.
        facts, keys: how many partitions there are of each stage.
        nodes: how many nodes take messages.
        window_days: as `fold` takes it.
        limits: of the partitions' meters.
        alerts: gives the rules that mirrors judge by; None for none.
        prune_after_backup: whether journals and outboxes keep what no backup has.
    """

    def __init__(
        self, folder: Path, seed: int = 0, *, facts: int = 2, keys: int = 2, nodes: int = 2,
        window_days: int = 35, limits: MeterLimits | None = None, now_ms: int = 0,
        mirrors: int = 1, alerts: Callable[[], AlertSetup] | None = None,
        prune_after_backup: bool = False,
    ) -> None:  # fmt: skip
        self.prune_after_backup = prune_after_backup
        self.kept: dict[str, tuple[int, dict[str, int]]] = {}
        self.noted: list[object] = []
        self.lost_at_ms = 0
        self.alerts = alerts
        self.watches: list[MirrorWatch] = []
        self.folder = folder
        self.facts, self.keys = facts, keys
        self.server = MemoryLogServer(seed)
        self.now_ms, self.steps = now_ms, 0
        self.window_days = window_days
        self.limits = limits or MeterLimits()
        self.workspace_of: dict[int, int] = {}
        self.plain: dict[bytes, PlainFact] = {}
        self.order: dict[str, list[PlainFact]] = {}
        self.pending: list[PendingOrder] = []
        self.people: dict[int, Person] = {}
        self.forgot: dict[str, dict[int, int]] = {}
        self.giving: dict[str, OrderPublishing] = {}
        self.committed: set[tuple[str, str, int]] = set()
        self.epochs: dict[str, int] = {}
        self.hosts: dict[str, PartitionHost] = {}
        self.nodes = [StagedNode(self, f"n{number}") for number in range(nodes)]
        self.names = [f"facts-{n}" for n in range(facts)] + [f"keys-{n}" for n in range(keys)]
        for name in self.names:
            self.epochs[name] = 1
            (folder / name).mkdir()
            self.start(name)
        self.mirrors: list[tuple[MirrorStore, MirrorHost]] = []
        for number in range(mirrors):
            (folder / f"mirror{number}").mkdir()
            self.start_mirror()

    def monotonic_s(self) -> float:
        """A clock that turns with each step."""
        return self.steps * STEP_MS / 1000

    # Processes come and go.

    def start(self, name: str, *, renewed: bool = False) -> None:
        """Begin a partition's meter, as a new process would."""
        stage, _, text = name.partition("-")
        number, log = int(text), self.server.open()
        store = open_partition_store(self.folder / name / "store.sqlite")
        if renewed:
            store.outbox.renew()
        kind: type[PartitionMeter] = FirstStage if stage == "facts" else SecondStage
        origins = (
            [node.name for node in self.nodes]
            if stage == "facts"
            else [f"facts-{n}" for n in range(self.facts)]
        )
        meter: Any = kind(
            number, store, log, lambda: self.now_ms, self.window_days, self.limits,
            lambda: origins, monotonic_s=self.monotonic_s,
        )  # fmt: skip
        if self.prune_after_backup:
            meter.confirmable = lambda: self.kept[name][1] if name in self.kept else {}
        relay = None
        if isinstance(meter, FirstStage):
            meter.on_arrivals = lambda arrivals: self._arrived(name, arrivals)
            meter.on_forgotten = lambda number: self._forgotten(name, number)
            self.giving[name] = OrderPublishing(name, log)
            outbox = Outbox(store.outbox)
            relay = Relay(
                name, "keys", self.keys, log, lambda: [outbox], RecordsSplit(self.keys),
                meter.until_ms, lambda: self.epochs[name],
            )  # fmt: skip
        feed = CountsFeed(meter, lambda: self.now_ms)
        hosted = HostedPartition(meter, feed, relay)
        self.hosts[name] = PartitionHost([hosted], log, self.epochs.get, self.monotonic_s)

    def stop(self, name: str) -> None:
        """End a partition's meter; what it knew beside its store is gone."""
        host = self.hosts.pop(name)
        self.lost_at_ms = max(self.lost_at_ms, host.partitions[0].meter.log_lost_at_ms)
        host.close()
        for each in host.partitions:
            each.meter.close()

    def meter(self, name: str) -> Any:
        """A partition's meter."""
        return self.hosts[name].partitions[0].meter

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    def keep(self, name: str) -> Path:
        """Take a backup of a partition; its meter is stopped for that."""
        kept = self.folder / "kept" / name
        shutil.rmtree(kept, ignore_errors=True)
        self.kept[name] = self.now_ms, dict(self.meter(name).positions)
        self.stop(name)
        shutil.copytree(self.folder / name, kept)
        self.start(name)
        return kept

    def restore(self, name: str) -> None:
        """Put a partition back to its backup, as after the loss of its disk."""
        if not self.has_kept(name):
            return
        self.stop(name)
        self.put_back(name)
        # By its own node, which sees that it is another, or by the next owner.
        self.epochs[name] += self.steps % 2
        self.start(name, renewed=True)

    def has_kept(self, name: str) -> bool:
        """Whether there is a backup of a partition."""
        return name in self.kept

    def put_back(self, name: str) -> None:
        """Make the folder of a partition that is stopped of its backup."""
        shutil.rmtree(self.folder / name)
        shutil.copytree(self.folder / "kept" / name, self.folder / name)
        self.note_if_before_a_loss(name, self.kept[name][0])

    def note_if_before_a_loss(self, name: str, from_ms: int) -> None:
        """Note where a partition is made of what is older than what the log is known to have lost.

        In which order it had counted what came since then nobody knows any more.
        """
        lost_at_ms = max(self.lost_at_ms, *(self.meter(n).log_lost_at_ms for n in self.hosts), 0)
        if lost_at_ms and from_ms <= lost_at_ms:
            self.noted.append((name, from_ms, lost_at_ms))

    def may_be_other(self) -> bool:
        """Whether it is noted that counts may be others than the oracle's."""
        return self.prune_after_backup and bool(self.noted)

    def start_mirror(self) -> None:
        """Begin a node's mirror."""
        number = len(self.mirrors)
        store = open_mirror_store(self.folder / f"mirror{number}" / "store.sqlite")
        log = self.server.open()
        watch = None
        if self.alerts is not None:
            watch = MirrorWatch(store, self.alerts, lambda: self.now_ms)
            self.watches.append(watch)
        mirror = Mirror(
            store, log, self.names, lambda: self.now_ms, self.monotonic_s, watch, self.noted.append
        )
        self.mirrors.append((store, MirrorHost(mirror, log, self.monotonic_s)))

    def restart_mirrors(self) -> None:
        count = len(self.mirrors)
        self.watches.clear()
        while self.mirrors:
            store, host = self.mirrors.pop()
            host.mirror.close()
            host.close()
            store.close()
        for _ in range(count):
            self.start_mirror()

    # What happens.

    def append(self, node: int, journal: int, facts: Sequence[PlainFact]) -> None:
        """A client's batch is acknowledged by a node."""
        file: JournalFile = self.nodes[node].journals[journal]
        for fact in facts:
            self.workspace_of.setdefault(fact.source, fact.workspace)
            self.plain[_known_as(pack(fact))] = fact
        file.append(b"".join(map(pack, facts)), [], self.now_ms)

    def _arrived(self, name: str, arrivals: Sequence[Arrival]) -> None:
        """Stage 1 is about to count, in this order; a rebuild counts the same once more."""
        fresh = [
            each for each in arrivals if (name, each.queue, each.entry.id) not in self.committed
        ]
        self.committed |= {(name, each.queue, each.entry.id) for each in fresh}
        facts = facts_from_bytes([each.entry.data for each in fresh])
        self.order.setdefault(name, []).extend(
            self.plain[_known_as(fact.tobytes())] for fact in facts
        )

    def forget(self, user: str | None, anonymous: str | None, only: set[int] | None) -> None:
        """Somebody asks that a person be forgotten."""
        number = len(self.people) + 1
        self.people[number] = Person(user, anonymous, only)
        order = ForgetOrder(
            number, self.now_ms + 10 * MS_PER_DAY, self.keys, f"secret {number}".encode(),
            {0: (_hash_of(user), _hash_of(anonymous))},
            None if only is None else sorted(only),
        )  # fmt: skip
        self.pending.append(PendingOrder(number, self.now_ms, encoded_order(order)))

    def has_forgotten(self) -> bool:
        """Whether every partition has carried out every order."""
        meters = map(self.meter, self.hosts)
        return all(meter.forgetting.number == len(self.people) for meter in meters)

    def _forgotten(self, name: str, number: int) -> None:
        """Stage 1 has come to an order; a rebuild comes to the same once more."""
        self.forgot.setdefault(name, {}).setdefault(number, len(self.order.get(name, [])))

    def _give_orders(self) -> None:
        for name, giving in self.giving.items():
            if name not in self.hosts:
                continue  # it is stopped
            meter = self.meter(name)
            with suppress(EngineAwayError):
                giving.look(
                    self.pending, meter.forgetting.number, meter.until_ms(), self.monotonic_s()
                )

    def step(self) -> None:
        """Everybody does what there is to do, once."""
        self.steps += 1
        self.now_ms += STEP_MS
        for name in self.names if self.prune_after_backup else ():
            if self.meter(name).log_lost_at_ms > self.kept.get(name, (0, {}))[0]:
                self.keep(name)  # its owner does so at once
        for node in self.nodes:
            with suppress(EngineAwayError):
                node.host.step()
        for host in list(self.hosts.values()):
            with suppress(EngineAwayError):
                host.step()
        for _, host in self.mirrors:
            with suppress(EngineAwayError):
                host.step()
        self._give_orders()

    def settle(self, most: int = 2000) -> None:
        """With a log that works, until freshness passes what was acknowledged by now.

        Raises:
            AssertionError: it does not.
        """
        self.server.faults, self.server.away = NO_FAULTS, False
        posted_ms = self.now_ms
        for _ in range(most):
            self.step()
            is_fresh = all(s.state().counted_until_ms > posted_ms for s, _ in self.mirrors)
            if is_fresh and self.has_forgotten():
                return
        raise AssertionError(f"not fresh after {most} steps: {self.standing()}")

    def standing(self) -> dict[str, Any]:
        """How everybody stands, for a failure's text."""
        mirror = self.mirrors[0][1].mirror
        return {
            "now": self.now_ms,
            "mirror": mirror.moments(),
            "meters": {
                n: (self.meter(n).until_ms(), self.meter(n).chain.lacking()) for n in self.hosts
            },
            "forgotten": {n: self.meter(n).forgetting.number for n in self.hosts},
            "relays": [node.host.relay.standing() for node in self.nodes],
        }

    def faults(self, faults: LogFaults) -> None:
        self.server.faults = faults

    def oracle(self) -> Oracle:
        """What the counts must be: partitions have no message in common, so any order of them."""
        oracle = Oracle(self.window_days)
        for name, facts in self.order.items():
            for at, fact in enumerate(facts):
                oracle.meter(self._as_known(name, at, fact), fact.day)
        return oracle

    def _as_known(self, name: str, at: int, fact: PlainFact) -> PlainFact:
        """A fact with another name for each who was forgotten after it was counted."""
        for number, count in sorted(self.forgot.get(name, {}).items()):
            person = self.people[number]
            if at < count and (person.only is None or fact.workspace in person.only):
                fact = person.renamed(fact, f"forgotten {number}")
        return fact

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        for name in list(self.hosts):
            self.stop(name)
        while self.mirrors:
            store, host = self.mirrors.pop()
            host.mirror.close()
            host.close()
            store.close()


def _hash_of(known: str | None) -> bytes | None:
    return None if known is None else HASHER.tracked(known)


def _known_as(packed: bytes) -> bytes:
    """A fact without the number of its attributes, which partitions do not keep."""
    return packed[:18] + bytes(2) + packed[20:]


def all_counts(stores: Iterable[PartitionStore]) -> dict[Any, bytes]:
    """Every row of counts of some stores, for comparing."""
    return {
        (at, place): counts.tobytes()
        for at, store in enumerate(stores)
        for place, counts in store.counts_at(store.places()[0])
        if np.any(counts)
    }
