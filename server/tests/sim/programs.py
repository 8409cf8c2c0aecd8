"""The programs of a server, as its processes would hold them: intake workers, the meter, a reader.

Takes a machine (a disk, a clock, a folder), gives programs that can be asked one thing after the
other, and that die when their disk does. All of it is the real code; what is added watches what is
read from journals and committed to the store, and lets others in at the moments between.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from headcount.catalog import Catalog
from headcount.counting.calendar import Period
from headcount.counting.hashing import IdHasher
from headcount.counting.usage import UsageReading
from headcount.datafolder import DataFolder, load_hash_key, open_data_folder
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.intake import Limits, create_app
from headcount.journal import GroupCommit, JournalDirectory, JournalEntry, JournalFile
from headcount.meter import Meter, MeterLimits
from headcount.store import opening
from headcount.store.protocol import Change
from headcount.store.sealed import SealedMonths
from headcount.troubles import Troubles
from headcount.wiring.import_access import CatalogHistory
from headcount.wiring.sources import CatalogSources
from sim.clock import SimClock
from sim.disk import SimDisk
from sim.workload import Request
from support.store_behind import StoreBehind

__all__ = [
    "HASH_KEY",
    "Answer",
    "Killed",
    "Machine",
    "MeterProgram",
    "Program",
    "Reader",
    "Watch",
    "Worker",
]

HASH_KEY = bytes(range(32))
WINDOW_DAYS = 35

# What a program dies of in its ordinary life, to be started again.
DEATHS = (DataFolderError, StorageUnavailableError, apsw.Error, OSError)


class Killed(BaseException):
    """The program that runs is gone, between two operations of its disk."""


class Watch:
    """What somebody sees of a meter at work; nothing, here."""

    def entry_read(self, journal: str, entry: JournalEntry) -> None:
        """An entry was read out of a journal."""

    def before_commit(self, change: Change) -> None:
        """A change is about to be committed."""

    def committed(self, change: Change) -> None:
        """It was committed, and the indexes do not know yet."""


@dataclass(frozen=True)
class Machine:
    """What programs run on.

    Attributes:
        folder: the data folder.
        disk: the disk under it.
        clock: its clock.
        loop: the event loop of everything.
        watch: told what the meter does.
    """

    folder: DataFolder
    disk: SimDisk
    clock: SimClock
    loop: asyncio.AbstractEventLoop
    watch: Watch


class Program:
    """A program that is running until it is stopped or dies.

    Args:
        machine: what it runs on.
        name: its name, which no other that is running has.

    Raises:
        Exception: it cannot start; everything it had opened is closed.
    """

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name
        self._closers: list[Callable[[], None]] = []
        try:
            with machine.disk.running(name):
                self._open()
        except BaseException:
            self.end()
            raise

    def _open(self) -> None:
        raise AssertionError("each kind of program opens its own")

    @property
    def is_dead(self) -> bool:
        """Whether it was killed, or lost its disk."""
        return self.machine.disk.is_dead(self.name)

    def end(self) -> None:
        """Let go of everything; the disk may be gone, so each is asked until it has let go."""
        died = self.is_dead
        with self.machine.disk.running(self.name):
            for close in reversed(self._closers):
                for _ in range(3):
                    try:
                        close()
                    except DEATHS:
                        continue
                    break
        self._closers.clear()
        if died:
            # A connection that failed half-way lives as long as its traceback, and holds locks.
            gc.collect()
            self.machine.disk.bury(self.name)


class Answer(NamedTuple):
    """What a client got."""

    status: int
    body: bytes


class _Inline(Executor):
    """Does at once what it is given, as the program whose thread it stands for."""

    def __init__(self, running: Callable[[], AbstractContextManager[None]]) -> None:
        self._running = running

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            with self._running():
                future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Worker(Program):
    """An intake worker with a journal of its own."""

    def _open(self) -> None:
        machine = self.machine
        folder = open_data_folder(machine.folder.path, create=False)
        catalog = Catalog(folder.catalog, read_only=True)
        self._closers.append(catalog.close)
        months = SealedMonths(folder.store)
        self._closers.append(months.close)
        sources = CatalogSources(catalog)
        journals = JournalDirectory(folder.journals)
        self._closers.append(journals.close)
        journal = journals.claim()
        troubles = Troubles(None, "intake", machine.clock)
        self._closers.append(journal.close)
        self.journal = journal.uuid
        self._app = create_app(
            sources,
            CatalogHistory(catalog, sources, months, troubles),
            GroupCommit(journal, machine.clock, _Inline(lambda: machine.disk.running(self.name))),
            IdHasher(load_hash_key(folder, catalog)),
            machine.clock,
            Limits(),
        )

    async def post(self, request: Request) -> Answer | None:
        """What the client of a request is told; None when nobody tells it anything."""
        answer: dict[str, Any] = {"body": b""}
        events = itertools.chain(
            [{"type": "http.request", "body": request.body, "more_body": False}],
            itertools.repeat({"type": "http.disconnect"}),
        )

        async def receive() -> Any:
            return next(events)

        async def send(event: Any) -> None:
            if event["type"] == "http.response.start":
                answer["status"] = event["status"]
            else:
                answer["body"] += event.get("body", b"")

        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(request.body)).encode()),
            (b"authorization", request.authorization.encode()),
        ]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": request.path, "raw_path": request.path.encode(),
            "query_string": b"", "root_path": "", "headers": headers,
            "client": ("127.0.0.1", 40_000), "server": ("127.0.0.1", 8080), "state": {},
            "extensions": {},
        }  # fmt: skip
        with self.machine.disk.running(self.name):
            await self._app(scope, receive, send)
        if self.is_dead or "status" not in answer:
            return None
        return Answer(answer["status"], answer["body"])


class _WatchedJournals(JournalDirectory):
    def __init__(self, path: Path, watch: Watch) -> None:
        super().__init__(path)
        self._watch = watch

    def open(self, path: Path) -> JournalFile:
        watch = self._watch

        class Watched(JournalFile):
            def entries(self, after_id: int) -> Iterator[JournalEntry]:
                for entry in super().entries(after_id):
                    watch.entry_read(self.uuid, entry)
                    yield entry

        return Watched(path)


class _WatchedStore(StoreBehind):
    def __init__(self, path: Path, watch: Watch) -> None:
        super().__init__(opening.open_store(path))
        self._watch = watch

    def commit(self, change: Change) -> None:
        if not (change.positions or change.counted_aside):
            super().commit(change)  # no batch, but a mark or a month
            return
        self._watch.before_commit(change)
        super().commit(change)
        self._watch.committed(change)


class MeterProgram(Program):
    """The meter, with the store that it writes."""

    def __init__(self, machine: Machine, name: str, limits: MeterLimits) -> None:
        self.facts_max = limits.facts_a_batch_max
        self._limits = limits
        super().__init__(machine, name)

    def _open(self) -> None:
        machine = self.machine
        catalog = Catalog(machine.folder.catalog, read_only=True)
        self._closers.append(catalog.close)
        self.store = _WatchedStore(machine.folder.store, machine.watch)
        self._closers.append(self.store.close)
        journals = _WatchedJournals(machine.folder.journals, machine.watch)
        self.meter = Meter(
            self.store,
            journals,
            machine.clock,
            WINDOW_DAYS,
            self._limits,
            sources=lambda: {source.number: source.workspace for source in catalog.sources()},
        )
        self._closers.append(self.meter.close)

    def confirm_clock(self) -> None:
        """What `headcount doctor --confirm-clock` does."""
        with self.machine.disk.running(self.name):
            self.store.commit(Change(confirmed_day=self.machine.clock.day))

    def step(self) -> bool | None:
        """Meter a batch.

        Returns:
            Whether everything is metered; None when the disk refused.

        Raises:
            Exception: the program died of it.
        """
        with self.machine.disk.running(self.name):
            try:
                return self.meter.step().drained
            except StorageUnavailableError:
                return None


class Reader(Program):
    """The api process, as far as it reads usage."""

    def _open(self) -> None:
        self._store = opening.open_store(self.machine.folder.store)
        self._closers.append(self._store.close)

    def read(self, workspace: int, period: Period) -> UsageReading:
        """The usage of a month."""
        with self.machine.disk.running(self.name):
            return self._store.read_usage(workspace, period)
