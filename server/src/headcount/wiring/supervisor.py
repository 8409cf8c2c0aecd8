"""The supervisor: starts the processes of one server, restarts what dies, ends them in order.

Takes settings, holds the data folder's lock for as long as the server lives, and the listening
sockets until it is told to stop; does no work of its own. Its children notice by a pipe when it is
gone, and stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.cluster.address import LOG_ANSWERS_WITHIN_S
from headcount.config import Settings
from headcount.datafolder import DataFolder, FolderLock, load_hash_key, open_data_folder
from headcount.errors import ClusterError, OperatorError
from headcount.http.front import check_front
from headcount.integrity import refuse_faults
from headcount.runfiles import ChildState, write_whole
from headcount.setting_texts import texts_of
from headcount.sqlite.unwritable import identity_of
from headcount.troubles import Troubles
from headcount.wiring.cluster_entry import CLUSTER_ROLES, enter_cluster
from headcount.wiring.duties import Duty, begun
from headcount.wiring.endings import STEADY_AFTER_S, Endings
from headcount.wiring.errors_explained import explained
from headcount.wiring.preparing import prepare_run_folder
from headcount.wiring.process_wanted import Wanted, has_alerts, has_forwardings, wanted
from headcount.wiring.server_sockets import ServerSockets, sockets_of
from headcount.wiring.standing import counting_position
from headcount.wiring.states import ToldStates
from headcount.wiring.storage import refusal_to_write
from headcount.wiring.task import READY, Refusal, Role, Task, read_refusal

__all__ = ["Listening", "serve"]

_log = logging.getLogger(__name__)

_RESTART_FIRST_S = 0.05
_RESTART_MOST_S = 5.0
_FRONT_STOP_TIMEOUT_S = 5.5
_METER_STOP_TIMEOUT_S = 4.0
_TRY_EVERY_S = 1.0

# Once it has seen large blocks come and go, glibc's allocator keeps what is freed, which would
# double the memory of some: with a fixed threshold, large blocks go back to the system.
_KEPT_MAX = {"intake": 128 << 10, "api": 128 << 10}


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens, as beginnings of URLs."""

    tracking: str
    api: str


def serve(settings: Settings, announce: Callable[[Listening], None]) -> int:
    """Run a server until SIGTERM or Ctrl-C.

    Args:
        settings: what it runs with.
        announce: called once, when both addresses are served.

    Returns:
        The exit status: 0 when it was told to stop and everything in flight was finished.

    Raises:
        OperatorError: the data folder, an address or the certificate cannot be used.
    """
    check_front(settings)
    sockets: ServerSockets | None = None
    status = None
    with contextlib.ExitStack() as stack:
        # More than one turn only where the first could not write, and the disk is well again.
        while status is None:
            reading = _why_reading(settings)
            fresh = not DataFolder(settings.data).is_made
            folder = open_data_folder(
                settings.data,
                create=reading is None,
                # What cannot be upgraded cannot be read either, and says why.
                write=True,
                require_existing=settings.require_existing,
            )
            if fresh:
                # That a node's folder is not there any more its cluster knows, and refuses it.
                level = logging.WARNING if settings.cluster is None else logging.INFO
                _log.log(level, "there was no data folder at %s; made a new one", folder.path)
            with FolderLock(folder.serve_lock, "serve") as lock:
                refuse_faults(folder.path)
                if sockets is None:
                    sockets = sockets_of(settings, stack)
                run = _entered(settings, folder, sockets)
                with Catalog(folder.catalog, read_only=reading is not None) as catalog:
                    load_hash_key(folder, catalog, settings.hash_key)
                if reading is None:
                    prepare_run_folder(folder, settings.workers)
                place = folder.troubles if reading is None else None
                with contextlib.closing(Troubles(place, "supervisor", now_ms)) as troubles:
                    server = _Processes(
                        settings, folder, lock, sockets, troubles, announce, reading, run
                    )
                    status = asyncio.run(server.run())
            announce = _announced_before
    return status


def _entered(settings: Settings, folder: DataFolder, sockets: ServerSockets) -> str:
    """Which life of its cluster's node this is; empty for a single machine."""
    tracking, api = sockets.urls(settings)
    return enter_cluster(settings, folder, tracking, api, time.sleep)


def _why_reading(settings: Settings) -> str | None:
    """Why a folder that has been served before can only be read; None where it can be written."""
    folder = DataFolder(settings.data)
    if not (folder.catalog.exists() and folder.store.exists()):
        return None  # what is to be made here needs a disk that takes it
    refusal = refusal_to_write(folder)
    return None if refusal is None else f"{refusal} Usage can be read; messages are refused."


def _announced_before(_: Listening) -> None:
    """Nothing: whoever waits for the announcement has had it."""


