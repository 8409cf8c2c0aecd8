"""One simulated world: a machine with its programs, clients that retry, and the auditor.

Takes a seed, the number of steps and the kinds of faults; makes one history of them. Everything
happens in one thread, and whatever is random comes from the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from headcount import tracing
from headcount.catalog import Catalog
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.datafolder import DataFolder, load_hash_key, open_data_folder
from headcount.errors import DamagedDataError, OperatorError, StorageUnavailableError
from headcount.integrity import refuse_faults
from headcount.journal import JournalEntry
from headcount.meter import MeterLimits, merging
from headcount.sqlite import opening
from headcount.store.protocol import Change, sealed_months
from sim.auditor import Auditor, Violation, day_in_words
from sim.clock import SimClock, SimLoop
from sim.damage import Files, damaged, put_back, taken
from sim.disk import SimDisk
from sim.faults import DAMAGE, Fault, Faults
from sim.programs import (
    DEATHS,
    HASH_KEY,
    WINDOW_DAYS,
    Answer,
    Killed,
    Machine,
    MeterProgram,
    Reader,
    Watch,
    Worker,
)
from sim.workload import Request, SimSource, Workload
from support.faulty_vfs import Ending, checkpoints_every

__all__ = ["Template", "World", "made_template"]

_FIRST_DAY = parse_period("2026-02-01").first_day - 1
_WORKERS_MAX = 3
_DRAIN_STEPS_MAX = 400
_STORAGE = 503
_OLDER_MAX = 4


class Template:
    """A data folder that was set up and never used; each world begins with a copy.

    Attributes:
        folder: where it lies.
        sources: its sources.
        tokens: the admin token of each workspace.
    """

    def __init__(self, path: Path) -> None:
        self.folder = open_data_folder(path / "template", create=True)
        self.folder.hash_key.write_text(HASH_KEY.hex() + "\n")
        self.sources: list[SimSource] = []
        self.tokens: dict[int, str] = {}
        with Catalog(self.folder.catalog) as catalog:
            load_hash_key(self.folder, catalog)
            for name, count in (("One", 3), ("Two", 2)):
                workspace = catalog.add_workspace(name, 0)
                for number in range(count):
                    source = catalog.add_source(workspace.number, f"Source {number}", 0)
                    self.sources.append(
                        SimSource(workspace.number, source.number, source.id, source.write_key)
                    )
                _, secret = catalog.add_token(workspace.number, "admin", 0)
                self.tokens[workspace.number] = secret


def made_template(path: Path) -> Template:
    """The template, the same every time."""
    with _made_up_randomness(random.Random(0)):
        return Template(path)


@contextlib.contextmanager
def _made_up_randomness(rng: random.Random) -> Iterator[None]:
    """Let whatever asks the system for random bytes get the seed's."""
    real = os.urandom
    # Ids of requests are made many at once, and what is left of them is of another history.
    tracing._made.clear()
    os.urandom = rng.randbytes
    random._urandom = rng.randbytes  # type: ignore[attr-defined]
    try:
        yield
    finally:
        tracing._made.clear()
        os.urandom = real
        random._urandom = real  # type: ignore[attr-defined]


@contextlib.contextmanager
def _made_up_time(clock: SimClock) -> Iterator[None]:
    """Let whoever measures how long something takes, or sleeps, go by the simulated clock."""
    monotonic, sleep = time.monotonic, time.sleep
    time.monotonic, time.sleep = clock.monotonic_s, clock.sleep
    try:
        yield
    finally:
        time.monotonic, time.sleep = monotonic, sleep


