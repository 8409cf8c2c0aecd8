"""`python -m bench.intake_cost --against PATH`: what a message costs, beside another version.

Takes another checkout with an environment of its own; starts a real server of each, with one
worker, and posts to both in turns: batches, then single messages, over connections that are kept.
Gives the processor time of the intake process for each message, and the ratio of the two. Time on
a clock would measure whoever else uses the machine. The meters are paused meanwhile; with
`--metered` they work, each turn ends when everything is counted, and their time is given as well.
Every count is compared with what was sent.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from bench.load import CONNECTIONS, BenchError, Load
from bench.machine import Neighbours, machine_notes, run_seconds
from bench.report import Row, percentile, tell
from bench.server import Client, Server, wait_until
from bench.traffic import Population

__all__ = ["main"]

_SIZES = (100, 1)
_WARM_UP_S = 0.5
_COUNTED_WITHIN_S = 120.0
_EVERYTHING = "everything"
# Made by the version itself, as its catalog has its own form.
_ADD_TENANT = """
import json, sys
from pathlib import Path
from bench.server import add_tenant
made = add_tenant(Path(sys.argv[1]), "load")
print(json.dumps([made.write_keys[0], made.token]))
"""


class _Side:
    """One version: its server, its load, and what each turn of a size has cost.

    Args:
        root: its checkout.
        folder: for its data.
        roles: whose processor time is measured; whoever is not among them is paused.
    """

    def __init__(self, root: Path, folder: Path, roles: Sequence[str]) -> None:
        python = root / ".venv" / "bin" / "python"
        data = folder / "data"
        folder.mkdir()
        made = subprocess.run(
            [python, "-c", _ADD_TENANT, data], cwd=root, check=True, capture_output=True, text=True
        ).stdout
        self._write_key, self._token = json.loads(made)
        self._server = Server(data, 1, command=python.with_name("headcount")).wait_announced()
        self._pids = {role: self._server.pids(role)[0] for role in roles}
        self._is_metered = "meter" in roles
        if not self._is_metered:
            self._server.signal_meter(SIGSTOP)
        self._sent = 0
        self.costs_us: dict[int, dict[str, list[float]]] = {
            size: {role: [] for role in roles} for size in _SIZES
        }

    def load(self, size: int, options: argparse.Namespace) -> Load:
        """Connections for one size, warmed up."""
        load = Load(
            self._server.tracking,
            self._write_key,
            size,
            Population(),
            options.connections,
            proxied=options.proxied,
        )
        self._run(load, _WARM_UP_S)
        return load

    def turn(self, load: Load, size: int, seconds: float) -> None:
        """Post for a while, and wait until it is counted where that is measured too."""
        before_s = {role: run_seconds(pid) for role, pid in self._pids.items()}
        messages = self._run(load, seconds)
        for role, pid in self._pids.items():
            used_s = run_seconds(pid) - before_s[role]
            self.costs_us[size][role].append(used_s / messages * 1e6)

    def _run(self, load: Load, seconds: float) -> int:
        sent = load.run(seconds)
        self._sent += sent.messages
        if self._is_metered:
            self.wait_counted()
        return sent.messages

    def wait_counted(self) -> None:
        """Wait until everything is counted, and nothing twice.

        Raises:
            BenchError: it is not in time, or the count is another.
        """
        with closing(Client(self._server.api, f"Bearer {self._token}")) as reader:

            def counted() -> bool:
                return reader.api_calls() >= self._sent

            wait_until(counted, _COUNTED_WITHIN_S, "counting what was sent")
            if (calls := reader.api_calls()) != self._sent:
                raise BenchError(f"sent {self._sent}, and the server counted {calls}")

    def end(self) -> None:
        """Compare the counts and end the server; it stops only with a meter that runs."""
        self._server.signal_meter(SIGCONT)
        try:
            self.wait_counted()
        finally:
            self._server.stop()


def main() -> int:
    """Measure, and print a line for each size.

    Returns:
        The exit status: 1 when anything was refused.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.intake_cost", description=__doc__)
    parser.add_argument("--against", type=Path, required=True, help="root of another checkout")
    parser.add_argument("--turns", type=int, default=9, help="of each version and size")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--metered", action="store_true", help="measure the meters as well")
    parser.add_argument("--proxied", action="store_true", help="each of another client's head")
    parser.add_argument("--write", action="store_true", help="keep the table, dated")
    options = parser.parse_args()
    # Where hashes of texts fall makes a few hundredths, which would be taken for a difference.
    os.environ["PYTHONHASHSEED"] = "0"
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="headcount-cost-") as name:
        folder = Path(name)
        notes = machine_notes(folder) | {"load average": f"{os.getloadavg()[0]:.1f}"}
        neighbours = Neighbours()
        sides: list[_Side] = []
        roles = ("intake", "meter") if options.metered else ("intake",)
        try:
            try:
                for number, root in enumerate((options.against.resolve(), Path.cwd())):
                    sides.append(_Side(root, folder / str(number), roles))
                for size in _SIZES:
                    rows += _in_turns(sides, size, options)
            finally:
                for side in sides:
                    side.end()
        except (BenchError, subprocess.CalledProcessError) as error:
            print(f"The measurement failed: {error}", file=sys.stderr)
            return 1
        notes["taken by other programs meanwhile"] = f"{neighbours.share():.0%} of the cores"
    return tell(rows, notes, write=options.write)


def _in_turns(sides: list[_Side], size: int, options: argparse.Namespace) -> list[Row]:
    loads = [side.load(size, options) for side in sides]
    for turn in range(options.turns):
        # Who comes first changes, since the machine drifts.
        for side, load in list(zip(sides, loads, strict=True))[:: -1 if turn % 2 else 1]:
            side.turn(load, size, options.seconds)
    for load in loads:
        load.close()
    return _rows(size, *(side.costs_us[size] for side in sides))


def _rows(size: int, before: dict[str, list[float]], now: dict[str, list[float]]) -> list[Row]:
    scenario = f"Processor time a message: {f'batches of {size}' if size > 1 else 'single posts'}"
    rows = []
    for costs in (before, now) if len(before) > 1 else ():
        costs[_EVERYTHING] = [sum(parts) for parts in zip(*costs.values(), strict=True)]
    for role in before:
        # Of pairs measured one after the other.
        ratios = [b / a for a, b in zip(before[role], now[role], strict=True)]
        rows.append(
            Row(
                scenario,
                role,
                f"{_usual(now[role])} µs now, {_usual(before[role])} before",
                f"ratio {statistics.median(ratios):.3f}"
                f" ({min(ratios):.3f} to {max(ratios):.3f} in {len(ratios)} pairs)",
            )
        )
    return rows


def _usual(costs_us: list[float]) -> str:
    """The lower quartile, since neighbours only ever add, and the median."""
    return f"{percentile(costs_us, 25):.2f} (median {statistics.median(costs_us):.2f})"


if __name__ == "__main__":
    sys.exit(main())
