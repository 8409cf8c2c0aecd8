"""Whether every planted difference in a million ids is found, and no other, and how long it takes.

`python -m bench.reconcile`; --ids and --seed make other months, --write keeps what was found. An
archive is made and imported into a data folder; from a copy of it some messages are taken away and
some new ones put in, and `headcount reconcile --archive` must name exactly these.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.load import BenchError
from bench.machine import Neighbours, machine_notes
from bench.report import Row, tell

__all__ = ["reconcile"]

_SCENARIO = "reconciliation with an archive"
_SOURCES = ("web", "app", "till")
_DAYS = 28


def _record(number: int, random_: random.Random) -> dict[str, Any]:
    day = random_.randrange(_DAYS) + 1
    return {
        "type": "track",
        "event": "e",
        "messageId": f"m{number}",
        "userId": f"u{number}",
        "receivedAt": f"2021-02-{day:02d}T{number % 24:02d}:{number % 60:02d}:00Z",
        "projectId": _SOURCES[number % len(_SOURCES)],
    }


def _write(path: Path, records: Iterator[dict[str, Any]]) -> None:
    with path.open("w") as file:
        for record in records:
            file.write(json.dumps(record) + "\n")


def _run(data: Path, *arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "headcount", *arguments, "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != status:
        raise BenchError(
            f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}"
        )
    return done.stdout


def reconcile(ids: int, planted: int, seed: int) -> list[Row]:
    """Plant differences, and look for them.

    Args:
        ids: how many messages the month has, each of a user of its own.
        planted: how many are left out of the archive, and how many it has besides.
        seed: of days and of what is left out.

    Raises:
        BenchError: one was not found, or another one was.
    """
    picked = random.Random(seed)
    left_out = set(picked.sample(range(ids), planted))
    added = range(ids, ids + planted)
    with tempfile.TemporaryDirectory(prefix="headcount-bench-") as temporary:
        folder = Path(temporary)
        data, ours, theirs = folder / "data", folder / "ours.ndjson", folder / "theirs.ndjson"
        _write(ours, (_record(number, random.Random(number)) for number in range(ids)))
        kept = (number for number in range(ids) if number not in left_out)
        _write(theirs, (_record(n, random.Random(n)) for n in (*kept, *added)))
        _run(data, "workspace", "add", "Shop")
        for name in _SOURCES:
            _run(data, "source", "add", name, "--workspace", "Shop")
        _run(data, "import", str(ours), "--workspace", "Shop")
        file = folder / "ids.csv"
        asked = (
            "reconcile",
            "--period",
            "2021-02",
            "--archive",
            str(theirs),
            "--workspace",
            "Shop",
        )
        began_s = time.monotonic()
        told = json.loads(
            _run(data, *asked, "--ids", str(file), "--format", "json", "--tolerance", "0", status=3)
        )
        took_s = time.monotonic() - began_s
        _check(told, file, left_out, set(added), ids - planted)
    return [
        Row(
            _SCENARIO,
            f"{planted:,} ids left out and {planted:,} put in, of {ids:,}, in three sources",
            "all found, and no other",
            f"{took_s:.1f} s, both readings of the archive included",
        )
    ]


def _check(
    told: dict[str, Any], file: Path, left_out: set[int], added: set[int], both: int
) -> None:
    for kind, letter in (("messageId", "m"), ("userId", "u")):
        of_kind = [each for each in told["ids"] if each["kind"] == kind]
        if sum(each["both"] for each in of_kind) != both:
            raise BenchError(f"{kind}: not {both:,} are on both sides: {of_kind}")
        expected: dict[tuple[str, str], int] = {}
        for number in left_out:
            record = _record(number, random.Random(number))
            place = record["projectId"], record["receivedAt"][:10]
            expected[place] = expected.get(place, 0) + 1
        found = {
            (each["name"], day): count
            for each in of_kind
            for day, count in each["oursOnly"].items()
        }
        if found != expected:
            raise BenchError(f"{kind}: ours alone are other ones than were left out")
        with file.open(newline="") as opened:
            rows = [row for row in csv.DictReader(opened) if row["kind"] == kind]
        theirs = {row["id"] for row in rows if row["side"] == "theirs"}
        if theirs != {f"{letter}{number}" for number in added}:
            raise BenchError(f"{kind}: theirs alone are other ones than were put in")


def main() -> int:
    """Run it as a command; the exit status, 1 when something else was found than was planted."""
    parser = argparse.ArgumentParser(prog="python -m bench.reconcile", description=__doc__)
    parser.add_argument("--ids", type=int, default=1_000_000, help="messages, each of one user")
    parser.add_argument("--planted", type=int, default=500, help="how many differ on either side")
    parser.add_argument("--seed", type=int, default=1, help="of what is left out")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    notes, neighbours = machine_notes(Path(tempfile.gettempdir())), Neighbours()
    try:
        rows = reconcile(options.ids, options.planted, options.seed)
    except BenchError as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    notes["taken by other programs meanwhile"] = f"{neighbours.share():.0%} of the cores"
    return tell(rows, notes, write=options.write)


if __name__ == "__main__":
    sys.exit(main())
