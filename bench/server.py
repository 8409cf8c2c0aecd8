"""A real `headcount serve` on a folder: gives its addresses, what it counted, what it used."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bench.load import BenchError
from bench.machine import Memory, children_of, cpu_seconds, memory_of
from bench.traffic import Expected
from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.counting.calendar import Period, day_of_ms
from headcount.datafolder import open_data_folder

__all__ = ["Client", "Server", "Tenant", "add_tenant", "basic", "this_period", "wait_until"]

_STOP_WITHIN_S = 15
_METRIC = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A workspace with what is needed to write to it and to read from it.

    Attributes:
        number: of the workspace, as facts carry it.
        sources: numbers of its sources.
        source_ids: their ids, as addresses name them.
        write_keys: their write keys.
        token: reads its usage.
    """

    number: int
    sources: list[int]
    source_ids: list[str]
    write_keys: list[str]
    token: str


def add_tenant(data: Path, name: str, sources: int = 1) -> Tenant:
    """Make a workspace in a data folder, with sources and a token."""
    folder = open_data_folder(data, create=True)
    with Catalog(folder.catalog) as catalog:
        workspace = catalog.add_workspace(name, now_ms())
        made = [
            catalog.add_source(workspace.number, f"source {number}", now_ms())
            for number in range(sources)
        ]
        _, secret = catalog.add_token(workspace.number, "read", now_ms())
    return Tenant(
        workspace.number,
        [source.number for source in made],
        [source.id for source in made],
        [source.write_key for source in made],
        secret,
    )


def this_period() -> Period:
    """The current month."""
    return Period.of_day(day_of_ms(now_ms()))


def basic(write_key: str) -> str:
    """The Authorization header of a tracking SDK."""
    return "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()


class Client:
    """One keep-alive connection for everything but load.

    Args:
        url: beginning of the addresses.
        authorization: what the header of that name says.
    """

    def __init__(self, url: str, authorization: str) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        self._http = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
        self._headers = {"Authorization": authorization}

    def get(self, path: str) -> bytes:
        """The body of a page.

        Raises:
            BenchError: the status is not 200.
        """
        return self._answer("GET", path, None)

    def post(self, path: str, document: object, authorization: str = "") -> bytes:
        """The answer to a JSON document.

        Args:
            path: where to.
            document: the document.
            authorization: another one than the connection's.

        Raises:
            BenchError: the status is not 200.
        """
        return self._answer("POST", path, json.dumps(document).encode(), authorization)

    def _answer(self, method: str, path: str, body: bytes | None, authorization: str = "") -> bytes:
        headers = {"Authorization": authorization} if authorization else self._headers
        self._http.request(method, path, body, headers)
        answer = self._http.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise BenchError(f"{method} {path} was answered {answer.status}: {data[-300:]!r}")
        return data

    def last_row(self, kind: str, period: Period) -> dict[str, Any]:
        """The newest daily row of the workspace; `kind` is `api-calls` or `mtu`."""
        document = json.loads(self.get(f"/usage/{kind}/daily?period={quote(str(period))}"))
        [name] = document["data"].keys() - {"pagination"}
        row: dict[str, Any] = document["data"][name][-1]
        return row

    def api_calls(self) -> int:
        """API calls of the current month so far."""
        return int(self.last_row("api-calls", this_period())["apiCalls"])

    def assert_exact(self, expected: Expected, period: Period | None = None) -> None:
        """Refuse any count that is not what was sent.

        Raises:
            BenchError: a count differs.
        """
        period = period or this_period()
        users = self.last_row("mtu", period)
        counted = Expected(
            int(self.last_row("api-calls", period)["apiCalls"]),
            int(users["identified"]),
            int(users["anonymous"]),
            int(users["anonymousIdentified"]),
        )
        if counted != expected:
            raise BenchError(f"sent {expected}, and the server counted {counted}")

    def close(self) -> None:
        """End the connection."""
        self._http.close()


