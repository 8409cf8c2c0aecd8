"""Nodes of a cluster as a drill runs them: real servers on folders of their own, killed by role."""

from __future__ import annotations

import contextlib
import json
import random
import selectors
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import urllib3

from support.program import PROGRAM, environment

__all__ = ["Node", "run"]

_STARTS_WITHIN_S = 90
_TOO_SLOW = "did not stop within"
_FREE_PORTS = ("--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0")


def run(
    settings: Mapping[str, str], *arguments: str, within_s: float = 120, may_miss: bool = False
) -> str:
    """Run a command of Headcount that must succeed; what it printed.

    Args:
        settings: variables, such as `HEADCOUNT_DATA`.
        arguments: of the command.
        within_s: how long it may take.
        may_miss: whether it may end with status 1, which says that something is missing.
    """
    done = subprocess.run(
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
        env=environment(**settings),
    )
    assert done.returncode <= may_miss, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


class Node:
    """One node.

    Args:
        name: its name in the cluster.
        folder: for its data and its log.
        settings: variables that all nodes have in common.
    """

    def __init__(self, name: str, folder: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.data = folder / name / "data"
        self.data.parent.mkdir(parents=True)
        self.settings = {**settings, "HEADCOUNT_NODE": name, "HEADCOUNT_DATA": str(self.data)}
        self.tracking = self.api = ""
        self.is_lost = False
        self._log = folder / name / "log"
        self._process: subprocess.Popen[str] | None = None
        self._http = urllib3.PoolManager(
            maxsize=8, retries=False, timeout=urllib3.Timeout(connect=2, read=15)
        )

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*PROGRAM, "serve", "--json", *_FREE_PORTS],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.data.parent,
                env=environment(**self.settings),
            )
        announced = self._announced(self._process)
        self.tracking, self.api = announced["tracking"], announced["api"]

    def _announced(self, process: subprocess.Popen[str]) -> Any:
        assert process.stdout is not None
        until_s = time.monotonic() + _STARTS_WITHIN_S
        text = ""
        while "}" not in text:
            left_s = until_s - time.monotonic()
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                ready = selector.select(max(0, left_s))
            line = process.stdout.readline() if ready else ""
            assert line, f"{self.name} does not start:\n{self.log()[-3000:]}"
            text += line
        return json.loads(text)

    def log(self) -> str:
        """What it wrote to standard error so far."""
        lines = self._log.read_text().splitlines(keepends=True) if self._log.exists() else []
        return "".join(line for line in lines if " answered 404 to " not in line)

    def children(self) -> list[tuple[str, psutil.Process]]:
        """Its living processes by role, without the supervisor."""
        living = []
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self._process.pid).children():
                    with contextlib.suppress(psutil.NoSuchProcess):
                        if child.cmdline():
                            living.append((child.cmdline()[-1], child))
        return living

    def kill_one(self, chance: random.Random, roles: Sequence[str] = ()) -> str:
        """Kill one of its processes; which role it had."""
        found = [each for each in self.children() if not roles or each[0] in roles]
        if not found:
            return "nothing"
        role, process = chance.choice(sorted(found, key=lambda each: (each[0], each[1].pid)))
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
        return role

    def kill(self) -> None:
        """Kill all its processes at once."""
        if self._process is None:
            return
        processes = [child for _, child in self.children()]
        self._process.kill()
        for each in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(processes, 30)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def stop(self, within_s: float = 60) -> None:
        """Tell it to stop; it must end well, unless it says that it was too slow for that."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            status = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} does not stop:\n{self.log()[-3000:]}") from None
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        said = self.log()[-3000:]
        assert status == 0 or _TOO_SLOW in said, f"{self.name} ended with {status}:\n{said}"

    def lose(self) -> None:
        """Lose it and its disk for good."""
        self.is_lost = True
        self.kill()
        shutil.rmtree(self.data)

    def post(self, path: str, body: bytes, authorization: str) -> bool:
        """Whether a post was acknowledged; it may have been taken all the same."""
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        try:
            answer = self._http.request("POST", self.tracking + path, body=body, headers=headers)
        except urllib3.exceptions.HTTPError:
            return False
        if answer.status == 200:
            assert not answer.json().get("rejected"), answer.data
            return True
        assert answer.status in (401, 403, 429, 500, 502, 503), (answer.status, answer.data)
        return False

    def read(self, path: str, token: str) -> tuple[Any, str] | None:
        """What a read gives, with its Last-Modified; None where it is not answered, or is a 503."""
        headers = {"Authorization": f"Bearer {token}"}
        try:
            answer = self._http.request("GET", self.api + path, headers=headers)
        except urllib3.exceptions.HTTPError:
            return None
        if answer.status == 200:
            return answer.json()["data"], answer.headers.get("Last-Modified", "")
        assert answer.status in (404, 500, 503), (answer.status, answer.data)
        return None

    def change(self, path: str, body: Any, token: str) -> None:
        """A change by the API, which must succeed."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answer = self._http.request("POST", self.api + path, body=json.dumps(body), headers=headers)
        assert answer.status in (200, 201), (answer.status, answer.data)
