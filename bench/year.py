"""A simulated year: `python -m bench.year` lives through twelve months, day by day.

Takes how much happens in a month; gives, at the end of each, what the files and the memory have
become, with months being sealed and their ids dropped on the way. Counts are checked against
distinct counts of the same facts: a wrong one fails the run.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.load import BenchError
from bench.machine import machine_notes
from bench.report import Row, tell
from headcount.counting.batch import FACT_DTYPE
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.metrics import ANONYMOUS, ANONYMOUS_IDENTIFIED, API_CALLS, IDENTIFIED
from headcount.journal import JournalDirectory
from headcount.meter import Meter
from headcount.store.opening import open_store
from headcount.store.protocol import MeterStore

__all__ = ["main"]

_WORKSPACE = 1
_FACTS_AN_ENTRY = 5_000
_WINDOW_DAYS = 35
_FIRST = parse_period("2026-01-01")
_MONTHS = 12
_IDENTIFIED_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class _Traffic:
    """What happens in a month.

    Attributes:
        messages: messages a month.
        visitors: visitors a month, each with an anonymousId; a third of them are known users.
        sources: sources that they use.
    """

    messages: int
    visitors: int
    sources: int

    def day(self, period: Period, day: int, random: np.random.Generator) -> npt.NDArray[np.void]:
        """Facts of one day, in order of receipt."""
        count = self.messages // period.length
        facts = np.zeros(count, FACT_DTYPE)
        facts["received_at_ms"] = day * MS_PER_DAY + np.arange(count) * (MS_PER_DAY // count)
        facts["workspace"] = _WORKSPACE
        visitors = random.integers(0, self.visitors, count)
        facts["source"] = 1 + visitors % self.sources
        facts["message"] = random.integers(1, 2**64, count, np.uint64)
        facts["anonymous"] = _scattered(visitors, period, 1)
        known = visitors < self.visitors * _IDENTIFIED_SHARE
        facts["user"] = np.where(known, _scattered(visitors, period, 2), 0)
        return facts


def _scattered(
    visitors: npt.NDArray[np.int64], period: Period, salt: int
) -> npt.NDArray[np.uint64]:
    """Hashes of ids: other ones each month, spread over 64 bits as keyed hashes are."""
    mixed = visitors.astype(np.uint64) * np.uint64(2_654_435_761)
    mixed += np.uint64(period.number * 8 + salt)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    scattered: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return scattered


def main() -> int:
    """Live through the year.

    Returns:
        The exit status: 1 when a count was wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.year", description=__doc__)
    parser.add_argument("--messages", type=int, default=5_000_000, help="messages a month")
    parser.add_argument("--visitors", type=int, default=1_000_000, help="visitors a month")
    parser.add_argument("--sources", type=int, default=1_000)
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    traffic = _Traffic(options.messages, options.visitors, options.sources)
    with tempfile.TemporaryDirectory(prefix="headcount-year-") as name:
        notes = machine_notes(Path(name))
        try:
            rows = _live(Path(name), traffic)
        except BenchError as error:
            print(f"The year failed: {error}", file=sys.stderr)
            return 1
    return tell(rows, notes, write=options.write)


def _live(folder: Path, traffic: _Traffic) -> list[Row]:
    random = np.random.default_rng(2026)
    now_ms = _FIRST.first_day * MS_PER_DAY
    journals = JournalDirectory(folder / "journals")
    rows = []
    with (
        closing(open_store(folder / "store.sqlite")) as store,
        closing(journals.claim()) as journal,
        closing(Meter(store, JournalDirectory(folder / "journals"), lambda: now_ms, _WINDOW_DAYS))
        as meter,
    ):  # fmt: skip
        for month in range(_MONTHS):
            period = _FIRST.shifted(month)
            began_s, cpu_s = time.perf_counter(), time.process_time()
            seen = []
            for day in range(period.first_day, period.last_day + 1):
                facts = traffic.day(period, day, random)
                seen.append(facts[["anonymous", "user"]])
                for start in range(0, len(facts), _FACTS_AN_ENTRY):
                    part = facts[start : start + _FACTS_AN_ENTRY]
                    now_ms = int(part["received_at_ms"][-1])
                    journal.append(part.tobytes(), (), now_ms)
                while not meter.step().drained:
                    pass
            _check(store, period, np.concatenate(seen))
            measured = (time.perf_counter() - began_s, time.process_time() - cpu_s)
            rows.append(_row(folder, store, meter, period, traffic, measured))
    journals.close()
    return rows


def _check(store: MeterStore, period: Period, seen: npt.NDArray[np.void]) -> None:
    totals = store.read_usage(_WORKSPACE, period).workspace_totals()[-1]
    together = seen["user"] != 0
    expected = {
        API_CALLS: len(seen),
        IDENTIFIED: len(np.unique(seen["user"][together])),
        ANONYMOUS: len(np.unique(seen["anonymous"])),
        ANONYMOUS_IDENTIFIED: len(np.unique(seen["anonymous"][together])),
    }
    for kind, count in expected.items():
        if totals[kind] != count:
            raise BenchError(f"{period}: kind {kind} is {totals[kind]:,}, and {count:,} were sent")


def _row(
    folder: Path,
    store: MeterStore,
    meter: Meter,
    period: Period,
    traffic: _Traffic,
    measured: tuple[float, float],
) -> Row:
    sizes = meter.indexes.sizes()
    index_bytes = sum(nbytes for _, nbytes in sizes.values())
    mib = {
        name: sum(path.stat().st_size for path in paths) / 2**20
        for name, paths in {
            "store": folder.glob("store.sqlite*"),
            "runs": folder.glob("keys/*"),
            "trash": folder.glob("trash/*"),
            "journals": folder.glob("journals/*"),
        }.items()
    }
    rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    open_months = {str(month)[:7] for month, _ in store.state().key_periods}
    wall_s, cpu_s = measured
    return Row(
        scenario=f"{traffic.messages:,} messages, {traffic.visitors:,} visitors a month,"
        f" {traffic.sources:,} sources",
        measure=str(period)[:7],
        measured=", ".join(f"{name} {size:,.0f} MiB" for name, size in mib.items()),
        beside=f"index {index_bytes / 2**20:,.0f} MiB, peak of the process {rss_mib:,.0f} MiB;"
        f" ids kept of {len(open_months)} months; {wall_s:.0f} s,"
        f" {cpu_s / traffic.messages * 1e6:.1f} µs of CPU a message",
    )


if __name__ == "__main__":
    sys.exit(main())