class Server:
    """One server; a context manager that ends it.

    Args:
        data: its data folder.
        workers: intake processes.
        addresses: tracking and API address of a run before, to have them again; None for any.
        command: the program; this version's when None.
    """

    def __init__(
        self,
        data: Path,
        workers: int,
        addresses: tuple[str, str] | None = None,
        command: Path | None = None,
    ) -> None:
        tracking, api = addresses or ("127.0.0.1:0", "127.0.0.1:0")
        self.data = data
        self._killed = False
        self._log = (data.parent / "serve.log").open("ab")
        self.began_s = time.perf_counter()
        self._process = subprocess.Popen(
            [
                str(command or Path(sys.executable).with_name("headcount")), "serve", "--json",
                "--data", str(data), "--workers", str(workers),
                "--tracking", tracking, "--api", api,
                "--rate-limit-per-minute", "1000000",
            ],
            stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        self.tracking = self.api = ""

    def __enter__(self) -> Server:
        return self

    def wait_announced(self) -> Server:
        """Wait until the server says where it listens.

        Raises:
            BenchError: it ended instead.
        """
        assert self._process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = self._process.stdout.readline().decode()
            if not line:
                raise BenchError(f"the server did not start: {self._log_tail()}")
            text += line
        said = json.loads(text)
        self.tracking, self.api = said["tracking"], said["api"]
        return self

    def assert_running(self) -> None:
        """Refuse to go on without a server.

        Raises:
            BenchError: it has ended; with what it said.
        """
        if self._process.poll() is not None:
            raise BenchError(f"the server ended too early: {self._log_tail()}")

    @property
    def addresses(self) -> tuple[str, str]:
        """Where it listens, as its options take it."""
        return urlsplit(self.tracking).netloc, urlsplit(self.api).netloc

    def reader(self, tenant: Tenant) -> Client:
        """A connection that reads a workspace's usage."""
        return Client(self.api, f"Bearer {tenant.token}")

    @property
    def pid(self) -> int:
        """The process that started all others of it."""
        return self._process.pid

    def pids(self, role: str) -> list[int]:
        """The processes of a role: intake, meter or api."""
        children = children_of(self._process.pid)
        return [pid for pid, command in children.items() if command[-1] == role]

    def cpu_s(self, role: str) -> float:
        """Processor time that the processes of a role have used."""
        return sum(map(cpu_seconds, self.pids(role)))

    def memory(self, role: str) -> Memory:
        """Memory of the largest process of a role; the supervisor is one too."""
        pids = [self._process.pid] if role == "supervisor" else self.pids(role)
        return max(memory_of(pid) for pid in pids)

    def metrics(self, name: str) -> dict[str, float]:
        """The samples of one metric, by their labels."""
        client = Client(self.api, "")
        text = client.get("/metrics").decode()
        client.close()
        return {m[2] or "": float(m[3]) for m in _METRIC.finditer(text) if m[1] == name}

    def signal_meter(self, number: signal.Signals) -> None:
        """Send the meter a signal: SIGSTOP pauses it, SIGCONT lets it go on."""
        for pid in self.pids("meter"):
            os.kill(pid, number)

    def store_bytes(self) -> dict[str, int]:
        """What lies on disk of keys and counts: in the database, in its log, in files of keys."""
        store = open_data_folder(self.data, create=False).store
        return {
            "database": _size(store),
            "its log": _size(store.with_name(store.name + "-wal")),
            "files of keys": sum(map(_size, (store.parent / "keys").glob("*"))),
        }

    def stop(self) -> None:
        """End it as an operator would.

        Raises:
            BenchError: it did not end with status 0 in time.
        """
        if self._process.poll() is None:
            self._process.terminate()
        try:
            status = self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise BenchError(f"the server did not stop: {self._log_tail()}") from None
        if status != 0:
            raise BenchError(f"the server ended with status {status}: {self._log_tail()}")

    def kill(self) -> None:
        """End all its processes at once, as a power cut does."""
        # Stopped, so that it starts no further one meanwhile.
        self._process.send_signal(signal.SIGSTOP)
        children = list(children_of(self._process.pid))
        self._process.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._killed = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and not self._killed:
                self.stop()
            elif self._process.poll() is None:
                self.kill()
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._log.close()

    def _log_tail(self) -> str:
        self._log.flush()
        return Path(self._log.name).read_text()[-2000:]


def _size(path: Path) -> int:
    # A file may be replaced by its successor between listing and asking.
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def wait_until(done: Callable[[], bool], within_s: float, what: str, every_s: float = 0.02) -> None:
    """Ask until it is so.

    Args:
        done: whether it is so.
        within_s: when to give up.
        what: what is waited for, for the error.
        every_s: pause between two questions.

    Raises:
        BenchError: it was not so in time.
    """
    until_s = time.perf_counter() + within_s
    while not done():
        if time.perf_counter() > until_s:
            raise BenchError(f"{what} took more than {within_s:.0f} s")
        time.sleep(every_s)
