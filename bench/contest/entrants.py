"""A contender that runs: takes a folder, gives where it listens, what it uses, what it counted."""

from __future__ import annotations

import http.client
import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contest.engines import PYTHON, started
from bench.contest.interrupts import held, raise_if_interrupted
from bench.load import BenchError
from bench.machine import children_of, memory_of, whole_cpu_seconds
from bench.server import Client, Server, add_tenant, this_period
from bench.traffic import Expected

__all__ = ["SOURCES", "WORKSPACE", "Entrant", "contender", "headcount"]

SOURCES = 2
WORKSPACE = 0
_STARTED_WITHIN_S = 60.0

Engine = Callable[[Path], AbstractContextManager[tuple[int, str]]]


@dataclass(frozen=True)
class Entrant:
    """A contender that runs.

    Attributes:
        url: where it takes messages.
        write_keys: of its sources, in the order of their numbers, which begin at 1.
        pids: the processes that it began with; what these started is its own as well.
        data: where everything lies that it keeps.
        read: gives the current month day by day of the workspace, or of a source by its number.
    """

    url: str
    write_keys: list[str]
    pids: list[int]
    data: Path
    read: Callable[[int], dict[str, Any]]

    def counted(self, scope: int = WORKSPACE) -> Expected:
        """The last day's running totals."""
        series = self.read(scope)
        names = ("apiCalls", "identified", "anonymous", "anonymousIdentified")
        return Expected(*(int(series[name][-1]) for name in names))

    def cpu_s(self) -> float:
        """Processor time that all of its processes have used, ended ones included."""
        return sum(map(whole_cpu_seconds, self._processes()))

    def memory_bytes(self) -> int:
        """Memory of all of its processes, shared pages once."""
        return sum(memory_of(pid).pss_bytes for pid in self._processes())

    def disk_bytes(self) -> int:
        """What it has on disk."""
        return sum(each.stat().st_blocks * 512 for each in self.data.rglob("*") if each.is_file())

    def _processes(self) -> list[int]:
        found, left = [], list(self.pids)
        while left:
            pid = left.pop()
            try:
                left += children_of(pid)
                found.append(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended since it was listed, and is in its parent's time
        return found


class _Reader:
    """Reads over one connection, which a server may have closed since."""

    def __init__(self, url: str, authorization: str = "") -> None:
        self._url, self._authorization = url, authorization
        self._client = Client(url, authorization)

    def get(self, path: str) -> Any:
        try:
            return json.loads(self._client.get(path))
        except (http.client.HTTPException, ConnectionError):
            self.close()
            self._client = Client(self._url, self._authorization)
            return json.loads(self._client.get(path))

    def usage(self, scope: int) -> dict[str, Any]:
        """The month as the applications of this contest give it."""
        answer: dict[str, Any] = self.get(f"/usage?scope={scope}&month={this_period()}")
        return answer

    def close(self) -> None:
        self._client.close()


@contextmanager
def headcount(folder: Path, workers: int) -> Iterator[Entrant]:
    """Headcount, as `headcount serve` starts it."""
    data = folder / "data"
    tenant = add_tenant(data, "contest", SOURCES)
    with held():
        server = Server(data, workers)
    with ExitStack() as stack:
        stack.enter_context(server)
        raise_if_interrupted()
        server.wait_announced()
        api = stack.enter_context(closing(_Reader(server.api, f"Bearer {tenant.token}")))

        def read(scope: int) -> dict[str, Any]:
            of = f"&sourceId={tenant.source_ids[scope - 1]}" if scope else ""
            answer = api.get(f"/headcount/v1/daily?period={this_period()}{of}")["data"]
            columns: dict[str, Any] = answer["sources"][0]["totals"] if of else answer["workspace"]
            return columns

        yield Entrant(server.tracking, tenant.write_keys, [server.pid], data, read)


def contender(
    module: str, engine: Engine | None, workers_max: int | None = None
) -> Callable[[Path, int], AbstractContextManager[Entrant]]:
    """How an application of FastAPI is started, with its engine.

    Args:
        module: the application, as Python imports it.
        engine: starts what it needs on a folder; None where that is part of the application.
        workers_max: how many workers it can have.
    """

    @contextmanager
    def start(folder: Path, workers: int) -> Iterator[Entrant]:
        data = folder / "engine"
        data.mkdir()
        with ExitStack() as stack:
            pids, place = [], str(data)
            if engine is not None:
                pid, place = stack.enter_context(engine(data))
                pids.append(pid)
            count = min(workers, workers_max or workers)
            url, keys, pid = stack.enter_context(_served(module, folder, place, count))
            reader = stack.enter_context(closing(_Reader(url)))
            yield Entrant(url, keys, [*pids, pid], data, reader.usage)

    return start


@contextmanager
def _served(
    module: str, folder: Path, engine: str, workers: int
) -> Iterator[tuple[str, list[str], int]]:
    keys = [secrets.token_urlsafe(16) for _ in range(SOURCES)]
    log = folder / "app.log"
    environ = {
        "METER_ENGINE": engine,
        "METER_KEYS": json.dumps({key: number for number, key in enumerate(keys, 1)}),
    }
    command = [PYTHON, "-m", "bench.contest.apps.serve", module, str(workers)]
    with started(command, log, environ=environ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().decode().strip()
        if not port:
            raise BenchError(f"{module} did not start: {log.read_text()[-1000:]}")
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url, process, log, workers)
        yield url, keys, process.pid


def _wait_until_it_answers(
    url: str, process: subprocess.Popen[bytes], log: Path, workers: int
) -> None:
    until_s = time.monotonic() + _STARTED_WITHIN_S
    answers = 0
    # Connections are dealt out by chance: after so many answers every worker has given one.
    while answers < 8 * workers:
        with closing(_Reader(url)) as reader:
            try:
                reader.usage(WORKSPACE)
                answers += 1
            except (OSError, BenchError):
                if process.poll() is not None or time.monotonic() > until_s:
                    raise BenchError(f"it did not start: {log.read_text()[-1000:]}") from None
                time.sleep(0.05)
