"""How fast history comes in: `headcount import` of a made file, checked, counted and again.

`python -m bench.import_rate`. Beside `json.loads` in a loop, which does nothing with what it reads;
programs that count such a file are in the contest (`make contest`). Refuses a run whose counts are
not exact.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.contest.files import DUPLICATES, MONTH, WHOLE, Truth, make_files
from bench.load import BenchError
from bench.machine import Neighbours, machine_notes
from bench.report import Row, tell
from headcount.counting.calendar import parse_period
from headcount.counting.metrics import ANONYMOUS, API_CALLS, IDENTIFIED
from headcount.store.opening import open_store

__all__ = ["import_rate"]

_RECORDS = 1_000_000
_SCENARIO = "import of a file"
_JSON_LOADS = "json.loads in a loop, nothing kept"


@dataclass(frozen=True, slots=True)
class _Cost:
    """Time by the clock and of the processors."""

    elapsed_s: float
    cpu_s: float


def import_rate(folder: Path, records: int) -> list[Row]:
    """Measure, one after the other, on the same file.

    Args:
        folder: an empty folder for the file and the data.
        records: how many messages the file holds.

    Raises:
        BenchError: a program failed, or a count was not exact.
    """
    file = folder / f"{MONTH}.ndjson"
    truth, _ = make_files(file, folder / "further.ndjson", records)
    beside = _timed(lambda: _loads(file))
    took = {_JSON_LOADS: beside}
    data = folder / "data"
    _headcount(data, "workspace", "add", "Shop")
    for source in truth.counts.keys() - {WHOLE}:
        _headcount(data, "source", "add", source, "--workspace", "Shop")
    command = ("import", str(file), "--workspace", "Shop")
    took["headcount import --dry-run: checked, hashed, nothing kept"] = _timed(
        lambda: _headcount(data, *command, "--dry-run")
    )
    took["headcount import: deduplicated, durable, counted by day"] = _timed(
        lambda: _headcount(data, *command)
    )
    _check(data, truth)
    took["headcount import of the same file again"] = _timed(lambda: _headcount(data, *command))
    _check(data, truth)
    return [_row(name, cost, records, beside) for name, cost in took.items()]


def _row(name: str, cost: _Cost, records: int, beside: _Cost) -> Row:
    return Row(
        _SCENARIO,
        name,
        f"{records / cost.elapsed_s:,.0f} messages/s, {cost.cpu_s / records * 1e6:.2f} µs of CPU"
        " a message",
        f"{beside.elapsed_s / cost.elapsed_s:.2f} of the rate of json.loads,"
        f" {cost.cpu_s / beside.cpu_s:.2f} of its CPU",
    )


def _timed(work: Callable[[], object]) -> _Cost:
    began_s, cpu_began_s = time.perf_counter(), _cpu_s()
    work()
    return _Cost(time.perf_counter() - began_s, _cpu_s() - cpu_began_s)


def _cpu_s() -> float:
    """Processor time of this process and of all that it started and that have ended."""
    own, ended = (
        resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def _loads(file: Path) -> None:
    with file.open("rb") as lines:
        for line in lines:
            json.loads(line)


def _headcount(data: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "headcount", *arguments],
        capture_output=True, text=True, env=os.environ | {"HEADCOUNT_DATA": str(data)},
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"headcount {arguments[0]} failed: {done.stderr.strip()}")


def _check(data: Path, truth: Truth) -> None:
    with closing(open_store(data / "store.sqlite")) as store:
        month = store.read_usage(1, parse_period(f"{MONTH}-01")).workspace_totals()[-1]
    counted = [int(month[kind]) for kind in (API_CALLS, IDENTIFIED, ANONYMOUS)]
    whole = truth.counts[WHOLE]
    held = [sum(whole[kind].values()) for kind in ("calls", "identified", "anonymous")]
    if counted != held:
        raise BenchError(f"counted {counted}, and the file holds {held}")


def main() -> int:
    """Run it from the command line.

    Returns:
        The exit status: 1 when a count was not exact.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.import_rate", description=__doc__)
    parser.add_argument("--records", type=int, default=_RECORDS, help="messages in the file")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headcount-bench-") as name:
        notes, neighbours = machine_notes(Path(name)), Neighbours()
        try:
            rows = import_rate(Path(name), options.records)
        except BenchError as error:
            print(f"The benchmark failed: {error}", file=sys.stderr)
            return 1
    notes["messages in the file"] = f"{options.records:,}, {DUPLICATES:.0%} of them delivered twice"
    notes["taken by other programs meanwhile"] = f"{neighbours.share():.0%} of the cores"
    return tell(rows, notes, write=options.write)


if __name__ == "__main__":
    sys.exit(main())
