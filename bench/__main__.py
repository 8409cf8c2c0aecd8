"""`python -m bench`: runs every scenario, prints the table, and with --write keeps it, dated."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.capacity import capacity
from bench.load import BenchError
from bench.machine import Neighbours, machine_notes
from bench.report import Row, tell
from bench.sdk_calls import calling
from bench.sdk_import import importing
from bench.throughput import acknowledged, metered

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class _Plan:
    """How long and how much.

    Attributes:
        turns: of the bare bound and of intake, one after the other.
        acknowledged_s: length of one turn.
        repeats: of each stretch of metered load, and of starts.
        metered_s: length of one stretch.
        facts: messages of new visitors that the capacity scenarios lay down.
    """

    turns: int
    acknowledged_s: float
    repeats: int
    metered_s: float
    facts: int


_FULL = _Plan(turns=6, acknowledged_s=2.0, repeats=3, metered_s=10.0, facts=5_000_000)
_QUICK = _Plan(turns=2, acknowledged_s=1.0, repeats=1, metered_s=4.0, facts=400_000)


def main() -> int:
    """Run the benchmark.

    Returns:
        The exit status: 1 when a count was not exact or anything was refused.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, under a minute")
    parser.add_argument(
        "--write", action="store_true", help="add the table to bench/results, dated"
    )
    options = parser.parse_args()
    plan = _QUICK if options.quick else _FULL
    said = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="headcount-bench-") as name:
        folder = Path(name)
        notes = machine_notes(folder)
        began_s, neighbours = time.perf_counter(), Neighbours()
        scenarios: list[tuple[str, Callable[[], list[Row]]]] = [
            ("acknowledged", lambda: acknowledged(folder, plan.acknowledged_s, plan.turns)),
            ("metered", lambda: metered(folder, plan.metered_s, plan.repeats)),
            ("capacity", lambda: capacity(folder, plan.facts, plan.repeats)),
            ("calls of the client", calling),
            ("importing the client", importing),
        ]
        rows: list[Row] = []
        try:
            for scenario, run in scenarios:
                said.print(f"measuring: {scenario}", style="dim")
                rows += run()
        except BenchError as error:
            said.print(f"The benchmark failed: {error}", style="red", markup=False)
            return 1
        notes["taken by other programs meanwhile"] = f"{neighbours.share():.0%} of the cores"
        notes["length of the run"] = f"{time.perf_counter() - began_s:.0f} s"
    return tell(rows, notes, write=options.write)


if __name__ == "__main__":
    sys.exit(main())
