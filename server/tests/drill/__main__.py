"""`make drill`: takes a seed, an engine and seconds; prints what was done and what came of it."""

from __future__ import annotations

import argparse
import random
import sys
import time

from drill.run_drill import drill
from support.engine_servers import ENGINES

__all__ = ["main"]


def main() -> int:
    """Run the drill that was asked for.

    Returns:
        0 when nothing was wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m drill")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long faults begin")
    parser.add_argument("--engine", choices=[*ENGINES, "both"], default="both")
    parser.add_argument(
        "--no-moves", dest="moves", action="store_false", help="partitions stay where they are"
    )
    arguments = parser.parse_args()
    for engine in ENGINES if arguments.engine == "both" else [arguments.engine]:
        print(f"{engine}, seed {arguments.seed}", flush=True)
        began_s = time.monotonic()
        try:
            found = drill(arguments.seed, engine, arguments.seconds, moves=arguments.moves)
        except AssertionError as error:
            print(error)
            again = (
                f"make drill ENGINE={engine} SEED={arguments.seed} SECONDS={arguments.seconds:g}"
            ) + ("" if arguments.moves else " MOVES=no")
            print(f"failed; repeat it with: {again}")
            return 1
        print(
            f"right: {found.posts:,} posts, {len(found.done)} faults, {found.reads:,} readings"
            f" watched, {found.snapshots:,} counts compared, {found.thresholds} thresholds told"
            f" once; everything was counted {found.fresh_after_s:.1f} s after the last post;"
            f" {time.monotonic() - began_s:.0f} s"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
