"""What growth costs: `python -m bench.growth` has one thing after the other become many.

Messages of a month, ids of a month, sources of a workspace, workspaces, months of history: each
grown by powers of ten while the others stand still. At each size the same is measured: metering a
batch of new messages, reading a month, a start, memory and disk. Processor time, medians, and what
no other program changes: steps of SQLite and calls of Python. Counts are checked at each size; the
table and a picture of it all can be kept.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.growth_chart import draw
from bench.load import BenchError
from bench.machine import machine_notes
from bench.report import Row, tell
from bench.steps import StepCounter, Steps
from headcount.counting.batch import FACT_DTYPE
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.metrics import API_CALLS
from headcount.journal import JournalDirectory
from headcount.meter import Meter
from headcount.store.opening import open_store

__all__ = ["DIMENSIONS", "Dimension", "Point", "grown", "main"]

Facts = npt.NDArray[np.void]

_NOW = parse_period("2026-01-01")
_DAY = _NOW.first_day + 14
_VISITORS = 1_000
_FACTS_A_MONTH = 5_000
_FACTS_AN_ENTRY = 20_000
_BATCH, _BATCHES, _READS = 10_000, 5, 31
_PICTURE = Path(__file__).parent / "results" / "growth.svg"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing that grows.

    Attributes:
        name: what it is called.
        sizes: how many there are of it, ascending by powers of ten.
        made: the facts that make a number of it, in order of receipt.
        probe: the facts of one batch more, when there are so many.
    """

    name: str
    sizes: Sequence[int]
    made: Callable[[int], Iterator[Facts]]
    probe: Callable[[int, int], Facts]


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at one size.

    Attributes:
        size: how many there were.
        message_us: processor time of metering a new message.
        read_us: of reading a month of a workspace as a whole.
        sources_read_us: of reading it with all of its sources.
        start_ms: of opening the store, and of a meter's start with a first batch of nothing.
        message_steps: of metering a batch, all messages together.
        read_steps: of reading a month.
        index_bytes: memory of the tables of ids.
        disk_bytes: the store and its runs.
    """

    size: int
    message_us: float
    read_us: float
    sources_read_us: float
    start_ms: float
    message_steps: Steps
    read_steps: Steps
    index_bytes: int
    disk_bytes: int


def _facts(count: int, seed: int, day: int = _DAY) -> Facts:
    """New messages of one source, from a few visitors."""
    random = np.random.default_rng((seed, day))
    facts = np.zeros(count, FACT_DTYPE)
    facts["received_at_ms"] = day * MS_PER_DAY + np.arange(count)
    facts["workspace"] = facts["source"] = 1
    facts["message"] = random.integers(1, 2**64, count, np.uint64)
    visitors = random.integers(1, _VISITORS + 1, count).astype(np.uint64)
    facts["anonymous"] = visitors * np.uint64(0x9E3779B97F4A7C15)
    return facts


def _in_entries(count: int, make: Callable[[int, int], Facts]) -> Iterator[Facts]:
    """Facts by entries: `make` takes how many, and which number the first has."""
    for start in range(0, count, _FACTS_AN_ENTRY):
        yield make(min(_FACTS_AN_ENTRY, count - start), start)


def _messages(size: int) -> Iterator[Facts]:
    yield from _in_entries(size, _facts)


def _of_visitors(count: int, seed: int) -> Facts:
    facts = _facts(count, seed)
    facts["anonymous"] = np.random.default_rng(seed + 1).integers(1, 2**64, count, np.uint64)
    return facts


def _visitors(size: int) -> Iterator[Facts]:
    yield from _in_entries(size, _of_visitors)


def _of_sources(count: int, first: int, size: int, *, workspaces: bool) -> Facts:
    facts = _facts(count, first)
    numbers = 1 + (first + np.arange(count)) % size
    facts["source"] = numbers
    if workspaces:
        facts["workspace"] = numbers
    return facts


def _sources(size: int) -> Iterator[Facts]:
    yield from _in_entries(
        max(size, _BATCH), lambda count, first: _of_sources(count, first, size, workspaces=False)
    )


def _workspaces(size: int) -> Iterator[Facts]:
    yield from _in_entries(
        max(size, _BATCH), lambda count, first: _of_sources(count, first, size, workspaces=True)
    )


def _months(size: int) -> Iterator[Facts]:
    for before in range(size - 1, -1, -1):
        yield _facts(_FACTS_A_MONTH, before, _NOW.shifted(-before).first_day + 14)


def _same(_size: int, number: int) -> Facts:
    return _facts(_BATCH, 10**9 + number)


DIMENSIONS = (
    Dimension("messages of a month", [10**n for n in range(3, 7)], _messages, _same),
    Dimension(
        "ids of a month", [10**n for n in range(3, 7)], _visitors,
        lambda _, number: _of_visitors(_BATCH, 10**9 + number),
    ),
    Dimension(
        "sources of a workspace", [10**n for n in range(5)], _sources,
        lambda size, number: _of_sources(_BATCH, 10**9 + number * _BATCH, size, workspaces=False),
    ),
    Dimension(
        "workspaces", [10**n for n in range(5)], _workspaces,
        lambda size, number: _of_sources(_BATCH, 10**9 + number * _BATCH, size, workspaces=True),
    ),
    Dimension("months of history", [10**n for n in range(3)], _months, _same),
)  # fmt: skip


def grown(folder: Path, dimension: Dimension, size: int) -> Point:
    """Make as much of something, and measure.

    Args:
        folder: an empty one, for the data.
        dimension: what.
        size: how many of it.

    Raises:
        BenchError: a count is not exact.
    """
    now_ms = 0

    def clock_ms() -> int:
        return now_ms

    def meter_on(folder: Path) -> Meter:
        return Meter(store, JournalDirectory(folder / "journals"), clock_ms, 35)

    journals = JournalDirectory(folder / "journals")
    steps = StepCounter()
    sent: dict[Period, int] = {}
    with closing(journals), closing(journals.claim()) as journal, steps:
        store = open_store(folder / "store.sqlite")
        meter = meter_on(folder)

        def metered(facts: Facts) -> float:
            """Have facts metered; the processor time of the meter alone."""
            nonlocal now_ms
            now_ms = int(facts["received_at_ms"][-1])
            journal.append(facts.tobytes(), (), now_ms)
            period = Period.of_day(now_ms // MS_PER_DAY)
            sent[period] = sent.get(period, 0) + int((facts["workspace"] == 1).sum())
            began_s = time.process_time()
            while not meter.step().drained:
                pass
            return time.process_time() - began_s

        for facts in dimension.made(size):
            metered(facts)
        messages_s = [metered(dimension.probe(size, number)) for number in range(_BATCHES)]
        with steps.counted() as message_steps:
            metered(dimension.probe(size, _BATCHES))
        reads_s, sources_reads_s = (
            [_timed(partial(read, 1, _NOW)) for _ in range(_READS)]
            for read in (partial(store.read_usage, sources=False), store.read_usage)
        )
        with steps.counted() as read_steps:
            reading = store.read_usage(1, _NOW, sources=False)
        if (found := int(reading.workspace_totals()[-1][API_CALLS])) != sent[_NOW]:
            raise BenchError(f"{found:,} messages were counted, and {sent[_NOW]:,} were sent")
        index_bytes = sum(nbytes for _, nbytes in meter.indexes.sizes().values())
        meter.close()
        store.close()
        began_s = time.process_time()
        store = open_store(folder / "store.sqlite")
        meter = meter_on(folder)
        meter.step()
        start_s = time.process_time() - began_s
        meter.close()
        store.close()
    files = [*folder.glob("store.sqlite*"), *folder.glob("keys/*")]
    return Point(
        size,
        statistics.median(messages_s) / _BATCH * 1e6,
        statistics.median(reads_s) * 1e6,
        statistics.median(sources_reads_s) * 1e6,
        start_s * 1e3,
        message_steps,
        read_steps,
        index_bytes,
        sum(path.stat().st_size for path in files),
    )


def _timed(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def _row(dimension: Dimension, point: Point) -> Row:
    each = max(point.size, 1)
    return Row(
        dimension.name,
        f"{point.size:,}",
        f"{point.message_us:.2f} µs a message, {point.read_us:,.0f} µs a read of a"
        f" month, {point.sources_read_us:,.0f} with all sources, {point.start_ms:,.0f} ms a start",
        f"{point.message_steps.sqlite:,} steps of SQLite and {point.message_steps.python:,} calls a"
        f" batch of {_BATCH:,}, {point.read_steps.sqlite:,} and {point.read_steps.python:,} a read;"
        f" {point.index_bytes / each:,.1f} bytes of memory and"
        f" {point.disk_bytes / each:,.1f} of disk for each",
    )


def main() -> int:
    """Run it.

    Returns:
        The exit status: 1 when a count was wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--more", type=int, default=0, help="powers of ten beyond the usual ones")
    parser.add_argument("--write", action="store_true", help="add table and picture to the results")
    parser.add_argument(
        "--only", choices=[each.name for each in DIMENSIONS], help="one of the things that grow"
    )
    options = parser.parse_args()
    points: dict[str, list[Point]] = {}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="headcount-growth-") as name:
        notes = machine_notes(Path(name))
        for dimension in DIMENSIONS:
            if options.only not in (None, dimension.name):
                continue
            beyond = range(1, 1 + options.more) if dimension.name.endswith("of a month") else ()
            sizes = [*dimension.sizes, *(dimension.sizes[-1] * 10**n for n in beyond)]
            for size in sizes:
                folder = Path(name) / f"{len(rows)}"
                folder.mkdir()
                try:
                    point = grown(folder, dimension, size)
                except BenchError as error:
                    print(f"{dimension.name}, {size:,}: {error}", file=sys.stderr)
                    return 1
                points.setdefault(dimension.name, []).append(point)
                rows.append(_row(dimension, point))
    if options.write and options.only is None:
        _PICTURE.write_text(draw(points))
        print(f"drawn to {_PICTURE}")
    return tell(rows, notes, write=options.write)


if __name__ == "__main__":
    sys.exit(main())
