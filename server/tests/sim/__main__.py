"""`make sim`: takes SEED, SEEDS, STEPS, FAULTS and MINUTES, prints what was run, and of a failure
the whole history and how to repeat it.

One seed prints its history; several print a line for each failure and a summary.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter

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
    arguments = parser.parse_args()
    kinds = _kinds(arguments.faults)
    began_s = time.monotonic()
    failed: list[int] = []
    faults: Counter[str] = Counter()
    metered = run = 0
    with room() as (path, template):
        for seed in range(arguments.seed, arguments.seed + arguments.seeds):
            if time.monotonic() - began_s > 60 * arguments.minutes:
                break
            run += 1
            outcome = simulate(path, template, seed, arguments.steps, kinds)
            faults += outcome.faults
            metered += outcome.metered
            if outcome.failure is not None:
                failed.append(seed)
                said = f"{type(outcome.failure).__name__}: {outcome.failure}"
                print(f"seed {seed}: {said}", flush=True)
            if arguments.seeds == 1:
                _print_history(outcome)
    took_s = time.monotonic() - began_s
    injected = ", ".join(f"{faults[kind]} {kind}" for kind in Fault)
    print(f"{run} seeds of {arguments.steps} steps in {took_s:.1f} s, {metered} messages")
    print(f"faults: {injected}")
    if failed:
        print(f"{len(failed)} failed; repeat one with: make sim SEED={failed[0]}")
    return 1 if failed else 0


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
