"""A real `headcount serve` for tests: takes a folder, gives its addresses and everyday helpers.

The server listens on ports that the system chooses, is told to stop by SIGTERM and must end with
status 0 and without a trace in its log; it is killed, by its id, if it does not end.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import urllib3

import segment_public_api
from segment_public_api import iter_rows
from support.program import PROGRAM, Program, environment, now

__all__ = ["Answer", "Counts", "Server", "Shop", "eventually", "serving"]

PATIENCE_S = 60.0
"""When a test gives up waiting: no measure of the server, but of a machine that is stuck."""

_FREE_PORTS = ("--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0")
_SUPERVISOR_ENDS_WITHIN_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """What a successful answer of the API address carries."""
        assert self.status in (200, 201), self.body
        return self.json()["data"]


@dataclass(frozen=True)
class Counts:
    """The usage of one scope at one day."""

    api_calls: int = 0
    identified: int = 0
    anonymous: int = 0
    anonymous_identified: int = 0
    never_identified: int = 0


@dataclass
class Server:
    """A running server.

    Attributes:
        program: the command line on the server's data folder.
        process: the supervisor.
        tracking, api: beginnings of the URLs that it announced.
        log: the lines that it wrote to standard error so far.
    """

    program: Program
    process: subprocess.Popen[str]
    tracking: str
    api: str
    log: list[str]
    http: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(maxsize=8, retries=False, timeout=PATIENCE_S)
    )

    def send(self, method: str, url: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request, on a connection that may have been used before."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.request(method, url, body=body, headers=named)
        return Answer(answer.status, answer.headers, answer.data)

    def track(self, path: str, message: object, write_key: str, **headers: str) -> Answer:
        """Post a message or a batch as JSON, with the write key as HTTP Basic user name."""
        basic = urllib3.make_headers(basic_auth=f"{write_key}:")["authorization"]
        body = json.dumps(message).encode()
        return self.send(
            "POST", f"{self.tracking}{path}", body, Authorization=basic,
            **{"Content_Type": "application/json"} | headers,
        )  # fmt: skip

    def ask(self, path: str, token: str | None = None, method: str = "GET") -> Answer:
        """Ask the API address."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.send(method, f"{self.api}{path}", **headers)

    def shop(self, name: str, *sources: str) -> Shop:
        """A new workspace with an admin token and sources, made by the command line."""
        workspace = self.program.json("workspace", "add", name)
        token = self.program.json("token", "add", "--workspace", name, "--scope", "admin")
        shop = Shop(self, name, workspace["id"], token["token"])
        for source in sources:
            shop.add_source(source)
        return shop

    def children(self, role: str) -> list[psutil.Process]:
        """The living processes of a role: `"intake"`, `"meter"`, `"api"`, `"forward"` or
        `"alert"`."""
        living = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children():
                # One that has just ended, and waits to be noticed, has no command line.
                with contextlib.suppress(psutil.NoSuchProcess):
                    if child.cmdline()[-1:] == [role]:
                        living.append(child)
        return living

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Tell the server to stop; it must end well."""
        self.process.send_signal(number)
        status = self.process.wait(_SUPERVISOR_ENDS_WITHIN_S)
        assert status == 0, f"status {status}\n" + "".join(self.log)

    def end(self) -> None:
        """Leave no process behind, however the test went; idempotent."""
        if self.process.poll() is None:
            family = [psutil.Process(self.process.pid), *self.children("intake")]
            for role in ("meter", "api", "forward", "alert"):
                family += self.children(role)
            for process in family:
                if process.is_running():
                    process.kill()
        self.process.wait()
        self.http.clear()


@dataclass
class Shop:
    """A workspace on a running server.

    Attributes:
        token: an API token of scope admin.
        write_keys, source_ids: by the source's name.
    """

    server: Server
    name: str
    id: str
    token: str
    write_keys: dict[str, str] = field(default_factory=dict)
    source_ids: dict[str, str] = field(default_factory=dict)

    def add_source(self, name: str) -> None:
        """Make a source by the command line, and wait until its messages are taken."""
        made = self.server.program.json("source", "add", name, "--workspace", self.name)
        self.write_keys[name], self.source_ids[name] = made["writeKey"], made["id"]
        self.await_key(made["writeKey"])

    def await_key(self, write_key: str, *, taken: bool = True) -> None:
        """Wait until every intake worker takes messages with a write key, or none does."""
        fresh = {"Connection": "close"}  # another connection may reach another worker
        # So many that, by chance, one worker is left out once in ten million times.
        asks = 16 * max(1, len(self.server.children("intake")))

        def known() -> bool:
            answers = (
                self.server.track("/v1/batch", {"batch": []}, write_key, **fresh).status
                for _ in range(asks)
            )
            return all((status == 200) == taken for status in answers)

        eventually(known, f"the write key of {self.name} to be {'known' if taken else 'refused'}")

    def ask(self, path: str) -> Answer:
        """Ask the API address with this workspace's token."""
        return self.server.ask(path, self.token)

    def wait_until_counted(self) -> None:
        """Wait until the server says that it has counted what was acknowledged before this call."""
        asked_at = now()

        def counted() -> bool:
            until = self.ask("/headcount/v1/summary").data["month"]["countedUntil"]
            return datetime.fromisoformat(until) > asked_at

        eventually(counted, "everything acknowledged to be counted")

    def month(self) -> str:
        """The month that runs, as the server sees it."""
        period: str = self.ask("/headcount/v1/summary").data["month"]["period"]
        return period

    def usage(self, period: str | None = None) -> dict[str, Counts]:
        """Usage at the last row of a month, read with `segment_public_api`.

        Args:
            period: the month; the current one when None.

        Returns:
            Counts by source id, and those of the workspace under `""`.
        """
        month = period or self.month()
        read: dict[str, dict[str, int]] = {"": {}}
        configuration = segment_public_api.Configuration(
            host=self.server.api, access_token=self.token
        )
        with segment_public_api.ApiClient(configuration) as client:
            calls = segment_public_api.APICallsApi(client)
            mtu = segment_public_api.MonthlyTrackedUsersApi(client)
            # Rows come in order of days, so the last one of each scope stays.
            for method in (
                calls.get_daily_workspace_api_calls_usage,
                calls.get_daily_per_source_api_calls_usage,
                mtu.get_daily_workspace_mtu_usage,
                mtu.get_daily_per_source_mtu_usage,
            ):
                for row in iter_rows(method, month):
                    record = row.to_record()
                    scope = record.pop("source_id", "")
                    read.setdefault(scope, {}).update(record)
        return {scope: _counts(record) for scope, record in read.items()}


