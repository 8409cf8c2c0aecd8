"""Servers that contend, or that contenders need: takes a folder, gives where they listen.

Everything is started on a folder of its own, listens on loopback or on a socket file in that
folder, is in a session of its own so that Ctrl-C reaches nobody but the contest, ends when the
contest dies, and is ended by its process id.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.contest.interrupts import held, raise_if_interrupted
from bench.load import BenchError

__all__ = [
    "PYTHON",
    "ROOT",
    "postgres",
    "postgres_missing",
    "redis",
    "redis_missing",
    "started",
    "versions",
]

ROOT = Path(__file__).parents[2]

PYTHON = ROOT / ".venv" / "contest" / "bin" / "python"
"""The interpreter that has the contest's packages, which are no dependencies of Headcount."""

_STARTED_WITHIN_S = 60.0
_STOPPED_WITHIN_S = 20.0
_PR_SET_PDEATHSIG = 1
_POSTGRES_USER = "postgres"
_ENGINES = {"initdb": "PostgreSQL", "redis-server": "Redis"}
_PACKAGES = {
    "fastapi": "FastAPI", "uvicorn": "uvicorn", "asyncpg": "asyncpg", "redis": "redis-py",
    "chdb-core": "ClickHouse in chdb", "duckdb": "DuckDB", "polars": "Polars",
}  # fmt: skip
_POSTGRES = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
    "wal_level": "minimal", "max_wal_senders": "0", "wal_compression": "on",
    "shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1", "jit": "off", "max_connections": "20",
}  # fmt: skip
"""What is usually tuned. Nothing of it gives up durability."""


@contextmanager
def started(
    command: Sequence[object],
    log: Path,
    *,
    environ: Mapping[str, str] | None = None,
    user: str | None = None,
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs as long as the context lasts.

    Args:
        command: the program with its arguments, numbers and paths among them.
        log: where what it says on stderr goes.
        environ: variables beside those of this process.
        user: whom it runs as, if not as who runs the contest.
        end: the signal that ends it in an orderly way.

    Raises:
        BenchError: it did not end in time, and was killed.
    """
    libc = ctypes.CDLL(None)
    with log.open("ab") as said, held():
        process = subprocess.Popen(
            [str(each) for each in command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})}, user=user,
            group=user, extra_groups=None if user is None else [], start_new_session=True,
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )  # fmt: skip
    try:
        raise_if_interrupted()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(end)
        try:
            process.wait(_STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            # The session is its own, so this is the program and what it started.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise BenchError(f"{command[0]} did not end and was killed") from None
        finally:
            assert process.stdout is not None
            process.stdout.close()


def postgres_missing() -> str:
    """What PostgreSQL lacks here; empty if nothing."""
    if not (_program("initdb") and _program("postgres")):
        return "PostgreSQL is not installed"
    try:
        pwd.getpwnam(_POSTGRES_USER)
    except KeyError:
        if os.geteuid() == 0:
            return f"PostgreSQL does not run as root, and there is no user {_POSTGRES_USER}"
    return ""


def redis_missing() -> str:
    """What Redis lacks here; empty if nothing."""
    return "" if shutil.which("redis-server") else "redis-server is not installed"


def _program(name: str) -> str | None:
    """PostgreSQL's programs lie in a folder of their version, on no path, as Debian has it."""
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
    return str(newest) if newest else shutil.which(name)


def versions() -> str:
    """Which versions contend, as far as they are here; one line."""
    said = []
    for name in ("initdb", "redis-server"):
        if program := _program(name):
            answer = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            if found := re.search(r"\d+(?:\.\d+)+", answer):
                said.append(f"{_ENGINES[name]} {found[0]}")
    if PYTHON.exists():
        code = "import importlib.metadata as m, sys; [print(m.version(n)) for n in sys.argv[1:]]"
        answer = subprocess.run(
            [PYTHON, "-c", code, *_PACKAGES], capture_output=True, text=True
        ).stdout
        said += map(" ".join, zip(_PACKAGES.values(), answer.split(), strict=False))
    return ", ".join(said)


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[int, str]]:
    """PostgreSQL on an empty folder: its process id, and the folder of its socket.

    Raises:
        BenchError: it did not start.
    """
    # It refuses to run as root, and Debian's package brings a user for it.
    user = _POSTGRES_USER if os.geteuid() == 0 else None
    initdb, server = _program("initdb"), _program("postgres")
    assert initdb is not None
    assert server is not None
    data, log = folder / "data", folder / "postgres.log"
    data.mkdir(mode=0o700)
    log.touch()
    if user:
        for each in (folder, data, log):
            shutil.chown(each, user, user)
    made = subprocess.run(
        [initdb, "--pgdata", data, "--username", "meter", "--auth", "trust", "--encoding", "UTF8",
         "--locale", "C", "--no-instructions"],
        capture_output=True, text=True, user=user, group=user, cwd=folder,
    )  # fmt: skip
    if made.returncode:
        raise BenchError(f"initdb failed: {made.stderr.strip()[-500:]}")
    settings = [f"--{name}={value}" for name, value in _POSTGRES.items()]
    command = [server, "-D", data, "-k", folder, "-h", "", *settings]
    with started(command, log, user=user, end=signal.SIGINT) as process:
        _wait_for(folder / ".s.PGSQL.5432", process, log)
        yield process.pid, str(folder)


@contextmanager
def redis(folder: Path, fsync: str) -> Iterator[tuple[int, str]]:
    """Redis on an empty folder: its process id, and its socket.

    Args:
        folder: for its append-only file.
        fsync: `always` or `everysec`.

    Raises:
        BenchError: it did not start.
    """
    socket, log = folder / "redis.sock", folder / "redis.log"
    command = [
        "redis-server", "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", "",
        "--appendonly", "yes", "--appendfsync", fsync, "--logfile", log,
    ]  # fmt: skip
    with started(command, log) as process:
        _wait_for(socket, process, log)
        yield process.pid, str(socket)


def _wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    until_s = time.monotonic() + _STARTED_WITHIN_S
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > until_s:
            raise BenchError(f"{process.args!r} did not start: {log.read_text()[-500:]}")
        time.sleep(0.02)