class World(Watch):
    """One history.

    Args:
        template: what its data folder is a copy of.
        path: an empty folder to live in.
        seed: decides everything.
        steps: how long it goes on.
        kinds: the faults that may happen.
        scale: how many times as often as usual; None to let the seed decide.

    Attributes:
        story: what happened, line by line.
        steps_done: how far it has come.
    """

    def __init__(
        self,
        template: Template,
        path: Path,
        seed: int,
        steps: int,
        kinds: frozenset[Fault],
        scale: float | None = None,
    ) -> None:
        self.rng = random.Random(seed)
        self.story: list[str] = []
        self._seed, self._steps = seed, steps
        self._folder = DataFolder(path / "data")
        shutil.copytree(template.folder.path, self._folder.path)
        self.faults = Faults(self.rng, kinds, scale)
        self.clock = SimClock((_FIRST_DAY + 1) * MS_PER_DAY - 300_000)
        self._disk = SimDisk(f"sim-{seed}", self.rng, self._folder.path)
        self._loop = SimLoop()
        self._machine = Machine(self._folder, self._disk, self.clock, self._loop, self)
        self._workload = Workload(self.rng, template.sources, template.tokens)
        self._workspaces = sorted(template.tokens)
        self.auditor = Auditor(WINDOW_DAYS)
        self._workers: list[Worker] = []
        self._meter: MeterProgram | None = None
        self._reader: Reader | None = None
        self._named = 0
        self._true_ms: int | None = None
        self.steps_done = 0
        self._draining = False
        self._cuts_after_commit = False
        self._older: list[Files] = []

    # The history.

    def run(self) -> None:
        """Let it all happen; raises `Violation` where something is wrong."""
        peers = merging._PEERS
        limit_log = opening.limit_log
        # In so short a life two runs must do for a merge, and checkpoints are to come often.
        merging._PEERS = 2
        opening.limit_log = checkpoints_every(self.rng.choice([4, 16, 1000]))
        try:
            with (
                _made_up_randomness(self.rng),
                _made_up_time(self.clock),
                self._disk.under_the_system(),
            ):
                try:
                    for number in range(1, self._steps + 1):
                        self.steps_done = number
                        self._step()
                    self._drain()
                finally:
                    self._disk.calm()
                    self._stop_all()
        finally:
            merging._PEERS, opening.limit_log = peers, limit_log

    def close(self) -> None:
        """Leave nothing behind."""
        self._disk.forget()
        self._loop.close()
        shutil.rmtree(self._folder.path, ignore_errors=True)

    def _tell(self, line: str) -> None:
        self.story.append(f"{self.steps_done:4} {day_in_words(self.clock.now_ms)}  {line}")

    def _step(self) -> None:
        self.clock.now_ms += self.rng.choice([1, 20, 600, 30_000, 1_800_000])
        self._break_something()
        self._keep_running()
        acts: dict[Callable[[], None], float] = {
            self._post: 40,
            self._import: 5,
            self._meter_once: 24,
            self._read: 5,
            self._move_clock: 8,
            self._live_on: 2,
            self._drain: 4,
            self._restart_all: 2,
            self._add_or_end_worker: 3,
            self._confirm_clock: 2,
        }
        [act] = self.rng.choices(list(acts), list(acts.values()))
        act()
        self._mend()

    def _break_something(self) -> None:
        faults, disk, rng = self.faults, self._disk, self.rng
        if faults.due(Fault.POWER):
            self._order_end("power cut")
        elif faults.due(Fault.KILL):
            how = rng.random()
            if how < 0.05:
                self._kill_somebody()
            elif how < 0.2:
                self._kill_while_appending()
            else:
                self._order_end(rng.choice(["kill one", "kill one", "kill"]))
        if faults.due(Fault.FSYNC):
            disk.fail_syncs(rng.randint(1, 3))
            self._tell("some syncs will fail")
        if faults.due(Fault.FULL):
            disk.fill_for(rng.randint(1, 6))
            self._tell("the disk is full for a while")
        for kind in DAMAGE:
            if faults.due(kind):
                self._suffer_damage(kind)
        if faults.due(Fault.CLOCK):
            self._set_clock_wrong()

    def _order_end(self, ending: Ending) -> None:
        if self.rng.random() < 0.6:
            after = self.rng.randint(1, 40)
            self._tell(f"{ending} ordered for operation {after} of the disk")
            self._disk.end_after(after, ending)
        else:
            after = self.rng.randint(1, 6)
            self._tell(f"{ending} ordered for sync {after}")
            self._disk.end_after(after, ending, syncs=True)

    def _kill_while_appending(self) -> None:
        """All are killed between writing an entry and syncing it: the next find it, and believe."""
        self._tell("all are to be killed before the next sync")
        self._disk.end_after(1, "kill", syncs=True)
        self._post()
        self._mend()

    def _kill_somebody(self) -> None:
        running = [*self._workers, *filter(None, (self._meter, self._reader))]
        if running:
            program = self.rng.choice(running)
            self._tell(f"{program.name} is killed")
            self._disk.kill(program.name)
            self._mend()

    # Damage: a world beside this one, in which somebody has damaged the folder.

    def _stop(self) -> None:
        """Stop all programs, in peace or not, and take what is there as being on the disk."""
        if self.rng.random() < 0.5:
            for program in [*self._workers, *filter(None, (self._meter, self._reader))]:
                self._disk.kill(program.name)
        self._stop_all()
        self._disk.settle_all()

    def _suffer_damage(self, kind: Fault) -> None:
        if self.auditor.has_unwitnessed():
            return
        self._disk.calm()
        self._stop()
        folder = self._folder.path
        files = taken(folder)
        found = damaged(self.rng, kind, files, self._older)
        if len(self._older) < _OLDER_MAX or self.rng.random() < 0.3:
            self._older = [*self._older, files][-_OLDER_MAX:]
        if found is None:
            return
        changed, what = found
        self._tell(f"damage: {what}")
        auditor, now_ms = self.auditor, self.clock.now_ms
        self.auditor = auditor.copied()
        self.auditor.is_damaged = True
        put_back(folder, changed)
        self._disk.settle_all()
        self._draining = True
        try:
            self._tell(f"damage: {self._live_with_damage()}")
        finally:
            self._draining = False
            self._stop_all()
            gc.collect()
        self.auditor, self.clock.now_ms = auditor, now_ms
        put_back(folder, files)
        self._disk.settle_all()

    def _live_with_damage(self) -> str:
        """Start, count and read all; gives who refused, or that all was right or said."""
        try:
            self._supervise()
            self._start_worker()
            self._start_meter()
            self._start_reader()
            assert self._meter is not None
            for _ in range(_DRAIN_STEPS_MAX):
                self.clock.now_ms += 1
                self.auditor.stepping(self.clock.day, self._meter.facts_max)
                if self._meter.meter.step().drained:
                    break
            else:
                raise Violation("the meter of a damaged folder does not come to an end")
            assert self._reader is not None
            for period in sorted(self.auditor.oracle.periods()):
                for workspace in self._workspaces:
                    reading = self._reader.read(workspace, period)
                    self.auditor.check_reading(workspace, reading)
            self.auditor.check_drained()
        except (OperatorError, StorageUnavailableError) as error:
            return f"refused: {error}"
        except Violation:
            raise
        except Exception as error:
            raise Violation(f"damage ends in a trace: {error!r}") from error
        return self.auditor.said() or "nothing of it mattered"

    def _supervise(self) -> None:
        """What the supervisor looks at before it starts anything."""
        open_data_folder(self._folder.path, create=True)
        refuse_faults(self._folder.path)

    def _set_clock_wrong(self) -> None:
        if self._true_ms is not None:
            return
        now_ms = self.clock.now_ms
        self._true_ms = now_ms
        hours = self.rng.choice([-1, -30, -24 * 40, 26, 24 * 3, 24 * 366])
        self.clock.now_ms = max(0, now_ms + hours * 3_600_000)
        if self.rng.random() < 0.1:
            self.clock.now_ms = self.rng.randrange(10 * MS_PER_DAY)
        self._tell(f"the clock was set from {day_in_words(now_ms)}")

    # Programs.

    def _name(self, role: str) -> str:
        self._named += 1
        return f"{role}-{self._named}"

    def _keep_running(self) -> None:
        """Start what does not run, as the supervisor does; what cannot is tried again later."""
        if not self._workers:
            self._try(self._start_worker)
        if self._meter is None:
            self._try(self._start_meter)
        if self._reader is None:
            self._try(self._start_reader)
        self._mend()

    def _try(self, start: Callable[[], None]) -> None:
        try:
            start()
        except DamagedDataError as error:
            raise Violation(f"a sound folder is called damaged: {error}") from error
        except DEATHS as error:
            self._tell(f"could not start: {error}")

    def _start_worker(self) -> None:
        worker = Worker(self._machine, self._name("worker"))
        self._workers.append(worker)
        self._tell(f"{worker.name} writes to {worker.journal[:8]}")

    def _start_meter(self) -> None:
        rng = self.rng
        limits = MeterLimits(
            rng.choice([1, 5, 20, 1000]), rng.choice([1, 8, 30]), rng.choice([5, 30]),
            past_bytes_max=0,
        )  # fmt: skip
        self._meter = meter = MeterProgram(self._machine, self._name("meter"), limits)
        self._tell(f"{meter.name} takes {limits.facts_a_batch_max} at once")
        self.auditor.started(meter.store)
        self._note_sealed()

    def _start_reader(self) -> None:
        self._reader = Reader(self._machine, self._name("reader"))

    def _mend(self) -> None:
        """Bury who died, and bring the machine up again if its power went."""
        if self._disk.ended is not None:
            self._tell(f"the machine is gone: {self._disk.ended}")
            all_were_killed = self._disk.ended == "kill"
            if not all_were_killed:
                self.auditor.power_went()
            self._stop_all()
            self._disk.restart()
            if all_were_killed and self.faults.is_on(Fault.POWER) and self.rng.random() < 0.5:
                # What a killed program wrote and did not sync is there, until the power goes.
                # It is worst where it is counted before anything else is written.
                self._cuts_after_commit = self.rng.random() < 0.6
                if not self._cuts_after_commit:
                    self._order_end("power cut")
                self._keep_running()
                self._meter_once()
                self._mend()
            return
        for worker in [worker for worker in self._workers if worker.is_dead]:
            self._tell(f"{worker.name} is dead")
            self._workers.remove(worker)
            worker.end()
        if self._meter is not None and self._meter.is_dead:
            self._end_meter()
        if self._reader is not None and self._reader.is_dead:
            self._reader.end()
            self._reader = None

    def _end_meter(self) -> None:
        assert self._meter is not None
        self._tell(f"{self._meter.name} ends")
        self._meter.end()
        self._meter = None

    def _stop_all(self) -> None:
        for program in [*self._workers, *filter(None, (self._meter, self._reader))]:
            program.end()
        self._workers, self._meter, self._reader = [], None, None

    def _restart_all(self) -> None:
        self._tell("all programs are stopped")
        self._stop_all()

    def _add_or_end_worker(self) -> None:
        if len(self._workers) >= _WORKERS_MAX or (self._workers and self.rng.random() < 0.4):
            worker = self._workers.pop(self.rng.randrange(len(self._workers)))
            self._tell(f"{worker.name} is stopped")
            worker.end()
        else:
            self._try(self._start_worker)

    # Clients.

    def _post(self) -> None:
        self._send(self._workload.post, self.rng.choice([1, 1, 2, 3]))

    def _import(self) -> None:
        sealed = self.auditor.oracle.sealed
        self._send(lambda now_ms: self._workload.import_(now_ms, sealed), 1)

    def _send(self, make: Callable[[int], Request], count: int) -> None:
        """Some clients at once, in a millisecond of their own, so that a fact names a delivery."""
        self.clock.now_ms += 1
        requests = [make(self.clock.now_ms) for _ in range(count)]
        if not self._workers:
            for request in requests:
                self._workload.unknown += request.messages
            return
        for request in requests:
            self.auditor.sending(request)
        workers = [self.rng.choice(self._workers) for _ in requests]

        async def all_at_once() -> list[Answer | None]:
            return await asyncio.gather(
                *(w.post(r) for w, r in zip(workers, requests, strict=True))
            )

        answers = self._loop.run_until_complete(all_at_once())
        for worker, request, answer in zip(workers, requests, answers, strict=True):
            self._hear(worker, request, answer)

    def _hear(self, worker: Worker, request: Request, answer: Answer | None) -> None:
        what = f"{worker.name} {request.path} with {len(request.messages)}"
        if answer is not None and self.faults.due(Fault.ANSWER):
            answer = None
        if answer is None or answer.status == _STORAGE:
            self._tell(f"{what}: {'no answer' if answer is None else 'refused'}")
            self._workload.unknown += request.messages
            return
        self._tell(f"{what}: {answer.status}")
        if answer.status != request.status:
            raise Violation(f"{what} was answered {answer.status}, not {request.status}")
        said = msgspec.json.decode(answer.body)
        rejected = [(each["index"], each["code"]) for each in said.get("rejected", [])]
        if rejected != request.rejected:
            raise Violation(f"{what} was told {rejected}, not {request.rejected}")
        self.auditor.acknowledged(request, self.clock.now_ms)

    # The meter.

    def entry_read(self, journal: str, entry: JournalEntry) -> None:
        self.auditor.entry_read(journal, entry)

    def before_commit(self, change: Change) -> None:
        self.auditor.attempting(change, self.clock.day)
        self._moment("before")

    def committed(self, change: Change) -> None:
        self.auditor.committed()
        if self._cuts_after_commit and not self._draining:
            self._cuts_after_commit = False
            self._disk.end_after(self.rng.randint(1, 6), "power cut")
        self._moment("after")

    def _moment(self, when: str) -> None:
        """Between two steps of the meter's work anybody else may come, or it may be killed."""
        if self._draining or not self.faults.due(Fault.BETWEEN):
            return
        assert self._meter is not None
        what = self.rng.choice(["post", "post", "read", "kill"])
        self._tell(f"{when} a commit of the meter: {what}")
        if what == "post":
            self._post()
        elif what == "read":
            self._read()
        else:
            self._disk.kill(self._meter.name)
            raise Killed

    def _meter_once(self) -> bool | None:
        """One step of the meter: whether all is metered, None when it refused or died."""
        meter = self._meter
        if meter is None:
            return None
        before, metered = self.auditor.owed_now(), self.auditor.metered
        self.auditor.stepping(self.clock.day, meter.facts_max)
        try:
            drained = meter.step()
        except DamagedDataError as error:
            raise Violation(f"a sound folder is called damaged: {error}") from error
        except (Killed, *DEATHS) as error:
            self._tell(f"{meter.name} died: {error!r}")
            self._end_meter()
            return None
        if meter.is_dead:
            self._end_meter()
            return None
        self._tell(f"{meter.name} metered {self.auditor.metered - metered}, drained: {drained}")
        self._note_sealed(before)
        if drained is not None:
            shown_ms = meter.store.read_usage(1, Period.of_day(self.clock.day)).counted_until_ms
            self.auditor.stepped(meter.store, (meter.meter.counted_until_ms, shown_ms), before)
        return drained

    def _note_sealed(self, before: Mapping[bytes, int] | None = None) -> None:
        assert self._meter is not None
        try:
            sealed = sealed_months(self._meter.store.months())
        except DEATHS:
            self._end_meter()
            return
        for month in self.auditor.sealing(sealed, self.clock.day, before):
            self._tell(f"closed {month}")

    def _drain(self) -> None:
        """Let nothing more go wrong until all is metered, and look at everything."""
        self._disk.calm()
        self._mend()
        self._draining = True
        for _ in range(_DRAIN_STEPS_MAX):
            self._keep_running()
            if self._meter_once():
                break
            self.clock.now_ms += 1
        else:
            raise Violation("the meter does not come to an end")
        self.auditor.check_drained()
        self._tell("all is metered")
        self._check_all()
        self._check_due()
        self._draining = False

    def _check_due(self) -> None:
        """A minute later the meter has looked whether a month is to be closed."""
        self.clock.now_ms += 60_000
        if self._meter_once() and self._meter is not None:
            self.auditor.check_due(sealed_months(self._meter.store.months()), self.clock.day)

    # Readers and time.

    def _read(self) -> None:
        if self._reader is None:
            return
        workspace = self.rng.choice(self._workspaces)
        known = sorted(self.auditor.oracle.periods()) or [Period.of_day(self.clock.day)]
        self._check(workspace, self.rng.choice(known))

    def _check(self, workspace: int, period: Period) -> None:
        assert self._reader is not None
        try:
            reading = self._reader.read(workspace, period)
        except DEATHS as error:
            self._tell(f"{self._reader.name} could not read: {error}")
            return
        self.auditor.check_reading(workspace, reading)

    def _check_all(self) -> None:
        for period in sorted(self.auditor.oracle.periods()):
            for workspace in self._workspaces:
                self._check(workspace, period)

    def _move_clock(self) -> None:
        clock, rng = self.clock, self.rng
        if self._true_ms is not None:
            # Somebody sets it right again.
            clock.now_ms, self._true_ms = self._true_ms + 60_000, None
            self._tell("the clock is right again")
            return
        midnight = clock.day + 1
        month_end = Period.of_day(clock.day).shifted(1).first_day
        how = rng.choice(["midnight", "month", "hours", "days"])
        if how == "midnight":
            clock.to_day(midnight, rng.choice([-1, 0, 1]))
        elif how == "month":
            clock.to_day(month_end, rng.choice([-1, 0, 1]))
        elif how == "hours":
            clock.now_ms += rng.randint(1, 40) * 3_600_000
        else:
            clock.now_ms += rng.randint(2, 20) * MS_PER_DAY
        self._tell(f"time goes on: {how}")

    def _confirm_clock(self) -> None:
        """The operator says that the clock is right, which it is, mostly."""
        if self._meter is None or (self._true_ms is not None and self.rng.random() < 0.7):
            return
        self._disk.calm()
        self._tell("the clock is confirmed")
        self._meter.confirm_clock()
        self.auditor.confirmed(self.clock.day)

    def _live_on(self) -> None:
        """Weeks of quiet traffic, so that months come to be closed."""
        if self._true_ms is not None:
            return
        self._tell("weeks go by")
        for _ in range(self.rng.randint(5, 25)):
            self.clock.now_ms += self.rng.choice([MS_PER_DAY, 2 * MS_PER_DAY])
            self._keep_running()
            self._send(self._workload.post, 1)
            self._meter_once()
            self._mend()
