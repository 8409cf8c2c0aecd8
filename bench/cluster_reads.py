"""`python -m bench.cluster_reads`: what a read costs in a cluster, at as many ids as one likes.

A node that answers reads has no ids: its mirror keeps a row of counts for each scope and month, the
sum over all partitions, of one width whatever the numbers in it. So the rows are those that
partitions would publish after so many ids, shared out evenly; the mirror takes them as it always
does, and the same reading is timed in its store and in that of a single machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np

from bench.machine import machine_notes
from bench.report import Row, percentile, tell
from headcount.cluster.placement import partitions_of
from headcount.counting.calendar import Period, day_of_ms
from headcount.counting.metrics import API_CALLS, IDENTIFIED, KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.engines import FactLog
from headcount.stages.counts_packs import CountsStanding, decode_counts, encode_counts
from headcount.stages.mirror import Mirror
from headcount.store.opening import open_mirror_store, open_store
from headcount.store.protocol import Change

__all__ = ["main"]

_NOW_MS = 1_790_000_000_000
_MONTH = Period.of_day(day_of_ms(_NOW_MS))
_SOURCES = 20
_READS = 300


def _rows(ids: int) -> dict[int, Counts]:
    """Of a workspace, number 0, and its sources: so many ids in it, all of them of each source."""
    daily = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    daily[:, API_CALLS] = daily[:, IDENTIFIED] = np.diff(np.linspace(0, ids, DAYS_MAX + 1).round())
    return dict.fromkeys(range(_SOURCES + 1), daily)


def _parts(rows: dict[int, Counts], partitions: int) -> list[dict[int, Counts]]:
    """Shared out, so that they are the rows again when they are added up."""
    return [
        {s: row // partitions + (number < row % partitions) for s, row in rows.items()}
        for number in range(partitions)
    ]


def _read_us(read: Callable[[], object]) -> float:
    """Processor time of a month's reading, the middle of many, in microseconds."""
    took = []
    for _ in range(_READS):
        began_s = time.process_time()
        read()
        took.append(time.process_time() - began_s)
    return percentile(took, 50) * 1e6


def _mirrored_us(folder: Path, ids: int, each: int) -> tuple[float, int]:
    names = [str(partition) for partition in partitions_of(each, each)]
    with closing(open_mirror_store(folder / "mirror.sqlite")) as store:
        # Nothing is read of a log here.
        mirror = Mirror(store, cast(FactLog, None), names, lambda: _NOW_MS)
        for name, rows in zip(names, _parts(_rows(ids), len(names)), strict=True):
            standing = CountsStanding(name, 1, "a", 1, _NOW_MS, _NOW_MS, {})
            counts = [((1, _MONTH, source), row) for source, row in rows.items()]
            for data in encode_counts(standing, 0, counts, []):
                mirror._take(decode_counts(data))
        total = int(store.read_usage(1, _MONTH).workspace_totals()[-1, IDENTIFIED])
        return _read_us(lambda: store.read_usage(1, _MONTH)), total


def _alone_us(folder: Path, ids: int) -> float:
    with closing(open_store(folder / "store.sqlite")) as store:
        store.commit(Change(counts={(_MONTH, 1, s): row for s, row in _rows(ids).items()}))
        return _read_us(lambda: store.read_usage(1, _MONTH))


def main() -> int:
    """Measure, and print the table.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.cluster_reads", description=__doc__)
    parser.add_argument("--partitions", type=int, default=16, help="of each stage")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    rows = []
    for ids in (1_000, 1_000_000, 20_000_000):
        with tempfile.TemporaryDirectory() as name:
            alone_us = _alone_us(Path(name), ids)
            cluster_us, total = _mirrored_us(Path(name), ids, options.partitions)
        if total != ids:
            print(f"{total:,} ids are shown, not {ids:,}", file=sys.stderr)
            return 1
        scenario = f"A month of a workspace with {_SOURCES} sources, processor time"
        measure = f"{ids:,} ids, mirror of {options.partitions} + {options.partitions}"
        rows.append(
            Row(scenario, measure, f"{cluster_us:.0f} µs", f"{alone_us:.0f} µs on a single machine")
        )
    return tell(rows, machine_notes(Path.cwd()), write=options.write)


if __name__ == "__main__":
    sys.exit(main())
