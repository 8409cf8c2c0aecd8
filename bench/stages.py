"""`python -m bench.stages`: what a message costs one meter, and in stages, by part, in one run.

Takes the same messages through one node's meter and through relay, stage 1, stage 2 and mirror,
over a log that costs nothing (a list in memory), in one process; prints processor time a message,
the median of several rounds by turns, and the ratio. An engine's cost is `bench.cluster_log`'s.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.machine import machine_notes
from headcount.counting.batch import FACT_DTYPE
from headcount.engines.log import Follower, LogEntry
from headcount.journal import JournalDirectory, JournalFile
from headcount.meter import Meter, MeterLimits
from headcount.meter.sources import KnownSources
from headcount.stages.counts_feed import CountsFeed
from headcount.stages.first_stage import FirstStage
from headcount.stages.hosts import HostedPartition, MirrorHost, PartitionHost, RelayHost
from headcount.stages.mirror import Mirror
from headcount.stages.outbox import Outbox
from headcount.stages.partitioning import FactsSplit, RecordsSplit
from headcount.stages.relay import Relay
from headcount.stages.second_stage import SecondStage
from headcount.store.opening import open_mirror_store, open_partition_store, open_store

__all__ = ["main"]

_SOURCES = 6
_PARTS = ("relay", "stage 1", "stage 2", "mirror")


class _ListLog:
    """A log in memory that never fails; one for everybody."""

    def __init__(self) -> None:
        self.entries: dict[str, list[bytes]] = defaultdict(list)
        self.told: dict[str, list[_ListHearer]] = defaultdict(list)

    def publish(self, subject: str, data: bytes) -> None:
        self.entries[subject].append(data)

    def publish_all(self, entries: Sequence[tuple[str, bytes]]) -> None:
        for subject, data in entries:
            self.publish(subject, data)

    def follow(self, subject: str, hint: int | None = None, at: int = 0) -> _ListFollower:
        del at
        return _ListFollower(self.entries[subject], 0 if hint is None else hint + 1)

    def take_all(
        self, followers: Sequence[Follower], bytes_max: int = 4 << 20
    ) -> list[list[LogEntry]]:
        return [each.take(bytes_max) for each in followers]

    def tell(self, subject: str, data: bytes) -> None:
        for hearer in self.told[subject]:
            hearer.waiting.append(data)

    def tell_all(self, told: Sequence[tuple[str, bytes]]) -> None:
        for subject, data in told:
            self.tell(subject, data)

    def hear(self, subject: str) -> _ListHearer:
        hearer = _ListHearer()
        self.told[subject].append(hearer)
        return hearer

    def trim(self, before_ms: int) -> None:
        """Keeps everything."""

    def wait(self, seconds: float) -> None:
        """Never rests."""

    def close(self) -> None:
        """Holds nothing."""


class _ListFollower:
    set_backs = 0

    def __init__(self, entries: list[bytes], at: int) -> None:
        self._entries, self._at = entries, at

    def take(self, bytes_max: int = 4 << 20) -> list[LogEntry]:
        del bytes_max
        start, self._at = self._at, len(self._entries)
        return [LogEntry(start + n, data) for n, data in enumerate(self._entries[start:])]

    def close(self) -> None:
        """Holds nothing."""


class _ListHearer:
    def __init__(self) -> None:
        self.waiting: list[bytes] = []

    def take(self) -> list[bytes]:
        taken, self.waiting = self.waiting, []
        return taken

    def close(self) -> None:
        """Holds nothing."""


def _filled(folder: Path, entries: int, facts: int, now_ms: int) -> JournalDirectory:
    """Journals of one node, with messages whose ids come again in part."""
    random = np.random.default_rng(1)
    ids = random.integers(1, (1 << 64) - 1, 200_000, dtype=np.uint64)
    writers = JournalDirectory(folder / "journals")
    journal = writers.claim()
    for _ in range(entries):
        batch = np.zeros(facts, FACT_DTYPE)
        batch["received_at_ms"] = now_ms
        batch["source"] = random.integers(1, _SOURCES + 1, facts)
        batch["workspace"] = 1 + batch["source"] % 2
        batch["message"] = random.integers(1, (1 << 64) - 1, facts, dtype=np.uint64)
        batch["user"] = ids[random.integers(0, len(ids), facts)]
        batch["anonymous"] = random.integers(1, (1 << 64) - 1, facts, dtype=np.uint64)
        journal.append(batch.tobytes(), [], now_ms)
    journal.close()
    writers.close()
    return JournalDirectory(folder / "journals")


def _one_meter(folder: Path, entries: int, facts: int, now_ms: int) -> float:
    journals = _filled(folder, entries, facts, now_ms)
    store = open_store(folder / "store.sqlite")
    meter = Meter(store, journals, lambda: now_ms, 35, MeterLimits())
    began_s = time.process_time()
    while not meter.step().drained:
        pass
    took_s = time.process_time() - began_s
    meter.close()
    store.close()
    return took_s


def _in_stages(
    folder: Path, entries: int, facts: int, now_ms: int, partitions: int
) -> dict[str, float]:
    journals = _filled(folder, entries, facts, now_ms)
    opened: list[JournalFile] = [journals.open(path) for path in journals.paths()]
    log = _ListLog()
    known = KnownSources(lambda: {source: 1 + source % 2 for source in range(1, _SOURCES + 1)})
    split = FactsSplit(partitions, known)
    relay = Relay("n", "facts", partitions, log, lambda: opened, split, lambda: now_ms)
    relays = RelayHost(relay, log)
    names = [f"{stage}-{n}" for stage in ("facts", "keys") for n in range(partitions)]
    hosts = {"facts": _host(folder, "facts", partitions, log, now_ms),
             "keys": _host(folder, "keys", partitions, log, now_ms)}  # fmt: skip
    store = open_mirror_store(folder / "mirror.sqlite")
    mirror = Mirror(store, log, names, lambda: now_ms)
    steps: dict[str, Callable[[], bool]] = {
        "relay": relays.step,
        "stage 1": hosts["facts"].step,
        "stage 2": hosts["keys"].step,
        "mirror": MirrorHost(mirror, log).step,
    }
    took = dict.fromkeys(_PARTS, 0.0)
    while not store.state().counted_until_ms:
        for part, step in steps.items():
            began_s = time.process_time()
            step()
            took[part] += time.process_time() - began_s
        time.sleep(0.05)
    for host in hosts.values():
        for each in host.partitions:
            each.meter.close()
    mirror.close()
    store.close()
    for journal in opened:
        journal.close()
    return took


def _host(folder: Path, stage: str, partitions: int, log: _ListLog, now_ms: int) -> PartitionHost:
    hosted = []
    origins = [f"facts-{n}" for n in range(partitions)]
    for number in range(partitions):
        name = f"{stage}-{number}"
        (folder / name).mkdir()
        store = open_partition_store(folder / name / "store.sqlite")
        if stage == "keys":
            second = SecondStage(
                number, store, log, lambda: now_ms, 35, MeterLimits(), lambda: origins
            )
            hosted.append(HostedPartition(second, CountsFeed(second, lambda: now_ms)))
            continue
        first = FirstStage(number, store, log, lambda: now_ms, 35, MeterLimits(), lambda: ["n"])
        outbox = Outbox(store.outbox)
        relay = Relay(
            name, "keys", partitions, log, _only(outbox), RecordsSplit(partitions), first.until_ms
        )
        hosted.append(HostedPartition(first, CountsFeed(first, lambda: now_ms), relay))
    return PartitionHost(hosted, log, lambda _name: 1)


def _only(outbox: Outbox) -> Callable[[], list[Outbox]]:
    return lambda: [outbox]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=40)
    parser.add_argument("--facts", type=int, default=5_000, help="messages an entry")
    parser.add_argument("--partitions", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    now_ms = time.time_ns() // 1_000_000
    size = asked.entries, asked.facts, now_ms
    alone: list[float] = []
    staged: dict[int, list[dict[str, float]]] = defaultdict(list)
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            alone.append(_one_meter(Path(folder), *size))
        for partitions in asked.partitions:
            with tempfile.TemporaryDirectory() as folder:
                staged[partitions].append(_in_stages(Path(folder), *size, partitions))
    messages = asked.entries * asked.facts
    one = statistics.median(alone) / messages * 1e6
    print(f"one meter: {one:.2f} µs a message")
    for partitions, rounds in staged.items():
        parts = {
            part: statistics.median(each[part] for each in rounds) / messages * 1e6
            for part in _PARTS
        }
        whole = sum(parts.values())
        by_part = ", ".join(f"{part} {took:.2f}" for part, took in parts.items())
        print(f"{partitions} x {partitions} partitions: {whole:.2f} µs a message")
        print(f"    {whole / one:.1f} times one meter: {by_part}")
    for name, said in machine_notes(Path(tempfile.gettempdir())).items():
        print(f"{name}: {said}")


if __name__ == "__main__":
    main()