@dataclass(slots=True, eq=False)
class _Process:
    """One child, over all its restarts."""

    role: Role
    sock: socket.socket | None
    endings: Endings
    process: asyncio.subprocess.Process | None = None
    ready: bool = False
    ever_ready: asyncio.Event = field(default_factory=asyncio.Event)


class _Processes:
    """The processes of one server."""

    def __init__(
        self,
        settings: Settings,
        folder: DataFolder,
        lock: FolderLock,
        sockets: ServerSockets,
        troubles: Troubles,
        announce: Callable[[Listening], None],
        reading: str | None,
        cluster_run: str,
    ) -> None:
        tracking, api = sockets
        self._cluster_run = cluster_run
        self._reading = reading
        self._writable_again = False
        self._settings = settings
        self._folder = folder
        self._lock = lock
        self._announce = announce
        self._troubles = troubles
        self._listening = Listening(*sockets.urls(settings))

        def process(role: Role, sock: socket.socket | None, number: int = 0) -> _Process:
            return _Process(role, sock, Endings(role, number, troubles, now_ms, self._write_state))

        self._front = [process("intake", sock, number) for number, sock in enumerate(tracking)]
        self._front.append(process("api", api))
        roles = CLUSTER_ROLES if settings.cluster is not None else ("meter",)
        self._counting = [process(role, None) for role in roles]
        wanted_by = {"forward": has_forwardings, "alert": has_alerts}
        self._optional = [(process(role, None), is_wanted) for role, is_wanted in wanted_by.items()]
        self._behind = [*self._counting, *(each for each, _ in self._optional)]
        self._alive_fd, self._alive_kept_fd = os.pipe()
        self._stopping = asyncio.Event()
        self._failure: OperatorError | None = None
        self._states = ToldStates(folder.state, self._stopping)

    async def run(self) -> int | None:
        """Start everything, watch it, and end it in order when told to.

        Returns:
            The exit status; None where it was there for reading only, and another is to follow.

        Raises:
            OperatorError: a child cannot do its work, and never could.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        if self._settings.tls_cert is not None:
            # Who renews a certificate tells servers so; this one looks at it every second.
            loop.add_signal_handler(signal.SIGHUP, lambda: None)
        watching = None if self._reading is None else self._await_writable()
        kept = [*self._front, *self._counting] if watching is None else self._front
        watches = [begun(self._keep(process)) for process in kept]
        if watching is None:
            watches += [begun(self._keep_wanted(*each)) for each in self._optional]
        announcing = begun(self._announce_when_ready())
        await self._stopping.wait()
        announcing.cancel()
        # Whoever comes now is refused at once, rather than left waiting for a server that is going.
        for process in self._front:
            if process.sock is not None and not self._writable_again:
                process.sock.close()
        clean = await self._end(self._front, _FRONT_STOP_TIMEOUT_S)
        # In a cluster somebody may be waiting for an answer of the log, which comes or does not.
        answer_s = 0.0 if self._settings.cluster is None else LOG_ANSWERS_WITHIN_S
        clean &= await self._end(self._behind, _METER_STOP_TIMEOUT_S + answer_s)
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, announcing, return_exceptions=True)
        if watching is not None:
            await watching.end()
        if self._failure is not None:
            raise self._failure
        return None if self._writable_again else 0 if clean else 1

    def _told_to_stop(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            return
        # Told twice: what was acknowledged is durable already.
        for process in (*self._front, *self._behind):
            _signal(process, signal.SIGKILL)
        os._exit(1)

    def _await_writable(self) -> Duty:
        """End this server, so that a whole one follows, once the disk takes writes again.

        Also where somebody else has written: those who read without locks have to look anew.
        """
        databases = (self._folder.catalog, self._folder.store)
        found = [identity_of(path) for path in databases]

        async def look() -> bool:
            refusal = await asyncio.to_thread(refusal_to_write, self._folder)
            if refusal is not None and [identity_of(path) for path in databases] == found:
                return False
            _log.warning("over: %s", self._reading)
            self._writable_again = True
            self._stopping.set()
            return True

        return Duty(look, _TRY_EVERY_S, self._troubles, "disk", "The disk cannot be looked at:")

    async def _announce_when_ready(self) -> None:
        for process in self._front:
            await process.ever_ready.wait()
        # For commands on this machine that read usage and were told the data folder only.
        write_whole(self._folder.listening, self._listening)
        self._announce(self._listening)

    async def _keep_wanted(self, process: _Process, is_wanted: Wanted) -> None:
        """Keep a process from when on somebody wants what it does."""
        if await wanted(self._folder, self._stopping, is_wanted):
            await self._keep(process)

    def _is_optional(self, process: _Process) -> bool:
        return any(process is each for each, _ in self._optional)

    async def _keep(self, process: _Process) -> None:
        """Start a child, and start it again whenever it dies, with growing pauses."""
        pause_s = _RESTART_FIRST_S
        while not self._stopping.is_set():
            began_s = time.monotonic()
            status, refusal = await self._life(process)
            if self._stopping.is_set():
                return
            fatal = status in (1, 2) and not self._is_optional(process)
            unfit = refusal is not None and refusal.error == ClusterError.__name__
            if unfit or (fatal and not process.ever_ready.is_set()):
                # Trying again would not fix it.
                refusal = refusal or Refusal(
                    f"A process of the server ({process.role}) could not start.",
                    "What it wrote above says why.",
                )
                self._failure = OperatorError(refusal.problem, refusal.remedy)
                self._failure.exit_status = status
                self._stopping.set()
                return
            where = ""
            if process.role == "meter":
                where = await asyncio.to_thread(counting_position, self._folder)
            process.endings.ended(status, refusal, where)
            self._write_state()
            if time.monotonic() - began_s > STEADY_AFTER_S:
                pause_s = _RESTART_FIRST_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = min(2 * pause_s, _RESTART_MOST_S)

    async def _life(self, process: _Process) -> tuple[int, Refusal | None]:
        """One life of a child: its exit status, and why it cannot do its work, if it said so.

        A life that cannot begin has ended too, and the next is tried: the system may have no memory
        or process left now, and have them again later.
        """
        try:
            return await self._run_once(process)
        except Exception as error:
            said, remedy = explained(error)
            problem = f"A process of the server ({process.role}) could not be started: {said}"
            return 1, Refusal(problem, remedy, type(error).__name__)

    async def _run_once(self, process: _Process) -> tuple[int, Refusal | None]:
        listen_fd = process.sock.fileno() if process.sock is not None else -1
        task = Task(
            texts_of(self._settings),
            self._settings.tracking_url or self._listening.tracking,
            listen_fd,
            self._alive_fd,
            again=process.ever_ready.is_set(),
            reading=self._reading,
            cluster_run=self._cluster_run,
            api_url=self._listening.api,
        )
        kept = {self._alive_fd, self._lock.fileno()} | ({listen_fd} - {-1})
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "headcount.wiring.child", process.role,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            pass_fds=tuple(kept), process_group=0,
            env=os.environ | {"MALLOC_MMAP_THRESHOLD_": str(_KEPT_MAX.get(process.role, 1 << 20))},
        )  # fmt: skip
        process.process = started
        assert started.stdin is not None
        assert started.stdout is not None
        self._write_state()
        steady = None
        try:
            with contextlib.suppress(ConnectionError):
                started.stdin.write(msgspec.json.encode(task))
                await started.stdin.drain()
            started.stdin.close()
            report = await started.stdout.readline()
            if report == READY:
                process.ready = True
                process.ever_ready.set()
                self._write_state()
                steady = begun(process.endings.watch_life())
                report = await started.stdout.readline()
            return await started.wait(), read_refusal(report)
        finally:
            if steady is not None:
                steady.cancel()
            if started.returncode is None:  # nobody would watch it
                started.kill()
                await started.wait()
            process.ready = False
            self._write_state()
            # What it was holding counts no longer; its other numbers go on.
            for live in self._folder.metrics.glob(f"gauge_live*_{started.pid}.db"):
                live.unlink(missing_ok=True)

    async def _end(self, processes: list[_Process], within_s: float) -> bool:
        """Tell children to stop, and kill those that do not; whether all ended by themselves."""
        running = [p for p in processes if _runs(p)]
        for process in running:
            _signal(process, signal.SIGTERM)
        waits = [asyncio.create_task(p.process.wait()) for p in running if p.process is not None]
        if not waits:
            return True
        _, late = await asyncio.wait(waits, timeout=within_s)
        if late:
            names = ", ".join(sorted(p.role for p in running if _runs(p)))
            _log.error("did not stop within %g s, and is killed: %s", within_s, names)
            for process in running:
                _signal(process, signal.SIGKILL)
            await asyncio.wait(waits)
        return not late

    def _write_state(self) -> None:  # for /readyz, which the api process answers
        self._states.tell(
            ChildState(p.role, p.ready, p.endings.count, p.endings.sentence, p.endings.passes)
            for p in (*self._front, *self._behind)
            if not self._is_optional(p) or p.process is not None
        )


def _runs(process: _Process) -> bool:
    return process.process is not None and process.process.returncode is None


def _signal(process: _Process, number: signal.Signals) -> None:
    if process.process is not None and _runs(process):
        with contextlib.suppress(ProcessLookupError):
            process.process.send_signal(number)
