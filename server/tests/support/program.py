"""Runs the real `headcount` program for tests, away from whatever the tester's shell has set."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moved_clock import MovedClock

PROGRAM = (sys.executable, "-m", "headcount")

_clock: MovedClock | None = None


def go_by(clock: MovedClock) -> None:
    """Let every program that is started from now on go by a clock other than the system's."""
    global _clock
    _clock = clock


def now() -> datetime:
    """The time as the programs see it."""
    return datetime.now(UTC) if _clock is None else _clock.now()


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without settings of Headcount, with a few more variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADCOUNT_")}
    clock = {} if _clock is None else _clock.environment()
    return kept | {"PYTHONWARNINGS": "error"} | clock | extra


@dataclass(frozen=True)
class Program:
    """The program on one data folder.

    Attributes:
        data: the data folder, given as `HEADCOUNT_DATA`.
        cwd: the working folder.
    """

    data: Path
    cwd: Path

    def run(
        self, *arguments: str, stdin: str = "", **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [*PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.cwd,
            env=environment(HEADCOUNT_DATA=str(self.data), **extra),
        )

    def json(self, *arguments: str) -> Any:
        """Run a command that must succeed with `--json`, and give what it prints."""
        finished = self.run(*arguments, "--json")
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)

    @contextmanager
    def serving(self) -> Iterator[dict[str, str]]:
        """A real server on free ports; gives where it listens, as `tracking` and `api`."""
        with served_by(PROGRAM, self.data, self.cwd) as where:
            yield where


@contextmanager
def served_by(
    program: Sequence[str | Path], data: Path, cwd: Path | None = None
) -> Iterator[dict[str, str]]:
    """A real server on free ports; gives where it listens, as `tracking` and `api`.

    Args:
        program: how it is called.
        data: the data folder.
        cwd: the working folder; the one that holds the data when None.
    """
    with subprocess.Popen(
        [*program, "serve", "--json", "--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        cwd=cwd or data.parent,
        env=environment(HEADCOUNT_DATA=str(data), HEADCOUNT_WORKERS="1"),
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait() == 0


def program_with_source(folder: Path) -> Program:
    """The program on a new data folder that holds the workspace "Shop" with the source "web"."""
    program = Program(data=folder / "data", cwd=folder)
    program.json("workspace", "add", "Shop")
    program.json("source", "add", "web", "--workspace", "Shop")
    return program
