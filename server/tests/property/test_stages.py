"""The data plane of a cluster counts what the oracle does, whatever its log and processes do.

A short form; `make histories` lives through as many as one likes. Each mistake below is one that
somebody might make; the histories must see it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from headcount.counting.calendar import MS_PER_DAY
from headcount.stages import chain, relay
from headcount.stages.chain import Chain
from headcount.stages.first_stage import FirstStage
from headcount.stages.partition_meter import PartitionMeter
from headcount.stages.tracked_records import TrackedSending
from headcount.store.partition import SqlitePartitionStore
from headcount.store.protocol import Change
from headcount.store.stored_outbox import StoredOutbox
from support.memory_log import WILD, LogFaults
from support.oracle import PlainFact
from support.stage_histories import (
    FIRST_DAY,
    KEEPING,
    LATE,
    live,
    memory_folder,
    rebuild_stage_1,
)
from support.staged_cluster import StagedCluster

Patch = pytest.MonkeyPatch


@pytest.mark.parametrize("seed", range(24))
def test_counts_are_the_oracles_on_a_log_that_does_its_worst(seed: int) -> None:
    live(seed)


@pytest.mark.parametrize("seed", range(100, 124))
def test_counts_are_the_oracles_where_partitions_are_put_back(seed: int) -> None:
    live(seed, KEEPING, restores=True)


@pytest.mark.parametrize("seed", range(200, 208))
def test_counts_are_the_oracles_and_stage_1_is_built_anew(seed: int) -> None:
    live(seed, KEEPING, rebuilds=True)


@pytest.mark.parametrize("seed", range(300, 308))
def test_counts_are_the_oracles_where_a_standby_is_promoted_late(seed: int) -> None:
    live(seed, LATE, restores=True, rebuilds=True, keeps_for_backups=True)


def test_a_standby_promoted_late_is_seen_where_nobody_backs_up_at_once(monkeypatch: Patch) -> None:
    monkeypatch.setattr(StagedCluster, "keep", lambda *_: None)
    monkeypatch.setattr(StagedCluster, "may_be_other", lambda _: False)
    with pytest.raises(AssertionError, match="is another"):
        assert all(
            live(seed, LATE, rebuilds=True, keeps_for_backups=True) < 2000 for seed in range(80)
        )


def test_stage_1_rebuilt_from_the_log_equals_itself() -> None:
    for seed in range(6):
        with TemporaryDirectory(dir=memory_folder()) as folder:
            cluster = StagedCluster(
                Path(folder), seed, now_ms=(FIRST_DAY + 58) * MS_PER_DAY, facts=3
            )
            cluster.faults(LogFaults(repeated=0.3, late=0.3, told_late=0.3, back=0.1))
            for number in count():
                if number == 30:
                    break
                cluster.append(number % 2, number % 2, _across_months(number))
                if number % 3 == seed % 3:
                    cluster.step()
            cluster.settle()
            rebuild_stage_1(cluster)
            cluster.close()


def _across_months(number: int) -> list[PlainFact]:
    """Copies of few messages on days of three months, so that their order decides."""
    return [
        PlainFact(
            (FIRST_DAY + day) * MS_PER_DAY + number, 1, 1 + at, f"m{(number * 7 + at) % 11}",
            f"u{number % 5}", f"a{number % 3}", imported=True,
        )
        for at, day in enumerate(((0, 27), (29, 28), (34, 2), (27, 29), (57, 30))[number % 5])
    ]  # fmt: skip


def _accept_behind_gaps(patch: Patch) -> None:
    of_queue = Chain._of_queue

    def careless(self: Chain, origin: str, part: Any, now_s: float) -> Any:
        return of_queue(self, origin, part._replace(previous=0), now_s)

    patch.setattr(Chain, "_of_queue", careless)


def _take_repeats(patch: Patch) -> None:
    of_queue = Chain._of_queue

    def again(self: Chain, origin: str, part: Any, now_s: float) -> Any:
        held = self.positions.get(part.queue, 0)
        self.positions[part.queue] = min([held, *(each.id - 1 for each in part.entries)])
        return of_queue(self, origin, part._replace(previous=0), now_s)

    patch.setattr(Chain, "_of_queue", again)


def _prune_what_was_sent(patch: Patch) -> None:
    patch.setattr(relay, "_had", lambda progress: progress.read)


def _mark_what_was_not_sent(patch: Patch) -> None:
    patch.setattr(relay._Aim, "is_reached", lambda *_: True)


def _begin_no_chain_again(patch: Patch) -> None:
    patch.setattr(StoredOutbox, "chain", lambda _self: {})
    patch.setattr("headcount.journal.JournalFile.chain", lambda _self: {})
    patch.setattr(
        relay, "QueuePart", lambda queue, _previous, entries: chain.QueuePart(queue, 0, entries)
    )


def _forget_what_goes_on(patch: Patch) -> None:
    """Ids are handed on after the commit, by a process that may end between."""

    def later(self: FirstStage, folded: Any, change: Change) -> None:
        self._sending.records(folded.left_in)

    patch.setattr(FirstStage, "_complete", later)


def _remember_before_the_commit(patch: Patch) -> None:
    records = TrackedSending.records

    def at_once(self: TrackedSending, months: Any) -> Any:
        found = records(self, months)
        self.sent()
        return found[: len(found) // 2]

    patch.setattr(TrackedSending, "records", at_once)


def _positions_apart(patch: Patch) -> None:
    commit = SqlitePartitionStore.commit

    def without(self: SqlitePartitionStore, change: Change) -> None:
        if not change.mirrored and change.positions:
            change.positions = {}
        commit(self, change)

    patch.setattr(SqlitePartitionStore, "commit", without)


def _fresh_too_early(patch: Patch) -> None:
    patch.setattr(PartitionMeter, "until_ms", lambda self: self._clock_ms())


def _add_instead_of_replacing(patch: Patch) -> None:
    patch.setattr("headcount.stages.mirror._less", lambda new, _old: new)


MISTAKES: list[tuple[Callable[[Patch], None], LogFaults, bool]] = [
    (_accept_behind_gaps, WILD, False),
    (_take_repeats, WILD, False),
    (_prune_what_was_sent, WILD, False),
    (_mark_what_was_not_sent, WILD, False),
    (_begin_no_chain_again, WILD, False),
    (_forget_what_goes_on, KEEPING, False),
    (_remember_before_the_commit, KEEPING, False),
    (_positions_apart, KEEPING, False),
    (_fresh_too_early, WILD, False),
    (_add_instead_of_replacing, KEEPING, False),
]


@pytest.mark.parametrize(
    ("mistake", "faults", "restores"), MISTAKES, ids=[each[0].__name__ for each in MISTAKES]
)
def test_a_mistake_is_seen(
    mistake: Callable[[Patch], None], faults: LogFaults, restores: bool, monkeypatch: Patch
) -> None:
    mistake(monkeypatch)
    for seed in range(80):
        try:
            live(seed, faults, restores=restores)
        except AssertionError:
            return
    raise AssertionError("no history has seen it")


def test_a_rebuilt_partition_differs_where_batches_mix_months(monkeypatch: Patch) -> None:
    monkeypatch.setattr(FirstStage, "_next_batch", lambda _self, items: list(items))
    with pytest.raises(AssertionError):
        test_stage_1_rebuilt_from_the_log_equals_itself()
