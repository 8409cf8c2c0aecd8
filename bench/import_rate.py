"""How fast history comes in: `headcount import` of a made file, beside programs that read it too.

`python -m bench.import_rate`; --peers names an interpreter that has DuckDB and Polars, which are
no dependencies of Headcount. Refuses a run whose counts are not exact.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import BenchError
from bench.machine import Neighbours, machine_notes
from bench.report import Row, tell
from headcount.counting.calendar import parse_period
from headcount.counting.metrics import ANONYMOUS, API_CALLS, IDENTIFIED
from headcount.store.opening import open_store

__all__ = ["import_rate"]

_RECORDS = 1_000_000
_DUPLICATES = 0.02
_SECONDS = 28 * 86_400
_SCENARIO = "import of a file"
_JSON_LOADS = "json.loads in a loop, nothing kept"

# Each peer prints the numbers it found: messages, users, anonymous ids.
_PEERS = {
    "DuckDB, count distinct": """
import duckdb
print(*duckdb.sql(f'''select count(distinct "messageId"), count(distinct "userId"),
    count(distinct "anonymousId") from read_ndjson_auto('{file}')''').fetchall()[0])
""",
    "Polars, n_unique": """
import polars
columns = [polars.col(c).drop_nulls().n_unique() for c in ("messageId", "userId", "anonymousId")]
print(*polars.scan_ndjson(file).select(columns).collect().row(0))
""",
}


@dataclass(frozen=True, slots=True)
class _Truth:
    """What a file holds, counted while it was made."""

    records: int
    api_calls: int
    identified: int
    anonymous: int


@dataclass(frozen=True, slots=True)
class _Cost:
    """Time by the clock and of the processors."""

    elapsed_s: float
    cpu_s: float


def import_rate(folder: Path, records: int, peers: str) -> list[Row]:
    """Measure, one after the other, on the same file.

    Args:
        folder: an empty folder for the file and the data.
        records: how many messages the file holds.
        peers: path of an interpreter that has the programs to compare with.

    Raises:
        BenchError: a program failed, or a count was not exact.
    """
    file = folder / "february.ndjson"
    truth = _make(file, records)
    took: dict[str, _Cost | None] = {_JSON_LOADS: _timed(lambda: _loads(file))}
    data = folder / "data"
    _headcount(data, "workspace", "add", "Shop")
    _headcount(data, "source", "add", "web", "--workspace", "Shop")
    command = ("import", str(file), "--workspace", "Shop", "--source", "web")
    took["headcount import --dry-run: checked, hashed, nothing kept"] = _timed(
        lambda: _headcount(data, *command, "--dry-run")
    )
    took["headcount import: deduplicated, durable, counted by day"] = _timed(
        lambda: _headcount(data, *command)
    )
    _check(data, truth)
    took["headcount import of the same file again"] = _timed(lambda: _headcount(data, *command))
    _check(data, truth)
    for name, code in _PEERS.items():
        took[name] = _peer(peers, code, file, truth)
    beside = took[_JSON_LOADS]
    assert beside is not None, "this one is always there"
    return [_row(name, cost, records, beside) for name, cost in took.items()]


def _row(name: str, cost: _Cost | None, records: int, beside: _Cost) -> Row:
    if cost is None:
        return Row(_SCENARIO, name, "not installed", "install it where --peers points")
    inexact = "; inexact about duplicates, keeps nothing" if name in _PEERS else ""
    return Row(
        _SCENARIO,
        name,
        f"{records / cost.elapsed_s:,.0f} messages/s, {cost.cpu_s / records * 1e6:.2f} µs of CPU"
        " a message",
        f"{beside.elapsed_s / cost.elapsed_s:.2f} of the rate of json.loads,"
        f" {cost.cpu_s / beside.cpu_s:.2f} of its CPU{inexact}",
    )


def _make(file: Path, records: int) -> _Truth:
    """A month of messages, some of them delivered twice."""
    chance = random.Random(7)
    calls, users, visitors = 0, set(), set()
    message: dict[str, Any] = {}
    with file.open("w") as lines:
        for number in range(records):
            if not message or chance.random() >= _DUPLICATES:
                message = _message(chance, number * _SECONDS // records, records)
                calls += 1
            lines.write(json.dumps(message) + "\n")
            visitors.add(message["anonymousId"])
            users.add(message.get("userId"))
    return _Truth(records, calls, len(users - {None}), len(visitors))


def _message(chance: random.Random, second: int, records: int) -> dict[str, Any]:
    day, rest = divmod(second, 86_400)
    moment = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    message = {
        "type": "track",
        "event": "Product Viewed",
        "messageId": f"ajs-next-{chance.getrandbits(128):032x}",
        "anonymousId": f"{chance.randrange(records // 5):08x}-0000-4000-8000-000000000000",
        "context": {"library": {"name": "analytics.js"}, "page": {"path": "/products"}},
        "properties": {"price": chance.randrange(1000), "sku": f"S{chance.randrange(10_000)}"},
        "receivedAt": f"2021-02-{1 + day:02d}T{moment}.{chance.randrange(1000):03d}Z",
    }
    if chance.random() < 0.4:
        message["userId"] = f"user-{chance.randrange(records // 10)}"
    return message


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
    _run([sys.executable, "-m", "headcount", *arguments], HEADCOUNT_DATA=str(data))


def _peer(python: str, code: str, file: Path, truth: _Truth) -> _Cost | None:
    """What a peer took; None where it is not installed."""
    module = code.split()[1]
    if subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode:
        return None
    found: list[str] = []
    cost = _timed(lambda: found.extend(_run([python, "-c", f"file = {str(file)!r}{code}"]).split()))
    if [int(number) for number in found] != [truth.api_calls, truth.identified, truth.anonymous]:
        raise BenchError(f"{module} found {found}, and the file holds {truth}")
    return cost


def _run(command: list[str], **environ: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environ)
    if done.returncode:
        raise BenchError(f"{command[:4]} failed: {done.stderr.strip()}")
    return done.stdout


def _check(data: Path, truth: _Truth) -> None:
    with closing(open_store(data / "store.sqlite")) as store:
        month = store.read_usage(1, parse_period("2021-02-01")).workspace_totals()[-1]
    counted = [int(month[kind]) for kind in (API_CALLS, IDENTIFIED, ANONYMOUS)]
    if counted != [truth.api_calls, truth.identified, truth.anonymous]:
        raise BenchError(f"counted {counted}, and the file holds {truth}")


def main() -> int:
    """Run it from the command line.

    Returns:
        The exit status: 1 when a count was not exact.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.import_rate", description=__doc__)
    parser.add_argument("--records", type=int, default=_RECORDS, help="messages in the file")
    parser.add_argument("--peers", default=sys.executable, help="interpreter with DuckDB, Polars")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headcount-bench-") as name:
        notes, neighbours = machine_notes(Path(name)), Neighbours()
        try:
            rows = import_rate(Path(name), options.records, options.peers)
        except BenchError as error:
            print(f"The benchmark failed: {error}", file=sys.stderr)
            return 1
    notes["messages in the file"] = (
        f"{options.records:,}, {_DUPLICATES:.0%} of them delivered twice"
    )
    notes["taken by other programs meanwhile"] = f"{neighbours.share():.0%} of the cores"
    notes["DuckDB and Polars"] = (
        "use all cores to count the distinct values of three columns, over the whole file; they are"
        " inexact about duplicates (which day a message counts on that was delivered twice, or"
        " whether another file has brought it, they do not know) and keep nothing"
    )
    return tell(rows, notes, write=options.write)


if __name__ == "__main__":
    sys.exit(main())
