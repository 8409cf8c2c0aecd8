"""Forgetting people in a cluster changes no total, whatever its log and processes do meanwhile.

Counts equal those of an oracle in which whoever was forgotten is somebody else in all that a
partition of messages had counted by then. Each mistake below must be seen by the histories.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headcount.counting.calendar import MS_PER_DAY
from headcount.counting.keys import TRACKED, KeySet, tracked_keys
from headcount.stages import first_stage
from headcount.stages.first_stage import FirstStage
from headcount.stages.partition_forgetting import PartitionForgetting
from headcount.store.partition_change import HandedOn
from support.memory_log import WILD
from support.oracle import PlainFact
from support.rig import HASHER, assert_equal_to_oracle
from support.stage_histories import FIRST_DAY, KEEPING, live
from support.staged_cluster import StagedCluster

Patch = pytest.MonkeyPatch
PEOPLE = {KeySet.IDENTIFIED: "ann", KeySet.ANONYMOUS: "phone"}


@pytest.mark.parametrize("seed", range(16))
def test_counts_are_the_oracles_on_a_log_that_does_its_worst(seed: int) -> None:
    live(seed, forgets=True)


@pytest.mark.parametrize("seed", range(100, 116))
def test_counts_are_the_oracles_where_partitions_are_put_back(seed: int) -> None:
    live(seed, KEEPING, restores=True, forgets=True)


@pytest.fixture
def cluster(tmp_path: Path) -> Any:
    made = StagedCluster(tmp_path, now_ms=(FIRST_DAY + 10) * MS_PER_DAY, facts=3, keys=3)
    yield made
    made.close()


def ann(cluster: StagedCluster, messages: int, *, day: int = 10) -> list[PlainFact]:
    """What a person sends."""
    return [
        PlainFact(
            (FIRST_DAY + day) * MS_PER_DAY + len(cluster.plain) + at, 1, 1,
            f"m{len(cluster.plain)} {at}", "ann", "phone",
        )
        for at in range(messages)
    ]  # fmt: skip


def has_keys(cluster: StagedCluster) -> set[KeySet]:
    """Which of a person's ids any partition knows."""
    found = set()
    for name in cluster.names:
        store = cluster.meter(name).store
        for period, family in store.state().key_periods:
            if family != TRACKED:
                continue
            for key_set, known in PEOPLE.items():
                hashes = np.full(1, int.from_bytes(HASHER.tracked(known), "little"), np.uint64)
                keys = tracked_keys(
                    np.ones(1, np.uint32), hashes,
                    workspace=True, anonymous=key_set is KeySet.ANONYMOUS,
                )  # fmt: skip
                if any(
                    np.isin(keys, block.fingerprints).any() for block in store.keys(period, family)
                ):
                    found.add(key_set)
    return found


def bytes_held(cluster: StagedCluster) -> bytes:
    """Everything that partitions have on their disks."""
    files = [path for name in cluster.names for path in (cluster.folder / name).rglob("*")]
    return b"".join(path.read_bytes() for path in files if path.is_file())


def test_nothing_of_who_is_forgotten_stands_in_a_partition_and_no_total_falls(
    cluster: StagedCluster,
) -> None:
    cluster.append(0, 0, ann(cluster, 20))
    cluster.settle()
    assert has_keys(cluster) == set(PEOPLE)
    cluster.forget("ann", "phone", None)
    cluster.settle()
    assert has_keys(cluster) == set()
    store = cluster.mirrors[0][0]
    assert_equal_to_oracle(store, cluster.oracle(), attributed=False)
    found = [each for name in cluster.names for each in cluster.meter(name).forgetting.found(1)]
    assert [each.sources for each in found] == [[1], [1]]
    # Who comes again counts anew, though their ids were sent lately.
    cluster.append(0, 0, ann(cluster, 20))
    cluster.settle()
    assert has_keys(cluster) == set(PEOPLE)
    assert_equal_to_oracle(store, cluster.oracle(), attributed=False)


