"""`python -m bench.intake_cost --against PATH`: what a message costs, beside another version.

Takes another checkout with an environment of its own; starts a real server of each, with one
worker, and posts to both in turns: batches, then single messages, over connections that are kept.
Gives the processor time of the intake process for each message, and the ratio of the two. Time on
a clock would measure whoever else uses the machine. The meters are paused meanwhile.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from bench.load import CONNECTIONS, BenchError, Load
from bench.machine import run_seconds
from bench.server import Server
from bench.traffic import Population

__all__ = ["main"]

_SIZES = (100, 1)
_WARM_UP_S = 0.5
# Made by the version itself, as its catalog has its own form.
_ADD_TENANT = """
import sys
from pathlib import Path
from bench.server import add_tenant
print(add_tenant(Path(sys.argv[1]), "load").write_keys[0])
"""


class _Side:
    """One version: its server, its load, and what each turn of a size has cost."""

    def __init__(self, root: Path, folder: Path) -> None:
        python = root / ".venv" / "bin" / "python"
        data = folder / "data"
        folder.mkdir()
        self.write_key = subprocess.run(
            [python, "-c", _ADD_TENANT, data], cwd=root, check=True, capture_output=True, text=True
        ).stdout.strip()
        self.server = Server(data, 1, command=python.with_name("headcount")).wait_announced()
        self.server.signal_meter(SIGSTOP)
        [self._pid] = self.server.pids("intake")
        self.costs_us: dict[int, list[float]] = {size: [] for size in _SIZES}

    def load(self, size: int, connections: int) -> Load:
        """Connections for one size, warmed up."""
        load = Load(self.server.tracking, self.write_key, size, Population(), connections)
        load.run(_WARM_UP_S)
        return load

    def turn(self, load: Load, size: int, seconds: float) -> None:
        """Post for a while."""
        before_s = run_seconds(self._pid)
        sent = load.run(seconds)
        self.costs_us[size].append((run_seconds(self._pid) - before_s) / sent.messages * 1e6)

    def end(self) -> None:
        """End the server; it stops only with a meter that runs."""
        self.server.signal_meter(SIGCONT)
        self.server.stop()


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
    options = parser.parse_args()
    # Where hashes of texts fall makes a few hundredths, which would be taken for a difference.
    os.environ["PYTHONHASHSEED"] = "0"
    with tempfile.TemporaryDirectory(prefix="headcount-cost-") as name:
        folder = Path(name)
        sides: list[_Side] = []
        try:
            for number, root in enumerate((options.against.resolve(), Path.cwd())):
                sides.append(_Side(root, folder / str(number)))
            for size in _SIZES:
                _in_turns(sides, size, options)
        except (BenchError, subprocess.CalledProcessError) as error:
            print(f"The measurement failed: {error}", file=sys.stderr)
            return 1
        finally:
            for side in sides:
                side.end()
    return 0


def _in_turns(sides: list[_Side], size: int, options: argparse.Namespace) -> None:
    loads = [side.load(size, options.connections) for side in sides]
    for turn in range(options.turns):
        # Who comes first changes, since the machine drifts.
        for side, load in list(zip(sides, loads, strict=True))[:: -1 if turn % 2 else 1]:
            side.turn(load, size, options.seconds)
    for load in loads:
        load.close()
    before, after = (side.costs_us[size] for side in sides)
    ratios = [b / a for a, b in zip(before, after, strict=True)]
    print(
        f"{size:>4} a request: {statistics.median(before):7.2f} µs a message before,"
        f" {statistics.median(after):7.2f} now; ratio {statistics.median(ratios):.3f}"
        f" ({min(ratios):.3f} to {max(ratios):.3f} in {len(ratios)} pairs)",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