def _counts(record: dict[str, Any]) -> Counts:
    assert record.pop("mtu") == record["identified"] + record["never_identified"]
    del record["day"]
    return Counts(**record)


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; fails when it never does."""
    gives_up_at = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < gives_up_at, f"waited in vain for {what}"
        time.sleep(0.02)


@contextmanager
def serving(folder: Path, *options: str, **environ: str) -> Iterator[Server]:
    """A server on a data folder of its own, until the block ends.

    Args:
        folder: an empty folder; the data goes into `data` in it.
        options: more options of `headcount serve`.
        environ: more environment variables.
    """
    program = Program(data=folder / "data", cwd=folder)
    # Tests poll, so the budget of a token must not be what they meet.
    settings = {"HEADCOUNT_DATA": str(program.data), "HEADCOUNT_RATE_LIMIT_PER_MINUTE": "1000000"}
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--json", *_FREE_PORTS, *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        env=environment(**settings | environ),
    )  # fmt: skip
    log: list[str] = []
    assert process.stderr is not None
    # Read all the time: a full pipe would stop the server.
    reader = threading.Thread(target=log.extend, args=(process.stderr,), daemon=True)
    reader.start()
    server = None
    try:
        announced = _announcement(process)
        if announced is None:
            reader.join()
            raise AssertionError("the server ended before it was ready\n" + "".join(log))
        server = Server(program, process, announced["tracking"], announced["api"], log)
        yield server
        if process.poll() is None:
            server.stop()
    finally:
        if server is not None:
            server.end()
        else:
            process.kill()
            process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()
        process.stderr.close()
    assert "Traceback" not in "".join(log), "".join(log)


def _announcement(process: subprocess.Popen[str]) -> Any:
    """What `serve --json` prints once it is ready; None when it ended before."""
    assert process.stdout is not None
    text = ""
    while "}" not in text:
        line = process.stdout.readline()
        if not line:
            return None
        text += line
    return json.loads(text)
