"""Real nodes of a cluster as processes, on a real PostgreSQL with a database of their own."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support.postgresql import PostgresServers
from support.program import PROGRAM, environment

_databases = (f"cluster_{os.getpid()}_{number}" for number in itertools.count())
WITHIN_S = 150.0


@functools.cache
def database_server() -> PostgresServers:
    """A PostgreSQL that ends with this process; a test that kills it starts it again."""
    servers = PostgresServers()
    atexit.register(servers.close)
    servers.start(standby=False)
    return servers


def fresh_address() -> str:
    """The address of an empty database."""
    primary = database_server().primary
    name = next(_databases)
    primary.ask(f"CREATE DATABASE {name}")
    return primary.address.replace("/postgres", f"/{name}")


def eventually(look: Callable[[], object], within_s: float = WITHIN_S) -> Any:
    """What a look gives once it gives something; fails after a long while."""
    until_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < until_s, f"not within {within_s:.0f} s: {look}"
        time.sleep(0.05)
    return found


class NodeProgram:
    """One node: its folder, and its server while it runs."""

    def __init__(self, folder: Path, name: str, address: str) -> None:
        self.name = name
        self.cwd = folder
        self.data = folder / name
        self.address = address
        self.log = folder / f"{name}.log"
        self.where: dict[str, str] = {}
        self.settings: dict[str, str] = {}
        self._server: subprocess.Popen[str] | None = None

    def environment(self, **extra: str) -> dict[str, str]:
        said = {
            "HEADCOUNT_DATA": str(self.data),
            "HEADCOUNT_CLUSTER": self.address,
            "HEADCOUNT_WORKERS": "1",
        }
        return environment(**said | self.settings | extra)

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [*PROGRAM, *arguments],
            capture_output=True,
            text=True,
            cwd=self.cwd,
            env=self.environment(**extra),
        )

    def json(self, *arguments: str) -> Any:
        """What a command prints that must succeed."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def json_status(self) -> Any:
        """How the cluster does, whether or not something is missing."""
        return json.loads(self.run("cluster", "status", "--json").stdout)

    def take_key_of(self, other: NodeProgram) -> None:
        """Have the cluster's hash key, as an operator copies it."""
        shutil.copy(other.data / "hash.key", self.cwd / f"{self.name}.key")

    def start(self, *arguments: str, **extra: str) -> None:
        """Serve, on free ports."""
        key = self.cwd / f"{self.name}.key"
        if key.exists():
            extra["HEADCOUNT_HASH_KEY"] = str(key)
        with self.log.open("a") as log:
            self._server = subprocess.Popen(
                [
                    *(*PROGRAM, "serve", "--json", "--tracking", "127.0.0.1:0"),
                    *("--api", "127.0.0.1:0", "--node", self.name, *arguments),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.cwd,
                env=self.environment(**extra),
                text=True,
            )
        assert self._server.stdout is not None
        with self._server.stdout as output:
            line = output.readline()
        if line:
            self.where = json.loads(line)

    def ended(self) -> tuple[int, str]:
        """The status of a server that ends by itself, and its log."""
        assert self._server is not None
        status = self._server.wait(WITHIN_S)
        self._server = None
        return status, self.log.read_text()

    def stop(self) -> None:
        """Stop in order."""
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait(WITHIN_S)
            self._server = None

    def kill(self) -> None:
        """Die at once, with all processes, as a machine does."""
        import psutil

        if self._server is None:
            return
        supervisor = psutil.Process(self._server.pid)
        supervisor.suspend()
        for each in (*supervisor.children(recursive=True), supervisor):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self._server.wait(WITHIN_S)
        self._server = None


@contextlib.contextmanager
def nodes_of_a_cluster(
    folder: Path, *names: str, facts: int = 2, keys: int = 2, address: str | None = None
) -> Iterator[Any]:
    """Nodes, the first of which has begun the cluster; none serves yet."""
    address = address or fresh_address()
    nodes = [NodeProgram(folder, name, address) for name in names]
    done = nodes[0].run(
        *("cluster", "init", "--node", names[0]), "--facts", str(facts), "--keys", str(keys)
    )
    assert done.returncode == 0, done.stderr
    for node in nodes[1:]:
        node.take_key_of(nodes[0])
    try:
        yield nodes
    finally:
        stops = [threading.Thread(target=node.stop) for node in nodes]
        for each in stops:
            each.start()
        for each in stops:
            each.join()
