"""Positions in queues that are no more go, and none that anybody may hand on under again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.metrics import API_CALLS, IDENTIFIED
from headcount.stages.gone_queues import GONE_KEPT_DAYS
from support.oracle import PlainFact
from support.rig import assert_equal_to_oracle
from support.stage_histories import FIRST_DAY
from support.staged_cluster import StagedCluster

NOON_MS = FIRST_DAY * MS_PER_DAY + 43_200_000
STEPS_A_LOOK = 242


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[StagedCluster]:
    made = StagedCluster(tmp_path, now_ms=NOON_MS, nodes=1)
    yield made
    made.close()


def post(cluster: StagedCluster, number: int) -> None:
    cluster.now_ms += 1
    fact = PlainFact(cluster.now_ms, 1, 2, f"m{number}", f"u{number}", f"a{number}")
    cluster.append(0, number % 2, [fact])


def ends_uncleanly(cluster: StagedCluster, name: str) -> None:
    cluster.stop(name)
    cluster.start(name, renewed=True)


def looked(cluster: StagedCluster) -> None:
    for _ in range(STEPS_A_LOOK):
        cluster.step()


def queues(cluster: StagedCluster, name: str) -> set[str]:
    return set(cluster.meter(name).store.state().positions)


def living(cluster: StagedCluster) -> set[str]:
    return {cluster.meter(f"facts-{n}").store.outbox.uuid for n in range(cluster.facts)}


def test_a_position_goes_once_the_log_holds_nothing_of_its_queue(cluster: StagedCluster) -> None:
    for number in range(5):
        for each in range(8):
            post(cluster, 8 * number + each)
        cluster.settle()
        ends_uncleanly(cluster, "facts-0")
        cluster.settle()
    held = {name: queues(cluster, name) for name in ("keys-0", "keys-1")}
    assert all(len(each) >= 5 for each in held.values())
    looked(cluster)
    cluster.now_ms += GONE_KEPT_DAYS * MS_PER_DAY - 3_600_000
    looked(cluster)
    assert {name: queues(cluster, name) for name in held} == held, "the log may hold more of them"
    # What was noted outlives the process that noted it.
    cluster.restart("keys-0")
    cluster.now_ms += 7_200_000
    looked(cluster)
    for name in held:
        assert queues(cluster, name) <= living(cluster)
        assert set(cluster.meter(name).positions) <= living(cluster)
        assert not [w for w in cluster.meter(name).store.watermarks() if w.startswith("gone ")]
    for number in range(40, 60):
        post(cluster, number)
    cluster.settle()
    [(store, _)] = cluster.mirrors
    assert_equal_to_oracle(store, cluster.oracle(), attributed=False)
    assert not cluster.meter("keys-0").chain.lacking()


def test_while_a_publisher_has_not_said_what_it_has_nothing_goes(cluster: StagedCluster) -> None:
    for number in range(8):
        post(cluster, number)
    cluster.settle()
    held = queues(cluster, "keys-0")
    assert len(held) == 2
    cluster.stop("facts-0")
    cluster.restart("keys-0")
    looked(cluster)
    cluster.now_ms += 2 * GONE_KEPT_DAYS * MS_PER_DAY
    looked(cluster)
    looked(cluster)
    assert queues(cluster, "keys-0") == held
    cluster.start("facts-0")
    looked(cluster)
    assert queues(cluster, "keys-0") == held


def test_what_comes_again_from_a_log_after_that_is_counted_once(cluster: StagedCluster) -> None:
    for number in range(8):
        post(cluster, number)
    cluster.settle()
    ends_uncleanly(cluster, "facts-0")
    cluster.settle()
    meter = cluster.meter("keys-0")
    meter.gone_queues.kept_ms = -1
    looked(cluster)
    looked(cluster)
    assert queues(cluster, "keys-0") <= living(cluster)
    # Though nothing should be left of it there, the log is read from its beginning.
    meter.store.drop_watermarks("log_hint")
    cluster.restart("keys-0")
    post(cluster, 9)
    cluster.settle()
    [(store, _)] = cluster.mirrors
    reading = store.read_usage(1, Period.of_day(FIRST_DAY))
    assert reading.workspace[:, API_CALLS].sum() == 9
    assert reading.workspace[:, IDENTIFIED].sum() == 9
