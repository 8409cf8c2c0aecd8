"""Power cuts, kills, full disks and failing syncs at seeded moments, under the real code.

Clients post through `GroupCommit`, a `Meter` meters between and beside them, everything goes
through `FaultyDisk`. At the end, whatever was acknowledged is counted exactly once and all counts
are the oracle's. A failing seed is repeated with `HEADCOUNT_SEED=<seed> pytest <this file>`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.facts import FACT_BYTES, Rejection
from headcount.counting.metrics import API_CALLS
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.journal import GroupCommit, JournalDirectory, JournalEntry, JournalFile
from headcount.meter import Meter, MeterLimits, merging
from headcount.sqlite import opening
from headcount.store.opening import open_store
from headcount.store.protocol import Change, MeterStore
from support.faulty_vfs import FaultyDisk, checkpoints_every
from support.oracle import Oracle, PlainFact
from support.rig import assert_equal_to_oracle, pack
from support.store_behind import StoreBehind

SEEDS = [int(os.environ["HEADCOUNT_SEED"])] if "HEADCOUNT_SEED" in os.environ else range(48)
FIRST_DAY = parse_period("2026-02-01").first_day
WINDOW_DAYS = 35
MESSAGES = 120
FAULTS = 10
ACTS_MAX = 3000
WORKERS = 2
TALLY = Rejection(1, 2, FIRST_DAY, "invalid_id", 1)

Seen = dict[tuple[str, int], bytes]
"""(journal, entry) to the facts that a meter read there."""


class WatchedJournals(JournalDirectory):
    """Journals that note what is read from them."""

    def __init__(self, path: Path, vfs: str, seen: Seen) -> None:
        super().__init__(path, vfs=vfs)
        self._name = vfs
        self._seen = seen

    def open(self, path: Path) -> JournalFile:
        seen = self._seen

        class Watched(JournalFile):
            def entries(self, after_id: int) -> Iterator[JournalEntry]:
                for entry in super().entries(after_id):
                    seen[self.uuid, entry.id] = entry.facts
                    yield entry

        return Watched(path, vfs=self._name)


class WatchedStore(StoreBehind):
    """A store that notes which positions it was asked to reach, and which it said it reached."""

    def __init__(self, path: Path, vfs: str, attempts: list[dict[str, int]]) -> None:
        super().__init__(open_store(path, vfs=vfs))
        self._attempts = attempts
        self.reached = dict(self.state().positions)

    def commit(self, change: Change) -> None:
        self._attempts.append(dict(change.positions))
        super().commit(change)
        self.reached.update(change.positions)


class Server:
    """Two intake workers and a meter, as processes would hold them."""

    def __init__(self, world: World) -> None:
        self._closers: list[Callable[[], None]] = []
        disk, folder = world.disk.name, world.folder
        writers = JournalDirectory(folder / "journals", vfs=disk)
        self._closers.append(writers.close)
        try:
            self.workers: list[GroupCommit] = []
            for _ in range(WORKERS):
                journal = writers.claim()
                self._closers.append(journal.close)
                worker = GroupCommit(journal, world.clock_ms)
                self._closers.append(worker._executor.shutdown)  # whatever the disk says
                self.workers.append(worker)
            self.store = WatchedStore(folder / "store.sqlite", disk, world.attempts)
            self._closers.append(self.store.close)
            journals = WatchedJournals(folder / "journals", disk, world.seen)
            # Small runs are written and merged often, and are under fire like everything else.
            batch, in_memory = world.rng.choice([1, 20, 1000]), world.rng.choice([1, 30])
            limits = MeterLimits(batch, in_memory, 30, past_bytes_max=0)
            self.meter = Meter(self.store, journals, world.clock_ms, WINDOW_DAYS, limits)
            self._closers.append(self.meter.close)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of every file; the disk may be gone, so each is asked until it has let go."""
        for close in reversed(self._closers):
            for _ in range(WORKERS + 1):
                with contextlib.suppress(apsw.Error):
                    close()


