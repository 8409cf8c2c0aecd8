"""The partitions of one process: what they publish and tell goes together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from headcount.engines import LogEntry
from headcount.errors import DamagedDataError, EngineAwayError
from headcount.journal import JournalDirectory
from headcount.meter.limits import MeterLimits
from headcount.meter.sources import KnownSources
from headcount.stages.counts_feed import CountsFeed, counts_subject
from headcount.stages.first_stage import FirstStage
from headcount.stages.hosts import HostedPartition, PartitionHost, RelayHost
from headcount.stages.outbox import Outbox
from headcount.stages.partitioning import FactsSplit, RecordsSplit
from headcount.stages.relay import Relay
from headcount.stages.second_stage import SecondStage
from headcount.store.opening import open_partition_store
from headcount.store.partition_protocol import PartitionStore
from support.memory_log import MemoryLog, MemoryLogServer
from support.oracle import PlainFact
from support.rig import pack

DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS + 1_000
NUMBER = 3


class CountingLog(MemoryLog):
    """A log that knows how often it was asked."""

    def __init__(self, server: MemoryLogServer) -> None:
        super().__init__(server)
        self.published: list[list[str]] = []
        self.told = self.taken = 0
        self.away: set[str] = set()

    def publish_all(self, entries: Sequence[tuple[str, bytes]]) -> None:
        self.published.append([subject for subject, _ in entries])
        super().publish_all(entries)

    def tell_all(self, told: Sequence[tuple[str, bytes]]) -> None:
        self.told += 1
        super().tell_all(told)

    def take_all(self, followers: Sequence[Any], bytes_max: int = 4 << 20) -> list[list[LogEntry]]:
        self.taken += 1
        if any(each.name in self.away for each in followers):
            raise EngineAwayError("This stream does not answer.")
        return super().take_all(followers, bytes_max)


class Life:
    """A node's journal and relay, and a process with all its partitions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        server = MemoryLogServer()
        self.log = CountingLog(server)
        self.now_s = 0.0
        self.writers = JournalDirectory(folder / "journals")
        self.journal = self.writers.claim()
        known = KnownSources(lambda: {1: 1})
        relay = Relay(
            "n", "facts", NUMBER, server.open(), lambda: [self.journal],
            FactsSplit(NUMBER, known), lambda: NOW_MS,
        )  # fmt: skip
        self.relay = RelayHost(relay, server.open(), lambda: self.now_s)
        self.stores: list[PartitionStore] = []
        hosted = [self._hosted(stage, n) for stage in ("keys", "facts") for n in range(NUMBER)]
        self.host = PartitionHost(hosted, self.log, lambda _: 1, lambda: self.now_s)

    def _hosted(self, stage: str, number: int) -> HostedPartition:
        name = f"{stage}-{number}"
        (self.folder / name).mkdir()
        store = open_partition_store(self.folder / name / "store.sqlite")
        self.stores.append(store)
        rest = (number, store, self.log, lambda: NOW_MS, 35, MeterLimits())
        if stage == "keys":
            second = SecondStage(*rest, lambda: [f"facts-{n}" for n in range(NUMBER)])
            return HostedPartition(second, CountsFeed(second, lambda: NOW_MS))
        first = FirstStage(*rest, lambda: ["n"])
        outbox = Outbox(store.outbox)
        relay = Relay(
            name, "keys", NUMBER, self.log, lambda: [outbox], RecordsSplit(NUMBER), first.until_ms
        )
        return HostedPartition(first, CountsFeed(first, lambda: NOW_MS), relay)

    def append(self, first: int, messages: int) -> None:
        facts = [PlainFact(NOW_MS, 1, 1, f"m{n}", f"u{n}") for n in range(first, first + messages)]
        self.journal.append(b"".join(map(pack, facts)), [], NOW_MS)

    def step(self) -> None:
        self.now_s += 1
        self.host.step()

    def counted(self, stage: str) -> int:
        return sum(
            each.meter.counted_facts for each in self.host.partitions if stage == each.meter.STAGE
        )

    def close(self) -> None:
        self.host.close()
        for each in self.host.partitions:
            each.meter.close()
        self.relay.close()
        self.journal.close()
        self.writers.close()


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    made = Life(tmp_path)
    yield made
    made.close()


def test_all_partitions_of_a_process_publish_and_tell_together(life: Life) -> None:
    life.append(0, 60)
    life.append(60, 60)
    life.relay.step()
    life.step()
    first, second = life.log.published
    # To each partition of ids one entry from all those of messages, with one of what these have
    # counted; and what those of ids have: they count in the same step what they were just handed.
    ids = [f"keys.{n}" for n in range(NUMBER)]
    assert sorted(first) == sorted([*ids, counts_subject(NOW_MS)])
    assert second == [counts_subject(NOW_MS)]
    assert (life.counted("facts"), life.counted("keys")) == (120, 120)
    assert (life.log.taken, life.log.told) == (2, 1)


def test_what_was_not_published_is_published_with_the_next_step(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.append(0, 50)
    life.relay.step()
    with monkeypatch.context() as broken:

        def refuse(_: Sequence[tuple[str, bytes]]) -> None:
            raise EngineAwayError("The log is away.")

        broken.setattr(life.log, "publish_all", refuse)
        with pytest.raises(EngineAwayError):
            life.step()
    assert (life.counted("facts"), life.counted("keys")) == (50, 0)
    life.step()
    assert life.counted("keys") == 50


def test_a_stage_that_is_not_answered_keeps_no_other_from_being_counted(life: Life) -> None:
    life.append(0, 50)
    life.relay.step()
    life.step()
    life.log.away = {f"facts.{n}" for n in range(NUMBER)}
    for subject, data in [(f"keys.{n}", b"of no use") for n in range(NUMBER)]:
        life.log.publish(subject, data)
    for _ in range(2):
        with pytest.raises(EngineAwayError):
            life.step()
    unreadable = [each.meter.unreadable for each in life.host.partitions if each.relay is None]
    assert sum(unreadable) == NUMBER


def test_the_store_is_asked_for_its_days_once_however_many_entries_come(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    for first in range(0, 120, 4):
        life.append(first, 4)
    life.relay.step()
    asked: dict[int, int] = {}
    for at, store in enumerate(life.stores):
        state = store.state

        def counted(at: int = at, state: Callable[[], Any] = state) -> Any:
            asked[at] = asked.get(at, 0) + 1
            return state()

        monkeypatch.setattr(store, "state", counted)
    life.step()
    assert life.counted("facts") == 120
    assert max(asked.values()) < 10


def test_a_partition_whose_counts_cannot_be_read_keeps_no_other_from_telling_and_handing_on(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: int) -> None:
        raise DamagedDataError("A row is damaged.", "Restore it.")

    # Of those that hand something on, and not the last that is asked.
    broken = next(each for each in life.host.partitions if each.relay is not None)
    monkeypatch.setattr(broken.feed, "due", damaged)
    life.append(0, 30)
    life.relay.step()
    for _ in range(6):
        with suppress(DamagedDataError):
            life.step()
    assert life.counted("keys") > 0, "ids are handed on"
    assert any(counts_subject(NOW_MS) in subjects for subjects in life.log.published)
