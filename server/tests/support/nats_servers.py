"""Real NATS servers on loopback, three of a cluster, killed and started as a test says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from support.needed import needed_program
from support.ports import free_port

__all__ = ["NatsServer", "NatsServers"]

_START_WITHIN_S = 60
_SETTINGS = """
server_name: {name}
listen: 127.0.0.1:{port}
http: 127.0.0.1:{http}
jetstream {{ store_dir: "{store}", sync_interval: always }}
cluster {{ name: tests, listen: 127.0.0.1:{cluster}, routes: [{routes}], pool_size: -1 }}
"""


class NatsServer:
    """One server and its folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.port, self.cluster_port, self._http = free_port(), free_port(), free_port()
        self._folder = folder / name
        self._folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, others: list[NatsServer]) -> None:
        """Write its configuration, with the ways to the others."""
        routes = ", ".join(f'"nats://127.0.0.1:{each.cluster_port}"' for each in others)
        text = _SETTINGS.format(
            name=self.name,
            port=self.port,
            http=self._http,
            store=self._folder / "store",
            cluster=self.cluster_port,
            routes=routes,
        )
        (self._folder / "nats.conf").write_text(text)

    def configure_alone(self, more: str) -> None:
        """Write the configuration of a server without others."""
        listening = f"listen: 127.0.0.1:{self.port}\nhttp: 127.0.0.1:{self._http}\n"
        (self._folder / "nats.conf").write_text(listening + more)

    @property
    def jetstream(self) -> str:
        """The line of a configuration that keeps streams in its folder."""
        return f'jetstream {{ store_dir: "{self._folder / "store"}", sync_interval: always }}\n'

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and do not wait."""
        if self._process is not None:
            return
        beside = Path(sys.executable).with_name("nats-server")
        program = needed_program(str(beside), "pip install -r requirements/test.txt")
        with (self._folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [program, "-c", str(self._folder / "nats.conf")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def until_ready(self) -> None:
        """Wait until it serves."""
        until_s = time.monotonic() + _START_WITHIN_S
        while not self.is_ready():
            assert time.monotonic() < until_s, "a server of NATS does not start"
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """Whether it serves JetStream: it knows its leader and is up to date."""
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._http}/healthz", timeout=5) as got:
                return bool(json.load(got)["status"] == "ok")
        except OSError:
            return False

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        """Let it begin anew, with nothing, when it is started."""
        self.kill()
        shutil.rmtree(self._folder / "store", ignore_errors=True)


class NatsServers:
    """Three servers of a cluster, in a folder of their own; ended by `close`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="headcount-nats-"))
        self.servers = [NatsServer(name, self._folder) for name in ("one", "two", "three")]
        for each in self.servers:
            each.configure([other for other in self.servers if other is not each])

    @property
    def address(self) -> str:
        """Of all three."""
        return "nats://" + ",".join(f"127.0.0.1:{each.port}" for each in self.servers)

    def start(self) -> None:
        """Start those that do not run, and wait until all serve."""
        for each in self.servers:
            each.start()
        for each in self.servers:
            each.until_ready()

    def kill_all(self) -> None:
        """End all of them at once."""
        for each in self.servers:
            each.kill()

    def wipe(self) -> None:
        """Let all begin anew, with nothing."""
        for each in self.servers:
            each.wipe()
        self.start()

    def close(self) -> None:
        """End all and remove their folders."""
        self.kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)
