"""Histories of a cluster's data plane, by a seed: what happens, what must hold meanwhile and after.

In each a log misbehaves, processes die, partitions are put back to older copies. While it lasts, no
sum falls and no inequality breaks. In the end freshness must pass the last message, and from that
moment on every count of every scope and day is the oracle's, and each fact is counted once. Where
the log has kept everything, stage 1 is then built anew from it, and is what it was.

`make histories` lives through thousands (`support.stage_campaign`).
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.metrics import ANONYMOUS, ANONYMOUS_IDENTIFIED, API_CALLS, IDENTIFIED
from headcount.meter.limits import MeterLimits
from headcount.stages import hosts, relay
from support.memory_log import WILD, LogFaults
from support.oracle import PlainFact
from support.rig import assert_equal_to_oracle
from support.staged_cluster import StagedCluster, all_counts

__all__ = [
    "FIRST_DAY",
    "KEEPING",
    "LATE",
    "Reader",
    "act",
    "live",
    "memory_folder",
    "rebuild_stage_1",
]

FIRST_DAY = parse_period("2026-02-01").first_day
KEEPING = LogFaults(
    lost_unacknowledged=0.05, published_and_away=0.05, repeated=0.2, late=0.2, back=0.05,
    away=0.03, told_lost=0.2, told_repeated=0.1, told_late=0.2,
)  # fmt: skip
"""What a log may do that keeps what it has acknowledged, and gives it in order and without holes.

Where a follower passed over an entry, it is sent again behind others: what was counted then has
another order than the log, and who counts anew from the log counts another of two copies.
"""

LATE = replace(KEEPING, rolled_back=0.05)
"""A log whose standby lags and is promoted now and then: what it had acknowledged last is lost."""

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
                        less = (whole < self.former[key]).any()
                        assert not less or self.cluster.may_be_other(), f"a sum fell in {period}"
                    self.former[key] = whole


def live(
    seed: int,
    faults: LogFaults = WILD,
    *,
    restores: bool = False,
    rebuilds: bool = False,
    steps: int = 30,
    forgets: bool = False,
    keeps_for_backups: bool = False,
) -> int:
    """One history; how many steps it took until it was fresh.

    Args:
        seed: decides all that happens.
        faults: of the log.
        restores: whether partitions are put back to older copies.
        rebuilds: whether stage 1 is built anew from the log in the end.
        steps: how much happens.
        keeps_for_backups: whether journals keep what no backup has, so that a log may lose what a
            partition lacks that was put back; it is backed up at once where it notices. What is put
            back to before that is counted in another order: where counts are others by that, it
            must have been noted.

    Raises:
        AssertionError: something did not hold.
    """
    chance = random.Random(seed)
    with (
        tempfile.TemporaryDirectory(dir=memory_folder()) as folder,
        # Little at a time, so that there is much between: as many pages, packs and takes as that.
        patch.object(relay, "_PAGE_ENTRIES", chance.choice([1, 4096])),
        patch.object(relay, "PACK_BYTES", chance.choice([60, 200_000])),
        patch.object(hosts, "TAKE_BYTES", chance.choice([1, 1 << 22])),
    ):
        cluster = StagedCluster(
            Path(folder), seed,
            facts=chance.choice([1, 2, 3]), keys=chance.choice([1, 2, 3]),
            window_days=chance.choice([0, 1, 35]), now_ms=(FIRST_DAY + 58) * MS_PER_DAY,
            limits=MeterLimits(chance.choice([1, 3, 50_000]), 3, 3, past_bytes_max=1 << 20),
            mirrors=chance.choice([1, 2]), prune_after_backup=keeps_for_backups,
        )  # fmt: skip
        posted: Counter[PlainFact] = Counter()
        reader = Reader(cluster)
        cluster.faults(faults)
        try:
            for _ in range(steps):
                if forgets and chance.random() < 0.12:
                    forget(cluster, chance)
                act(cluster, chance, posted, restores=restores)
                reader.look()
            steps_before = cluster.steps
            cluster.settle()
            reader.look()
            assert Counter(f for facts in cluster.order.values() for f in facts) == posted
            oracle = cluster.oracle()
            if not cluster.may_be_other():
                for store, _ in cluster.mirrors:
                    assert_equal_to_oracle(store, oracle, attributed=False)
            took = cluster.steps - steps_before
            if rebuilds:
                cluster.faults(faults)
                rebuild_stage_1(cluster)
                reader.look()
            return took
        finally:
            cluster.close()


def rebuild_stage_1(cluster: StagedCluster) -> None:
    """Lose all partitions of stage 1, and count them anew, from the log alone where there is no
    backup: they are what they were.

    Raises:
        AssertionError: they are not, or a sum differs.
    """
    names = [name for name in cluster.names if name.startswith("facts")]
    before = all_counts(cluster.meter(name).store for name in names)
    kept = {name: len(order) for name, order in cluster.order.items()}
    for name in names:
        cluster.stop(name)
        if cluster.has_kept(name):
            cluster.put_back(name)
        else:
            for path in (cluster.folder / name).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            cluster.note_if_before_a_loss(name, 0)
        cluster.epochs[name] += 1
        cluster.start(name, renewed=cluster.has_kept(name))
    for _ in range(5):
        cluster.step()
    cluster.settle()
    after = all_counts(cluster.meter(name).store for name in names)
    assert after == before or cluster.may_be_other(), "stage 1 rebuilt from the log is another"
    assert {name: len(order) for name, order in cluster.order.items()} == kept
    for store, _ in cluster.mirrors if not cluster.may_be_other() else ():
        assert_equal_to_oracle(store, cluster.oracle(), attributed=False)


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


def forget(cluster: StagedCluster, chance: random.Random) -> None:
    """A person is to be forgotten."""
    user, anonymous = chance.choice([("a", None), (None, "x"), ("b", "y"), ("c", "x")])
    cluster.forget(user, anonymous, chance.choice([None, None, {1}]))


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
