"""A deleted workspace goes from every partition and mirror, and nothing of others with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.facts import Rejection
from headcount.counting.metrics import API_CALLS
from headcount.store.protocol import Change
from support.oracle import PlainFact
from support.stage_histories import FIRST_DAY, memory_folder
from support.staged_cluster import StagedCluster

GONE, OTHER = 1, 2
PERIOD = Period.of_day(FIRST_DAY)


@pytest.fixture
def cluster() -> Iterator[StagedCluster]:
    with TemporaryDirectory(dir=memory_folder()) as folder:
        cluster = StagedCluster(Path(folder), now_ms=FIRST_DAY * MS_PER_DAY)
        for number in range(12):
            for workspace in (GONE, OTHER):
                name = f"{workspace} {number}"
                cluster.append(0, 0, [PlainFact(cluster.now_ms, workspace, workspace, name, name)])
            # Some are delivered twice with other content, so that there is a tally beside counts.
            cluster.append(0, 0, [PlainFact(cluster.now_ms, GONE, GONE, f"1 {number}", "else")])
        cluster.nodes[1].journals[0].append(
            b"", [Rejection(GONE, GONE, FIRST_DAY, "unreadable", 3)], cluster.now_ms
        )
        cluster.settle()
        yield cluster
        cluster.close()


def erase(cluster: StagedCluster) -> None:
    """As all processes do about once a minute."""
    for name in cluster.names:
        cluster.meter(name).erase({GONE})
    cluster.settle()
    for _, host in cluster.mirrors:
        host.mirror._erased = lambda: {GONE}
        host.mirror.erase()


def stores(cluster: StagedCluster) -> list[Any]:
    return [*(cluster.meter(name).store for name in cluster.names), cluster.mirrors[0][0]]


def shown(cluster: StagedCluster, workspace: int) -> int:
    return int(cluster.mirrors[0][0].read_usage(workspace, PERIOD).workspace[:, API_CALLS].sum())


def closed(cluster: StagedCluster) -> None:
    """The month is closed for everybody, and its keys are gone."""
    for name in cluster.names:
        store = cluster.meter(name).store
        store.commit(Change(sealed=[(each, PERIOD) for each in (GONE, OTHER)]))
        store.drop_keys(PERIOD, 0)


def test_what_a_recount_needs_goes_with_its_keys_and_all_else_at_once(
    cluster: StagedCluster,
) -> None:
    assert cluster.mirrors[0][0].beside_counts({GONE, 99}) == {GONE}
    erase(cluster)
    for store in stores(cluster):
        assert store.beside_counts({GONE}) == set()
        assert all(each.sealed for each in store.months() if each.workspace == GONE)
    assert shown(cluster, GONE) == shown(cluster, OTHER) == 12
    closed(cluster)
    erase(cluster)
    for store in stores(cluster):
        assert {each.workspace for each in store.months()} == {OTHER}
    assert (shown(cluster, GONE), shown(cluster, OTHER)) == (0, 12)
    mirror = cluster.mirrors[0][0]
    assert {p[0] for name in cluster.names for p in mirror.mirrored_places(name)} == {OTHER}
    # Again there is nothing to do, and nothing is written.
    generations = [cluster.meter(name).store.generation for name in cluster.names]
    for name in cluster.names:
        cluster.meter(name).erase({GONE})
    assert [cluster.meter(name).store.generation for name in cluster.names] == generations


def test_a_partition_that_is_put_back_is_erased_again_and_that_is_no_loss(
    cluster: StagedCluster,
) -> None:
    closed(cluster)
    cluster.keep("facts-0")
    cluster.append(0, 0, [PlainFact(cluster.now_ms + 40 * MS_PER_DAY, OTHER, OTHER, "x", "y")])
    cluster.settle()
    held = cluster.mirrors[0][1].mirror
    held._erased = lambda: {GONE}
    cluster.restore("facts-0")
    cluster.meter("facts-0").erase({GONE})
    cluster.settle()
    assert cluster.noted == []
    erase(cluster)
    assert (shown(cluster, GONE), shown(cluster, OTHER)) == (0, 12)


def test_a_node_that_was_off_meanwhile_hears_that_it_is_erased_with_what_comes_next(
    cluster: StagedCluster,
) -> None:
    closed(cluster)
    (cluster.folder / "mirror1").mkdir()
    cluster.start_mirror()
    cluster.settle()
    off = cluster.mirrors.pop()
    for name in cluster.names:
        cluster.meter(name).erase({GONE})
    cluster.settle()
    # What was published then, nobody reads any more who comes an hour later.
    cluster.now_ms += 3_600_000
    cluster.mirrors.append(off)
    for number in range(8):
        name = f"late {number}"
        fact = PlainFact(cluster.now_ms + 40 * MS_PER_DAY, OTHER, OTHER, name, name)
        cluster.append(0, 0, [fact])
    cluster.settle()
    for store, _ in cluster.mirrors:
        places = [each for name in cluster.names for each in store.mirrored_places(name)]
        assert {each[0] for each in places} == {OTHER}
