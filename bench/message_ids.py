"""A billion message ids: `python -m bench.message_ids` builds their runs, asks them, ages them.

Takes how many; gives what an id takes in memory and on disk, what asking costs and how often it
touches the disk, with the system's cache warm and empty, with the filter that so many keys have and
with that of the largest runs; and what is left in memory as ids become too old. The runs are made,
merged and asked by the server's own parts; messages are metered by its meter, and copies of ids of
any age are among them: a count that is not exact fails the run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.load import BenchError
from bench.machine import machine_notes
from bench.report import Row, tell
from headcount.counting.batch import FACT_DTYPE
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.keys import FINGERPRINT_BITS, MESSAGE, U64, KeyBlock, message_keys
from headcount.counting.metrics import API_CALLS
from headcount.journal import JournalDirectory
from headcount.meter import Meter
from headcount.meter.merging import runs_to_rewrite
from headcount.store.merging import merged_runs
from headcount.store.opening import open_store
from headcount.store.protocol import MeterStore, StoreFiles
from headcount.store.runs import Run, write_run

__all__ = ["main"]

_MONTH = parse_period("2026-01-01")
_WINDOW_DAYS = 35
_LATER_DAY = _MONTH.shifted(1).first_day + 19
"""The twentieth day of the month after: half of the ids are too old by then."""

_PART_KEYS = 1 << 16
_BATCH, _BATCHES = 10_000, 40
_COPIES = 100
_SOURCE = np.array([1], np.uint32)
_LARGE_RUN_KEYS = 20_000_000_000


@dataclass(frozen=True, slots=True)
class _Ids:
    """Which ids there are: made anew whenever they are needed.

    Attributes:
        total: how many.
        run_keys: how many of them come to one run.
    """

    total: int
    run_keys: int

    @property
    def chunks(self) -> int:
        return -(-self.total // self.run_keys)

    def day(self, chunk: int) -> int:
        """The day of the month on which the ids of a chunk came."""
        return chunk * _MONTH.length // self.chunks

    def keys(self, chunk: int) -> U64:
        """Their fingerprints: uniform, ascending, each once."""
        random = np.random.default_rng(chunk)
        steps = random.standard_exponential(self.run_keys)
        ascending = np.cumsum(steps) * ((1 << FINGERPRINT_BITS) / (steps.sum() + 1))
        # Floats leave the low bits empty.
        low = random.integers(0, 1 << 10, self.run_keys, np.uint64)
        keys = np.sort(ascending.astype(np.uint64) ^ low)
        return keys[np.r_[True, keys[1:] != keys[:-1]]]

    def some(self, chunk: int, count: int, random: np.random.Generator) -> U64:
        """Some ids of a chunk, as hashes that a message brings."""
        keys = self.keys(chunk)
        return _hash_of(keys[random.choice(len(keys) // count, count) * count])


def _hash_of(fingerprints: U64) -> U64:
    """A hash of a message id of the one source that has a fingerprint."""
    blank = message_keys(_SOURCE, np.zeros(1, np.uint64))[0]
    hashes: U64 = (fingerprints ^ blank) << np.uint64(1)
    return hashes


def main() -> int:
    """Run it.

    Returns:
        The exit status: 1 when a count was wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.message_ids", description=__doc__)
    parser.add_argument("--ids", type=int, default=1_000_000_000)
    parser.add_argument("--run", type=int, default=4_000_000, help="ids that come to one run")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headcount-ids-") as name:
        folder = Path(name)
        notes = machine_notes(folder)
        try:
            rows = _measure(folder, _Ids(options.ids, options.run))
        except BenchError as error:
            print(f"The run failed: {error}", file=sys.stderr)
            return 1
    return tell(rows, notes, write=options.write)


def _measure(folder: Path, ids: _Ids) -> list[Row]:
    scenario = f"{ids.total:,} message ids of one month"
    with closing(open_store(folder / "store.sqlite")) as store:
        assert store.files is not None
        rows = _build(scenario, store.files, ids)
        day = _MONTH.last_day
        for state in ("the system's cache empty", "the cache as it is then"):
            if state.endswith("empty"):
                _empty_cache(folder)
            rows.append(_meter(f"{scenario}, {state}", folder, store, ids, day))
        rows += _as_in_a_large_run(folder, store.files)
        rows += _age(store.files, ids)
        _empty_cache(folder)
        later = f"{scenario}, on the 20th of the next"
        rows.append(_meter(later, folder, store, ids, _LATER_DAY))
    return rows