def test_what_waits_aside_is_renamed_and_then_counted_as_of_who_was_forgotten(
    cluster: StagedCluster,
) -> None:
    cluster.append(0, 0, ann(cluster, 5))
    cluster.settle()
    # A clock that is a year ahead: these wait for their day.
    cluster.append(0, 0, ann(cluster, 20, day=375))
    cluster.settle()
    waiting = sum(
        each.messages for name in cluster.names for each in cluster.meter(name).store.set_aside()
    )
    assert waiting == 20
    cluster.forget("ann", "phone", None)
    cluster.settle()
    held = [
        row.facts
        for name in cluster.names
        for row in cluster.meter(name).store.erasure.aside_facts()
    ]
    assert sum(map(len, held)) > 0
    for known in PEOPLE.values():
        assert not [facts for facts in held if HASHER.tracked(known) in facts]
    found = [each for name in cluster.names for each in cluster.meter(name).forgetting.found(1)]
    assert {each.is_anonymous for each in found if each.waiting} == {False, True}
    assert sum(each.waiting for each in found) == 40


def test_an_order_goes_with_its_secret_once_the_log_holds_nothing_of_before(
    cluster: StagedCluster,
) -> None:
    cluster.append(0, 0, ann(cluster, 20))
    cluster.settle()
    cluster.forget("ann", "phone", None)
    cluster.settle()
    assert b"secret 1".hex().encode() in bytes_held(cluster)
    cluster.now_ms += 11 * MS_PER_DAY
    cluster.settle()
    for name in cluster.names:
        cluster.restart(name)  # its log goes into its file
        cluster.meter(name).forgetting.let_go()
        assert cluster.meter(name).forgetting.orders == {}
        assert cluster.meter(name).forgetting.number == 1
        cluster.restart(name)
    assert b"secret 1".hex().encode() not in bytes_held(cluster)
    assert HASHER.tracked("ann").hex().encode() not in bytes_held(cluster)
    # The order itself comes out of an old copy once more, and does nothing.
    cluster.append(0, 0, ann(cluster, 20, day=21))
    cluster.settle()
    assert has_keys(cluster) == set(PEOPLE)
    assert_equal_to_oracle(cluster.mirrors[0][0], cluster.oracle(), attributed=False)


def _take_late_records_for_new_ones(patch: Patch) -> None:
    patch.setattr(PartitionForgetting, "renamed", lambda _self, records, _forgotten: records)


def _leave_out_who_comes_again(patch: Patch) -> None:
    forget = FirstStage._forget

    def remembering(self: FirstStage, *rest: Any) -> None:
        sending = self._sending
        forget(self, *rest)
        self._sending = sending

    patch.setattr(FirstStage, "_forget", remembering)


def _say_not_what_was_forgotten_before(patch: Patch) -> None:
    def made(*rest: Any, **more: Any) -> HandedOn:
        return HandedOn(*rest, **{**more, "forgotten": 0})

    patch.setattr(first_stage, "HandedOn", made)


def _carry_out_each_time_it_comes(patch: Patch) -> None:
    class Nothing(dict[int, Any]):
        def __contains__(self, _number: object) -> bool:
            return False

    reload = PartitionForgetting.reload

    def reloaded(self: PartitionForgetting) -> None:
        reload(self)
        self.orders = Nothing(self.orders)

    patch.setattr(PartitionForgetting, "reload", reloaded)


@pytest.mark.parametrize(
    "mistake",
    [
        _take_late_records_for_new_ones,
        _leave_out_who_comes_again,
        _say_not_what_was_forgotten_before,
        _carry_out_each_time_it_comes,
    ],
)
def test_a_mistake_is_seen(mistake: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mistake(monkeypatch)
    for seed in range(60):
        try:
            live(seed, KEEPING if seed % 2 else WILD, restores=bool(seed % 2), forgets=True)
        except AssertionError:
            return
    raise AssertionError("no history has seen it")
