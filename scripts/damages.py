"""Damages a data folder in hundreds of ways, and keeps a dated table of what was said of each.

Run by `make damages`; takes some four seconds a case.
Ends with status 1 if anything was wrong in silence. The short form runs with the tests.
"""

from __future__ import annotations

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "server" / "tests")]

from crash.damage_kinds import chosen, running, seeded  # noqa: E402
from crash.damages import Verdict, judge, judge_repair, make_master  # noqa: E402
from crash.damages_running import judge_running  # noqa: E402

RESULTS = ROOT / "bench" / "results"


def outcome(verdict: Verdict) -> str:
    """A word for the table."""
    if verdict.faults:
        return "WRONG IN SILENCE"
    if not verdict.said:
        return "repaired" if verdict.done else "no effect"
    return "named" if verdict.same else "named; other counts or none"


def say(*lines: str) -> None:
    """Print lines at once: a run takes many minutes."""
    sys.stdout.write("\n    ".join(lines) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run, print, and keep; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="how many seeded damages")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", default="", help="run only the chosen damages with this name")
    parser.add_argument("--repair", action="store_true", help="repair each, and serve it then")
    parser.add_argument("--running", action="store_true", help="damage it under a running server")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results")
    options = parser.parse_args()
    how = judge_repair if options.repair else judge_running if options.running else judge
    began = time.strftime("%Y-%m-%dT%H%MZ", time.gmtime())
    rows: list[tuple[str, Verdict]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "master").mkdir()
        master = make_master(folder / "master")
        offered = (running if options.running else chosen)(master)
        damages = {name: each for name, each in offered.items() if options.only in name}
        seeds = range(options.first, options.first + options.seeds)
        damages |= {f"seed {seed}": seeded(seed) for seed in seeds}
        for name, damage in damages.items():
            verdict = how(master, folder / "case", damage)
            rows.append((name, verdict))
            say(
                f"{outcome(verdict):<30} {name}: {verdict.what}",
                *verdict.faults,
                *verdict.done,
                *verdict.said,
            )
    tally = collections.Counter(outcome(verdict) for _, verdict in rows)
    told = "; ".join(f"{kind}: {number}" for kind, number in tally.most_common())
    say(told)
    if options.write:
        lines = [
            f"# Damage to a data folder, {began}", "",
            f"Made by `scripts/damages.py`. {told}.",
            "", "| damage | outcome | what was said first |", "|---|---|---|",
            *(
                f"| {verdict.what} | {outcome(verdict)} |"
                f" {(verdict.said or ['nothing'])[0].splitlines()[0][:160].replace('|', '/')} |"
                for _, verdict in rows
            ),
        ]  # fmt: skip
        (RESULTS / f"{began}-damages.md").write_text("\n".join(lines) + "\n")
    return 1 if tally["WRONG IN SILENCE"] else 0


if __name__ == "__main__":
    sys.exit(main())