def _build(scenario: str, files: StoreFiles, ids: _Ids) -> list[Row]:
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    written = 0
    for chunk in range(ids.chunks):
        keys = ids.keys(chunk)
        days = np.full(len(keys), ids.day(chunk), np.uint8)
        parts = (
            KeyBlock(keys[at : at + _PART_KEYS], days[at : at + _PART_KEYS])
            for at in range(0, len(keys), _PART_KEYS)
        )
        for _ in files.write_run(_MONTH, MESSAGE, parts, 0, keys=len(keys), replace_existing=False):
            pass
        written += len(keys) + _tidy_up(files, 0)
    cpu_s, wall_s = time.process_time() - began_cpu_s, time.perf_counter() - began_s
    runs = _runs(files)
    total = sum(run.keys for run in runs)
    disk = sum(run.file_bytes for run in runs)
    filters = sum(run.filter_bytes for run in runs)
    sizes = ", ".join(f"{run.keys / 1e6:,.0f} M" for run in runs)
    return [
        Row(
            scenario,
            "written and merged",
            f"{cpu_s / total * 1e6:.2f} µs of CPU an id, {wall_s / 60:.0f} min",
            f"every id written {written / total:.1f} times; runs of {sizes}",
        ),
        Row(
            scenario,
            "disk",
            f"{disk / total:.2f} bytes an id",
            f"of these {filters / total:.2f} of filter; {disk / 2**30:.1f} GiB",
        ),
        Row(
            scenario, "memory", f"{filters / total:.2f} bytes an id", f"{filters / 2**20:,.0f} MiB"
        ),
    ]


def _runs(files: StoreFiles) -> list[Run]:
    runs = [run for run in files.runs(_MONTH, MESSAGE) if isinstance(run, Run)]
    return sorted(runs, key=lambda run: run.keys, reverse=True)


def _tidy_up(files: StoreFiles, since_day: int) -> int:
    """Write anew what the meter would, until there is nothing; how many keys that were."""
    written = 0
    while (rewriting := runs_to_rewrite(files.runs(_MONTH, MESSAGE), since_day)) is not None:
        names, cut_day = rewriting
        written += sum(files.merge_runs(_MONTH, MESSAGE, names, cut_day=cut_day))
    return written


def _empty_cache(folder: Path) -> None:
    """Have the system forget what it holds of the runs."""
    for path in (folder / "keys").iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _read_bytes() -> int:
    """What this process has had the disk read."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def _batches(ids: _Ids, day: int, seed: int) -> Iterator[tuple[bytes, int]]:
    """Facts of a day, and how many of them are new messages."""
    random = np.random.default_rng((day, seed))
    oldest = max(0, day - _WINDOW_DAYS - _MONTH.first_day) if day > _MONTH.last_day else 0
    counted_anew: set[int] = set()
    for number in range(_BATCHES):
        facts = np.zeros(_BATCH, FACT_DTYPE)
        facts["received_at_ms"] = day * MS_PER_DAY + number * 1000
        facts["workspace"] = facts["source"] = 1
        hashes = random.integers(1, 2**64, _BATCH, np.uint64)
        chunk = int(random.integers(ids.chunks))
        hashes[:_COPIES] = ids.some(chunk, _COPIES, random)
        facts["message"] = random.permutation(hashes)
        new = _BATCH - _COPIES
        if ids.day(chunk) < oldest:  # too far away: they count once more, and once only
            copies = set(hashes[:_COPIES].tolist())
            new += len(copies - counted_anew)
            counted_anew |= copies
        yield facts.tobytes(), new


def _meter(scenario: str, folder: Path, store: MeterStore, ids: _Ids, day: int) -> Row:
    """Meter a day's messages, and see that the counts are exact."""
    period = Period.of_day(day)
    journals = JournalDirectory(folder / "journals")
    before = _api_calls(store, period)
    new = 0
    with (
        closing(journals),
        closing(journals.claim()) as journal,
        closing(
            Meter(
                store,
                JournalDirectory(folder / "journals"),
                lambda: day * MS_PER_DAY + MS_PER_DAY // 2,
                _WINDOW_DAYS,
            )
        ) as meter,
    ):
        wall_s = cpu_s = 0.0
        read = 0
        for number, (facts, of_batch) in enumerate(_batches(ids, day, before)):
            journal.append(facts, (), day * MS_PER_DAY + number)
            new += of_batch
            if not number:
                meter.step()  # which reads the filters
                continue
            began, began_cpu, began_read = time.perf_counter(), time.process_time(), _read_bytes()
            while not meter.step().drained:
                pass
            wall_s += time.perf_counter() - began
            cpu_s += time.process_time() - began_cpu
            read += _read_bytes() - began_read
        held = meter.indexes.sizes()[MESSAGE][1]
        asked, looked = meter.indexes.lookups()
    counted = _api_calls(store, period) - before
    if counted != new:
        raise BenchError(f"{counted:,} messages were counted, and {new:,} are new")
    messages = _BATCH * (_BATCHES - 1)
    return Row(
        scenario,
        f"metered, {_COPIES / _BATCH:.0%} copies",
        f"{cpu_s / messages * 1e6:.1f} µs of CPU a message,"
        f" {wall_s / messages * 1e6:.1f} µs in all",
        f"{looked / asked:.1%} of the ids looked for on disk, copies included;"
        f" {read / messages:,.0f} bytes read a message; {held / 2**20:,.0f} MiB of tables;"
        f" {new:,} counted, exact",
    )


