"""Histories of a cluster's data plane, by a seed: what happens, what must hold meanwhile and after.

    python -m support.stage_histories 0 2000      the long form: so many seeds, from one on

In each a log misbehaves, processes die, partitions are put back to older copies. While it lasts, no
sum falls and no inequality breaks. In the end freshness must pass the last message, and from that
moment on every count of every scope and day is the oracle's, and each fact is counted once.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.metrics import ANONYMOUS, ANONYMOUS_IDENTIFIED, API_CALLS, IDENTIFIED
from headcount.meter.limits import MeterLimits
from headcount.stages import partition_meter, relay
from support.memory_log import WILD, LogFaults
from support.oracle import PlainFact
from support.rig import assert_equal_to_oracle
from support.staged_cluster import StagedCluster

__all__ = ["FIRST_DAY", "KEEPING", "Reader", "act", "live", "memory_folder"]

FIRST_DAY = parse_period("2026-02-01").first_day
KEEPING = LogFaults(
    lost_unacknowledged=0.05, published_and_away=0.05, repeated=0.2, late=0.2, back=0.05,
    hole=0.03, away=0.03, told_lost=0.2, told_repeated=0.1, told_late=0.2,
)  # fmt: skip
"""What a log may do that keeps what it has acknowledged."""

MARCH_DAYS = [0, 0, 1, 2, 26, 27, 28, 29, 34, 35, 36, 57]


def memory_folder() -> Path:
    """Where stores lie in memory, as far as the system has such a place."""
    return Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())


class Reader:
    """Reads all the time, and sees whether a sum falls or an inequality breaks."""

    def __init__(self, cluster: StagedCluster) -> None:
        self.cluster = cluster
        self.former: dict[tuple[int, int, Period], np.ndarray] = {}

    def look(self) -> None:
        for at, (store, _) in enumerate(self.cluster.mirrors):
            for workspace in set(self.cluster.workspace_of.values()):
                for months in (-1, 0, 1):
                    period = Period.of_day(FIRST_DAY + 31).shifted(months)
                    reading = store.read_usage(workspace, period)
                    whole = reading.workspace_totals()
                    parts = reading.source_totals()
                    for kind in (IDENTIFIED, ANONYMOUS, ANONYMOUS_IDENTIFIED):
                        most = parts[:, :, kind].max(axis=0, initial=0)
                        assert (most <= whole[:, kind]).all()
                        assert (whole[:, kind] <= parts[:, :, kind].sum(axis=0)).all()
                    assert (parts[:, :, API_CALLS].sum(axis=0) == whole[:, API_CALLS]).all()
                    key = (at, workspace, period)
                    if key in self.former:
                        # An API call may move to an earlier day, so it is running totals.
                        assert (whole >= self.former[key]).all(), f"a sum fell in {period}"
                    self.former[key] = whole


def live(seed: int, faults: LogFaults = WILD, *, restores: bool = False, steps: int = 30) -> int:
    """One history; how many steps it took until it was fresh.

    Raises:
        AssertionError: something did not hold.
    """
    chance = random.Random(seed)
    with (
        tempfile.TemporaryDirectory(dir=memory_folder()) as folder,
        # Little at a time, so that there is much between: as many pages, packs and takes as that.
        patch.object(relay, "_PAGE_ENTRIES", chance.choice([1, 4096])),
        patch.object(relay, "PACK_BYTES", chance.choice([60, 200_000])),
        patch.object(partition_meter, "_TAKE_BYTES", chance.choice([1, 1 << 22])),
    ):
        cluster = StagedCluster(
            Path(folder), seed,
            facts=chance.choice([1, 2, 3]), keys=chance.choice([1, 2, 3]),
            window_days=chance.choice([0, 1, 35]), now_ms=(FIRST_DAY + 58) * MS_PER_DAY,
            limits=MeterLimits(chance.choice([1, 3, 50_000]), 3, 3, past_bytes_max=1 << 20),
            mirrors=chance.choice([1, 2]),
        )  # fmt: skip
        posted: Counter[PlainFact] = Counter()
        reader = Reader(cluster)
        cluster.faults(faults)
        try:
            for _ in range(steps):
                act(cluster, chance, posted, restores=restores)
                reader.look()
            steps_before = cluster.steps
            cluster.settle()
            reader.look()
            assert Counter(f for facts in cluster.order.values() for f in facts) == posted
            oracle = cluster.oracle()
            for store, _ in cluster.mirrors:
                assert_equal_to_oracle(store, oracle, attributed=False)
            return cluster.steps - steps_before
        finally:
            cluster.close()


def act(
    cluster: StagedCluster, chance: random.Random, posted: Counter[PlainFact], *, restores: bool
) -> None:
    """One thing happens."""
    what = chance.random()
    if what < 0.4:
        facts = [_fact(chance, len(posted)) for _ in range(chance.randint(1, 5))]
        cluster.append(chance.randrange(2), chance.randrange(2), facts)
        posted.update(facts)
    elif what < 0.75:
        cluster.step()
    elif what < 0.83:
        cluster.restart(chance.choice(cluster.names))
    elif what < 0.88:
        node = chance.choice(cluster.nodes)
        node.stop()
        node.start()
    elif what < 0.91:
        cluster.restart_mirrors()
    elif what < 0.94:
        cluster.server.away = not cluster.server.away
    elif restores and what < 0.97:
        cluster.keep(chance.choice(cluster.names))
    elif restores:
        cluster.restore(chance.choice(cluster.names))
    else:
        cluster.now_ms += 60_000


def _fact(chance: random.Random, number: int) -> PlainFact:
    """One that may be a copy: its ids are few, and each is told apart by its moment."""
    source = chance.randint(1, 4)
    user = chance.choice([None, "a", "b", "c"])
    day = FIRST_DAY + chance.choice(MARCH_DAYS)
    fact = PlainFact(
        day * MS_PER_DAY + 3_600_000 + number + chance.randrange(1 << 20),
        *(1 + source % 2, source, chance.choice(["m1", "m2", "m3", "m4", "m5", "m6"])),
        *(user, chance.choice([None, "x", "y"])),
        imported=True,
    )
    return replace(fact, previous=chance.choice([None, "x", "z"])) if user else fact


def main() -> None:
    """Live through many, and say which seed failed."""
    first, last = int(sys.argv[1]), int(sys.argv[2])
    began_s, taken = time.monotonic(), []
    for seed in range(first, last):
        restores = seed % 2 == 1
        try:
            taken.append(live(seed, KEEPING if restores else WILD, restores=restores))
        except BaseException:
            print(f"seed {seed}, restores={restores}")
            raise
    took_s = time.monotonic() - began_s
    middle = sorted(taken)[len(taken) // 2]
    print(f"{last - first} histories in {took_s:.0f} s")
    print(f"fresh {middle} steps after the log worked again (median), {max(taken)} at most")


if __name__ == "__main__":
    main()
