"""A server of the demo's own: takes a folder, gives a running `headcount serve` and its addresses.

Everything runs as the real program in processes of its own, with the settings of whoever started
the demo left aside.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from headcount.config import SETTINGS
from headcount.errors import OperatorError

__all__ = ["Addresses", "DemoServer", "run_command"]

_STOP_WITHIN_S = 15


class Addresses(NamedTuple):
    """Where a server listens, as beginnings of URLs."""

    tracking: str
    api: str


class DemoServer:
    """A server that is being started.

    Args:
        folder: its data folder.
        log: file for what it says on standard error.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self._log = log
        options = [f"--tracking={_free('tracking')}", f"--api={_free('api')}"]
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [*_PROGRAM, "serve", "--json", *options],
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                cwd=folder.parent,
                env=_environment(folder),
                # Ctrl-C is for the demo, which then ends its server in order.
                process_group=0,
            )

    def addresses(self) -> Addresses:
        """Where it listens, once it does; to be asked once.

        Raises:
            OperatorError: it did not start; the message holds what it said.
        """
        assert self._process.stdout is not None
        announced = self._process.stdout.readline()
        if not announced:
            raise OperatorError(
                f"The demo's server did not start: {self._log.read_text().strip()}",
                "Fix that, then run the demo again.",
            )
        return Addresses(**json.loads(announced))

    def wait(self) -> None:
        """Return when the server has ended by itself.

        Raises:
            OperatorError: always, since nobody told it to; the message holds what it said.
        """
        status = self._process.wait()
        raise OperatorError(
            f"The demo's server ended with status {status}: {self._log.read_text()[-1000:]}",
            "Run the demo again.",
        )

    def stop(self) -> None:
        """End it in order; idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def run_command(folder: Path, *arguments: str) -> str:
    """Run another command of this program on the demo's folder.

    Returns:
        All that it printed.

    Raises:
        OperatorError: it failed.
    """
    finished = subprocess.run(
        [*_PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder.parent,
        env=_environment(folder),
        check=False,
    )
    if finished.returncode != 0:
        raise OperatorError(
            f"headcount {arguments[0]} failed: {finished.stdout.strip()}", "Run the demo again."
        )
    return finished.stdout


_PROGRAM = (sys.executable, "-m", "headcount")


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADCOUNT_")}
    return kept | {SETTINGS["data"].env: str(folder)}


def _free(setting: str) -> object:
    """The setting's default address if nobody listens there, else one of the system's choice."""
    address = SETTINGS[setting].default
    assert isinstance(address, tuple)
    host, port = address
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return f"{host}:0"
    return address
