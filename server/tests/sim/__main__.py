"""`make sim`: takes seeds, steps, faults and processes, prints what was run and what failed.

One seed prints its history; several print a line for each failure and a summary.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from sim.faults import Fault
from sim.simulation import ALL_FAULTS, STEPS, Outcome, room, simulate

__all__ = ["main"]


def main() -> int:
    """Run the seeds that were asked for.

    Returns:
        0 when nothing was wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m sim")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--faults", default="all")
    parser.add_argument("--minutes", type=float, default=60.0, help="no seed begins later")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="processes, side by side")
    arguments = parser.parse_args()
    asked = _Asked(
        range(arguments.seed, arguments.seed + arguments.seeds),
        arguments.steps,
        _kinds(arguments.faults),
        time.monotonic() + 60 * arguments.minutes,
    )
    began_s = time.monotonic()
    if arguments.jobs == 1:
        total = _run(asked)
    else:
        parts = [
            asked._replace(seeds=asked.seeds[n :: arguments.jobs]) for n in range(arguments.jobs)
        ]
        with ProcessPoolExecutor(arguments.jobs) as processes:
            total = sum(processes.map(_run, parts), _Sum())
    injected = ", ".join(f"{total.faults[kind]:,} {kind}" for kind in Fault)
    print(
        f"{total.seeds:,} seeds in {time.monotonic() - began_s:.1f} s:"
        f" {total.steps:,} steps, {total.metered:,} messages"
    )
    print(f"faults: {injected}")
    if total.failed:
        print(f"{len(total.failed)} failed; repeat one with: make sim SEED={min(total.failed)}")
    return 1 if total.failed else 0


class _Asked(NamedTuple):
    """What one process is to run; `until_s` is of the monotonic clock."""

    seeds: range
    steps: int
    kinds: frozenset[Fault]
    until_s: float


@dataclass
class _Sum:
    """What histories came to together."""

    seeds: int = 0
    steps: int = 0
    metered: int = 0
    failed: list[int] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: _Sum) -> _Sum:
        return _Sum(
            self.seeds + other.seeds,
            self.steps + other.steps,
            self.metered + other.metered,
            self.failed + other.failed,
            self.faults + other.faults,
        )


def _run(asked: _Asked) -> _Sum:
    total = _Sum()
    with room() as (path, template):
        for seed in asked.seeds:
            if time.monotonic() > asked.until_s:
                break
            outcome = simulate(path, template, seed, asked.steps, asked.kinds)
            failed = [] if outcome.failure is None else [seed]
            total += _Sum(1, outcome.steps, outcome.metered, failed, outcome.faults)
            if outcome.failure is not None:
                said = f"{type(outcome.failure).__name__}: {outcome.failure}"
                print(f"seed {seed}: {said}", flush=True)
            if len(asked.seeds) == 1:
                _print_history(outcome)
    return total


def _kinds(names: str) -> frozenset[Fault]:
    if names == "all":
        return ALL_FAULTS
    return frozenset(Fault(name) for name in names.split(",") if name)


def _print_history(outcome: Outcome) -> None:
    print("\n".join(outcome.story))
    if outcome.failure is not None:
        traceback.print_exception(outcome.failure)


if __name__ == "__main__":
    sys.exit(main())
