"""`python -m bench.cluster_log ADDRESS`: what a cluster's log costs, and how soon it hands on.

Takes the address of an engine whose servers run on this machine, and their process ids; publishes
entries of several sizes, a process follows them, and prints processor time a megabyte of servers,
publisher and follower; and, paced, how long it takes until an entry is acknowledged and has come.

`make engine ENGINE=postgresql RUN="python -m bench.cluster_log"` starts servers for it.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import struct
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from bench.machine import children_of, cpu_seconds, machine_notes, whole_cpu_seconds
from bench.report import Row, percentile, tell
from headcount.engines.log import LogEntry
from headcount.engines.opening import open_log

__all__ = ["main"]

_SIZES_KIB = (8, 64, 256)
_SUBJECTS = 8
_MOMENT = struct.Struct("<d")
_PACED_BYTES = 8 << 10
_PACED_S = 0.02


class _Engine(NamedTuple):
    """Where the log is, and which processes its servers are."""

    address: str
    pids: Sequence[int]

    @property
    def kind(self) -> str:
        return self.address.partition(":")[0]

    def seconds(self) -> float:
        """Processor time of all server processes so far."""
        return sum(_seconds(pid) for pid in self.pids)


def _seconds(pid: int) -> float:
    """Of a process, of its children, and of those that have ended."""
    total = whole_cpu_seconds(pid)
    for each in children_of(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += cpu_seconds(each)
    return total


def _follow(address: str, name: str, entries: int, pipe: Connection) -> None:
    """A process that follows until so many entries have come; gives its costs and delays."""
    log = open_log(address, name=name)
    followers = [log.follow(f"facts.{number}") for number in range(_SUBJECTS)]
    for each in followers:
        each.take()
    pipe.send("ready")
    before_s = time.process_time()
    delays: list[float] = []
    while len(delays) < entries:
        found: list[LogEntry] = []
        for each in followers:
            found += each.take()
        now_s = time.monotonic()
        delays += [now_s - _MOMENT.unpack_from(entry.data)[0] for entry in found]
        if not found:
            log.wait(0.2)
    pipe.send((time.process_time() - before_s, delays))
    log.close()


def _handed_on(
    engine: _Engine, name: str, rounds: int, a_round: int, size: int, pace_s: float
) -> tuple[float, list[float], float, list[float]]:
    """Publish, while a process follows.

    Returns:
        Seconds of processor time of the publisher, seconds until each round was acknowledged;
        and of the follower, with seconds until each entry had come.
    """
    ours, theirs = multiprocessing.Pipe()
    follower = multiprocessing.get_context("spawn").Process(
        target=_follow, args=(engine.address, name, rounds * a_round, theirs)
    )
    follower.start()
    log = open_log(engine.address, name=name)
    assert ours.recv() == "ready"
    filler = os.urandom(size - _MOMENT.size)
    acknowledged = []
    before_s = time.process_time()
    for _ in range(rounds):
        began_s = time.monotonic()
        data = _MOMENT.pack(began_s) + filler
        log.publish_all([(f"facts.{number % _SUBJECTS}", data) for number in range(a_round)])
        acknowledged.append(time.monotonic() - began_s)
        time.sleep(max(0.0, pace_s - acknowledged[-1]))
    own_s = time.process_time() - before_s
    followed_s, delays = ours.recv()
    follower.join()
    log.close()
    return own_s, acknowledged, followed_s, delays


def _cost_row(engine: _Engine, kib: int, megabytes: int) -> Row:
    rounds = max(1, (megabytes << 10) // (kib * _SUBJECTS))
    moved = rounds * _SUBJECTS * kib / 1024
    before_s, began_s = engine.seconds(), time.monotonic()
    own_s, _, followed_s, _ = _handed_on(engine, f"size_{kib}", rounds, _SUBJECTS, kib << 10, 0)
    took_s = time.monotonic() - began_s
    servers_s = engine.seconds() - before_s
    return Row(
        f"{engine.kind}: processor time a megabyte",
        f"entries of {kib} KiB, {_SUBJECTS} subjects",
        f"{servers_s / moved * 1e3:.1f} ms servers",
        f"{own_s / moved * 1e3:.1f} ms publisher, {followed_s / moved * 1e3:.1f} ms follower;"
        f" {moved / took_s:.0f} MB a second",
    )


def _paced_rows(engine: _Engine, entries: int) -> list[Row]:
    _, acknowledged, _, delays = _handed_on(engine, "paced", entries, 1, _PACED_BYTES, _PACED_S)

    def of(name: str, seconds: Sequence[float]) -> Row:
        middle, late = (percentile(seconds, percent) * 1e3 for percent in (50, 99))
        scenario = f"{engine.kind}: one entry of 8 KiB, 50 a second"
        return Row(scenario, name, f"{middle:.1f} ms p50", f"{late:.1f} ms p99")

    return [of("acknowledged after", acknowledged), of("with a follower after", delays)]


def main() -> int:
    """Measure, and print the table.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.cluster_log", description=__doc__)
    parser.add_argument("address", nargs="?", default=os.environ.get("ENGINE_ADDRESS"))
    parser.add_argument("--pids", default=os.environ.get("ENGINE_PIDS", ""), help="of the servers")
    parser.add_argument("--megabytes", type=int, default=64, help="of each size")
    parser.add_argument("--paced", type=int, default=300, help="entries")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    if not options.address:
        parser.error("name the address of an engine")
    engine = _Engine(options.address, [int(each) for each in options.pids.split(",") if each])
    rows = [_cost_row(engine, kib, options.megabytes) for kib in _SIZES_KIB]
    rows += _paced_rows(engine, options.paced)
    return tell(rows, machine_notes(Path.cwd()), write=options.write)


if __name__ == "__main__":
    sys.exit(main())