def _api_calls(store: MeterStore, period: Period) -> int:
    return int(store.read_usage(1, period).workspace_totals()[-1][API_CALLS])


def _as_in_a_large_run(folder: Path, files: StoreFiles) -> list[Row]:
    """The largest run again, with as few bits of filter a key as one of the largest has."""
    path = folder / "keys" / "large.draft"
    for _ in write_run(path, merged_runs(_runs(files)[:1]), filter_keys=_LARGE_RUN_KEYS):
        pass
    run = Run(path)
    run.hold()
    scenario = f"{run.keys:,} of them, with the filter of a run of {_LARGE_RUN_KEYS:,}"
    rows = [
        Row(
            scenario,
            "memory",
            f"{run.filter_bytes / run.keys:.2f} bytes an id",
            f"{8 * run.filter_bytes / run.keys:.1f} bits, fences included",
        )
    ]
    random = np.random.default_rng(0)
    batches = [np.unique(random.integers(1, 2**63, _BATCH, np.uint64)) for _ in range(_BATCHES)]
    for state in ("the system's cache empty", "the cache warm"):
        if state.endswith("empty"):
            _empty_cache(folder)
        looks, read = run.looks, _read_bytes()
        began, began_cpu = time.perf_counter(), time.process_time()
        for batch in batches:
            run.days_of(batch)
        cpu_s, wall_s = time.process_time() - began_cpu, time.perf_counter() - began
        messages = sum(map(len, batches))
        rows.append(
            Row(
                scenario,
                f"asked for ids that are not there, {state}",
                f"{cpu_s / messages * 1e6:.2f} µs of CPU an id,"
                f" {wall_s / messages * 1e6:.2f} µs in all",
                f"{(run.looks - looks) / messages:.1%} looked for on disk,"
                f" {(_read_bytes() - read) / messages:,.0f} bytes read an id",
            )
        )
    known = next(run.blocks())
    if (run.days_of(known.fingerprints) != known.days).any():
        raise BenchError("an id that is there was not found")
    path.unlink()
    return rows


def _age(files: StoreFiles, ids: _Ids) -> list[Row]:
    """What becomes of them when half of them are too old to be copies of live messages."""
    since_day = _LATER_DAY - _WINDOW_DAYS - _MONTH.first_day
    held = sum(run.filter_bytes for run in _runs(files))
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    written = _tidy_up(files, since_day)
    cpu_s, wall_s = time.process_time() - began_cpu_s, time.perf_counter() - began_s
    runs = _runs(files)
    kept = sum(run.filter_bytes for run in runs if run.last_day >= since_day)
    return [
        Row(
            f"{ids.total:,} message ids of one month, on the 20th of the next",
            "cut by age",
            f"{held / 2**20:,.0f} MiB of filters become {kept / 2**20:,.0f}",
            f"{written:,} ids written anew, {cpu_s / max(written, 1) * 1e9:.0f} ns of CPU each,"
            f" {wall_s / 60:.1f} min; runs of"
            f" {', '.join(f'{run.keys / 1e6:,.0f} M' for run in runs)}",
        )
    ]


if __name__ == "__main__":
    sys.exit(main())
