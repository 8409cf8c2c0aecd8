"""`make histories`: lives through thousands of histories of a cluster's data plane, by their seeds.

    python -m support.stage_campaign --from 0 --seeds 3000 [--write]

Seeds that were lived through with the same code are known from a file, so a campaign that was ended
goes on where it was. A seed says by itself of what kind its history is. With `--write`, what came
of all of them goes to `bench/results`, dated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import machine_notes

import headcount
from support.memory_log import WILD
from support.stage_histories import KEEPING, LATE, live

__all__ = ["KINDS", "main"]

_ROOT = Path(__file__).parents[3]
_KNOWN = _ROOT / "test-artifacts" / "histories.jsonl"

KINDS: dict[str, Callable[[int], int]] = {
    "a log that loses, repeats, rolls back and is wiped": lambda seed: live(seed, WILD),
    "partitions put back to older copies": lambda seed: live(seed, KEEPING, restores=True),
    "stage 1 built anew from the log": lambda seed: live(seed, KEEPING, rebuilds=True),
    "a standby promoted late, and stage 1 put back": lambda seed: live(
        seed, LATE, restores=True, rebuilds=True, keeps_for_backups=True
    ),
}
"""What a history is of, by what is left of its seed: each gives how many steps it took until all
was counted once the log worked again."""


def main() -> int:
    """Live through many.

    Returns:
        0 when everything held; 1 with the seed of what did not.
    """
    parser = argparse.ArgumentParser(prog="python -m support.stage_campaign")
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin none after")
    parser.add_argument("--write", action="store_true", help="keep what came of it")
    arguments = parser.parse_args()
    logging.disable()  # what partitions say of logs that do their worst
    code = _code()
    known = {each["seed"]: each for each in _read(_KNOWN) if each["code"] == code}
    until_s = time.monotonic() + 60 * arguments.minutes
    _KNOWN.parent.mkdir(exist_ok=True)
    with _KNOWN.open("a") as file:
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            if seed in known:
                continue
            if time.monotonic() > until_s:
                break
            began_s = time.monotonic()
            try:
                steps = list(KINDS.values())[seed % len(KINDS)](seed)
            except BaseException:
                print(f"seed {seed} failed; repeat it with: make histories FROM={seed} SEEDS=1")
                raise
            known[seed] = {
                "code": code, "seed": seed, "steps": steps,
                "seconds": round(time.monotonic() - began_s, 3),
            }  # fmt: skip
            print(json.dumps(known[seed]), file=file, flush=True)
    text = _told(list(known.values()), code)
    print(text)
    if arguments.write:
        place = _ROOT / "bench" / "results" / f"{datetime.now(UTC):%Y-%m-%dT%H%M}Z-histories.md"
        place.write_text(text)
    return 0


def _code() -> str:
    """Which code this is, by what it says."""
    digest = hashlib.blake2b(digest_size=8)
    package = Path(str(headcount.__file__)).parent
    rooms = ("stages", "store", "counting", "meter", "journal", "sqlite")
    for path in sorted(each for room in rooms for each in (package / room).rglob("*.py")):
        digest.update(path.read_bytes())
    for name in ("stage_histories.py", "staged_cluster.py", "memory_log.py", "oracle.py"):
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> Iterable[dict[str, Any]]:
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.endswith("}"):  # the last one may have been cut off
            yield json.loads(line)


def _told(known: list[dict[str, Any]], code: str) -> str:
    """What came of histories, as a document."""
    lines = [f"# Histories of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC", ""]
    lines += [f"- {name}: {value}" for name, value in machine_notes(_ROOT).items()]
    seeds = sorted(each["seed"] for each in known)
    took_s = sum(each["seconds"] for each in known)
    lines += [
        f"- code: {code}",
        f"- seeds: {len(seeds):,}, from {seeds[0]} to {seeds[-1]}, in {took_s / 60:,.0f} minutes"
        if seeds
        else "- seeds: none",
        "",
        "In each history every count of every scope, day and metric was the oracle's at the moment"
        " at which it was called complete, each fact was counted once, no sum fell meanwhile and no"
        " inequality broke. Steps are those until all was counted, once the log worked again.",
        "",
        "| kind | histories | steps, median | most |",
        "|---|---|---|---|",
    ]
    for number, name in enumerate(KINDS):
        steps = sorted(each["steps"] for each in known if each["seed"] % len(KINDS) == number)
        if steps:
            lines.append(f"| {name} | {len(steps):,} | {steps[len(steps) // 2]} | {steps[-1]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