class World:
    """A disk, a clock, clients that retry, and what must come of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.disk = FaultyDisk(f"faulty-{seed}", self.rng)
        self.concurrent = seed % 4 == 3
        self.oracle = Oracle(WINDOW_DAYS)
        self.attempts: list[dict[str, int]] = []
        self.seen: Seen = {}
        self.positions: dict[str, int] = {}
        self.server: Server | None = None
        self.waiting = [self._message(number) for number in range(MESSAGES)]
        self.acknowledged: list[PlainFact] = []
        self.tallies_sent = self.tallies_acknowledged = 0
        self._plain: dict[bytes, PlainFact] = {}
        self._now_ms = FIRST_DAY * MS_PER_DAY - MS_PER_DAY // 2

    def clock_ms(self) -> int:
        self._now_ms += 200_000
        return self._now_ms

    def _message(self, number: int) -> PlainFact:
        source = self.rng.randint(1, 3)
        user = self.rng.choice([None, "u1", "u2", f"u{number}"])
        return PlainFact(
            received_at_ms=0,
            workspace=1 + source % 2,
            source=source,
            message=f"m{number}",
            user=user,
            anonymous=self.rng.choice([None, "a1", f"a{number // 3}"]),
            previous=self.rng.choice([None, "a1", f"a{number}"]) if user else None,
        )

    async def run(self) -> None:
        faults = FAULTS
        acts = 0
        while self.waiting or faults:
            acts += 1
            assert acts < ACTS_MAX, "the server cannot be started any more"
            if self.rng.random() < 0.2 and faults:
                faults -= 1
                self._order_fault()
            await self._act()
            if self.disk.ended is not None:
                self._restart_disk()
        await self._finish()

    def _order_fault(self) -> None:
        fault = self.rng.choice(["power cut", "power cut", "kill", "full", "sync"])
        if fault == "full":
            self.disk.fill_for(self.rng.randint(1, 4))
        elif fault == "sync":
            self.disk.fail_syncs(self.rng.randint(1, 3))
        else:
            self.disk.end_after(self.rng.randint(1, 30), "kill" if fault == "kill" else "power cut")

    async def _act(self) -> None:
        lives = True
        try:
            if self.server is None:
                self.server = Server(self)
                self._note_start()
            action = self.rng.random()
            if action < 0.5:
                await self._post()
            elif action < 0.7 and self.concurrent:
                metering = asyncio.create_task(asyncio.to_thread(self._step))
                await self._post()
                lives = await metering
            elif action < 0.96:
                lives = self._step()
            else:
                lives = False
        except (DataFolderError, StorageUnavailableError, apsw.Error):
            lives = False
        # A process that cannot open or read its files ends, and is started again.
        if not lives:
            self._stop()

    def _stop(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None

    def _restart_disk(self) -> None:
        self._stop()
        self.disk.restart()

    async def _post(self) -> None:
        assert self.server is not None
        workers = self.server.workers
        if not self.concurrent:
            # With one thread at a time, a seed repeats the run to the last write.
            workers = [self.rng.choice(workers)]
        await asyncio.gather(*(self._client(workers) for _ in range(self.rng.randint(1, 4))))

    async def _client(self, workers: list[GroupCommit]) -> None:
        batch = [
            self.waiting.pop(self.rng.randrange(len(self.waiting)))
            for _ in range(min(len(self.waiting), self.rng.randint(1, 4)))
        ]
        # A client whose answer was lost on the way sends again what was acknowledged.
        again = self.rng.sample(self.acknowledged, min(len(self.acknowledged), 1))
        sent = [self._sent_now(message) for message in (*batch, *again)]
        tallies = [TALLY] * self.rng.randint(0, 1)
        self.tallies_sent += len(tallies)
        try:
            await self.rng.choice(workers).append(b"".join(map(pack, sent)), tallies)
        except StorageUnavailableError:
            self.waiting.extend(batch)
        else:
            self.acknowledged.extend(batch)
            self.tallies_acknowledged += len(tallies)

    def _sent_now(self, message: PlainFact) -> PlainFact:
        fact = PlainFact(
            self.clock_ms(), message.workspace, message.source, message.message,
            message.user, message.anonymous, message.previous,
        )  # fmt: skip
        self._plain[pack(fact)] = fact
        return fact

    def _step(self) -> bool:
        """Meter a batch; whether the meter's process lives on."""
        assert self.server is not None
        try:
            with contextlib.suppress(StorageUnavailableError):
                self.server.meter.step()
            positions = self.server.store.state().positions
        except (DataFolderError, apsw.Error):
            return False
        assert positions == self.server.store.reached, "a refused commit is visible"
        self._note_committed(positions)
        return True

    def _note_start(self) -> None:
        """What a dead meter left half-way is known once the store is open again."""
        assert self.server is not None
        found = dict(self.server.store.state().positions)
        assert found == self.positions or any(
            found == {**self.positions, **attempt} for attempt in self.attempts
        ), "the store holds positions that nobody asked for"
        self._note_committed(found)
        assert_equal_to_oracle(self.server.store, self.oracle)

    def _note_committed(self, positions: dict[str, int]) -> None:
        """Tell the oracle what was metered, in metering order."""
        facts = []
        for journal, upto_id in positions.items():
            for entry_id in range(self.positions.get(journal, 0) + 1, upto_id + 1):
                packed = self.seen.get((journal, entry_id), b"")
                starts = range(0, len(packed), FACT_BYTES)
                facts.extend(self._plain[packed[at : at + FACT_BYTES]] for at in starts)
        for fact in sorted(facts, key=lambda fact: fact.received_at_ms):
            self.oracle.meter(fact, fact.day)
        if positions != self.positions:
            # What was refused before this can no longer come back in a log that is read anew.
            self.attempts.clear()
        self.positions = dict(positions)

    async def _finish(self) -> None:
        self.disk.calm()
        if self.server is None:
            self.server = Server(self)
            self._note_start()
        while self.waiting:
            await self._post()
        while self.server.meter.lag_facts() or self.server.meter.peek():
            assert self._step()
        self._check(self.server.store)
        self._stop()
        self.server = Server(self)
        self._check(self.server.store)

    def _check(self, store: MeterStore) -> None:
        assert_equal_to_oracle(store, self.oracle)
        periods = (Period.of_day(FIRST_DAY - 1), Period.of_day(FIRST_DAY))
        readings = [store.read_usage(number, period) for number in (1, 2) for period in periods]
        # Independently of the oracle: every message was acknowledged, and is one API call.
        assert sum(int(r.workspace[:, API_CALLS].sum()) for r in readings) == MESSAGES
        assert len({(fact.source, fact.message) for fact in self.acknowledged}) == MESSAGES
        tallies = sum(tally.messages for reading in readings for tally in reading.rejected)
        assert self.tallies_acknowledged <= tallies <= self.tallies_sent

    def close(self) -> None:
        self.disk.calm()
        self._stop()
        self.disk.forget()


@pytest.mark.parametrize("seed", SEEDS)
# A connection that could not be made is closed by the garbage collector, and a dead disk says no.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_nothing_acknowledged_is_lost_or_counted_twice(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = random.Random(seed)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=names.getrandbits(128), version=4))
    monkeypatch.setattr(opening, "limit_log", checkpoints_every(names.choice([4, 16, 1000])))
    # In so short a life two runs must do for a merge.
    monkeypatch.setattr(merging, "_PEERS", 2)
    world = World(tmp_path, seed)
    try:
        await world.run()
    except BaseException as error:
        error.add_note(f"repeat this with HEADCOUNT_SEED={seed}")
        raise
    finally:
        world.close()
