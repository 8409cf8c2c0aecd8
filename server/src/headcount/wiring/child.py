"""Where a child process begins: `python -m headcount.wiring.child ROLE`, with its task on stdin.

Takes its `Task` as JSON, plays one role until it is told to stop, by SIGTERM or because the
supervisor is gone, and reports on standard output that it is ready. Ends with 0 when told to
stop; with an operator error's status when the data folder cannot be used, which it reports there
too, so that it is said once and not by every process; on any other failure with 1, which it
reports as well, leaving the trace in a file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from headcount.config import Settings
from headcount.datafolder import DataFolder
from headcount.errors import OperatorError
from headcount.privacy import keep_to_ourselves
from headcount.wiring.front import Front

__all__ = ["READY", "Child", "Role", "Task", "main"]

READY = b"ready\n"
"""What a child writes to standard output once it does its work."""

_log = logging.getLogger(__name__)

# Names and size as prometheus-client has them: a larger file would stay empty, a smaller one grow.
_METRIC_KINDS = ("counter", "gauge_mostrecent", "gauge_livemax", "gauge_livesum", "histogram")
_METRICS_FILE_BYTES = 1 << 16
_SAID_MAX = 200

Role = str
"""`"intake"`, `"meter"` or `"api"`."""


class Task(msgspec.Struct, frozen=True):
    """What a child is given.

    Attributes:
        data: the data folder, absolute.
        hash_key: the hash key's file, absolute, when it lies elsewhere.
        rate_limit_per_minute, dedup_window_days, idle_timeout_s: as in the settings.
        tracking_url: where tracking SDKs reach this server.
        listen_fd: the inherited socket to accept on; -1 for the meter.
        alive_fd: the inherited end of a pipe that closes when the supervisor ends.
        memory, source_messages_per_minute, source_ids_per_minute: as in the settings.
        again: whether a process of this role has done its work before: then somebody relies on it.
        front: how the addresses face the network.
        reading: why nothing can be written, where the server is there for reading only.
    """

    data: str
    hash_key: str | None
    rate_limit_per_minute: int
    dedup_window_days: int
    idle_timeout_s: int
    tracking_url: str
    listen_fd: int
    alive_fd: int
    memory: int
    source_messages_per_minute: int | None = None
    source_ids_per_minute: int | None = None
    again: bool = False
    reading: str | None = None
    front: Front = Front()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data)

    @property
    def hash_key_file(self) -> Path | None:
        """The hash key's file, None for the one in the data folder."""
        return None if self.hash_key is None else Path(self.hash_key)


def task_of(
    settings: Settings,
    tracking_url: str,
    listen_fd: int,
    alive_fd: int,
    *,
    again: bool,
    reading: str | None,
    front: Front,
) -> Task:
    """The task of a child under some settings, of a server that takes messages at an address."""
    return Task(
        data=str(settings.data.absolute()),
        hash_key=None if settings.hash_key is None else str(settings.hash_key.absolute()),
        rate_limit_per_minute=settings.rate_limit_per_minute,
        dedup_window_days=settings.dedup_window_days,
        idle_timeout_s=settings.idle_timeout_s,
        tracking_url=settings.tracking_url or tracking_url,
        listen_fd=listen_fd,
        alive_fd=alive_fd,
        memory=settings.memory,
        source_messages_per_minute=settings.source_messages_per_minute,
        source_ids_per_minute=settings.source_ids_per_minute,
        again=again,
        reading=reading,
        front=front,
    )


class Child:
    """How a role learns that it should stop, and says that it is ready.

    Args:
        alive_fd: reading from it ends when the supervisor does.
    """

    def __init__(self, alive_fd: int) -> None:
        self.stopping = threading.Event()
        self._on_stop: Callable[[], None] = lambda: None
        # Ctrl-C reaches only the supervisor, which then tells everybody in the right order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # SIGTERM goes to a thread that waits for it. A handler would run in the main thread, in the
        # middle of whatever that does, and setting an event which the main thread is just about to
        # wait for would then wait for ever for the event's own lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=self._wait_for_word, daemon=True).start()
        threading.Thread(target=self._watch, args=(alive_fd,), daemon=True).start()

    def _wait_for_word(self) -> None:
        signal.sigwait({signal.SIGTERM})
        self.stop()

    def _watch(self, alive_fd: int) -> None:
        os.read(alive_fd, 1)
        # Through the signal, so that stopping happens once, whoever asks for it.
        os.kill(os.getpid(), signal.SIGTERM)

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call back, in another thread, when told to stop."""
        self._on_stop = callback

    def stop(self) -> None:
        """Tell the role to stop."""
        self.stopping.set()
        self._on_stop()

    def ready(self) -> None:
        """Say that the work has begun."""
        _report(READY)


def _report(line: bytes) -> None:
    # A supervisor that is gone hears nothing, and this process is about to learn of it.
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), line)


def _reserve_metrics() -> None:
    """Take the disk space in which this process shares its metrics, before it counts anything.

    prometheus-client writes them through mapped memory, and where a full disk has no room for such
    a write the system ends the process. Without room it keeps its numbers to itself, and works.
    """
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    files = [folder / f"{kind}_{os.getpid()}.db" for kind in _METRIC_KINDS]
    try:
        for file in files:
            file.write_bytes(bytes(_METRICS_FILE_BYTES))
    except OSError as error:
        _log.warning("the metrics of this process are not shared: %s", error.strerror)
        del os.environ["PROMETHEUS_MULTIPROC_DIR"]
        for file in files:
            file.unlink(missing_ok=True)


def main(role: Role) -> int:
    """Play a role until told to stop.

    Returns:
        The exit status.
    """
    keep_to_ourselves()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {role} %(levelname)s %(message)s")
    try:
        task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    except msgspec.DecodeError:
        return 1  # the supervisor died before it had said what to do
    child = Child(task.alive_fd)
    if role == "api":
        # The other processes share their metrics in files; this one adds them up, and keeps its own
        # to itself. prometheus-client looks at the variable when it is imported.
        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    elif task.reading is None:
        _reserve_metrics()
    try:
        # Each process loads only what its role needs: intake, above all, no NumPy.
        if role == "intake":
            from headcount.wiring.intake import run
        elif role == "meter":
            from headcount.wiring.meter import run
        else:
            from headcount.wiring.api import run
        run(task, child)
    except OperatorError as error:
        _refuse(error.problem, error.remedy, error)
        return error.exit_status
    except MemoryError as error:
        _refuse(
            f"The {role} process had too little memory.", "Give this machine more of it.", error
        )
        return 1
    except Exception as error:
        # It would be the end of a thousand lives if it keeps happening: said in a line by whoever
        # starts this process again, with the trace in a file for those who can mend it.
        place = _write_trace(DataFolder(task.folder), role, traceback.format_exc())
        said = f"{error}".strip().partition("\n")[0][:_SAID_MAX] or "without a word"
        _refuse(
            f"The {role} process failed: {said}.",
            f"This is a fault of Headcount: please report it{place}.",
            error,
        )
        return 1
    return 0


def _refuse(problem: str, remedy: str, error: Exception) -> None:
    refusal = {"problem": problem, "remedy": remedy, "error": type(error).__name__}
    _report(msgspec.json.encode(refusal) + b"\n")


def _write_trace(folder: DataFolder, role: Role, trace: str) -> str:
    """Keep the trace of the last failure of a role; where it is, as a clause."""
    place = folder.failures / f"{role}.txt"
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.write_text(trace)
    except OSError:
        return ""
    return f", with {place}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
