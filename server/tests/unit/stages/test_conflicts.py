"""Conflicting duplicates of a cluster: found where all copies of a message meet, shown as a sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.store.partition_protocol import MirrorStore
from support.oracle import PlainFact
from support.stage_histories import FIRST_DAY
from support.staged_cluster import StagedCluster

NOON_MS = FIRST_DAY * MS_PER_DAY + 43_200_000
MONTH = Period.of_day(FIRST_DAY)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[StagedCluster]:
    made = StagedCluster(tmp_path, now_ms=NOON_MS, facts=3, mirrors=2)
    yield made
    made.close()


def told(store: MirrorStore) -> Counter[tuple[int, int]]:
    """Source and day of the month to its conflicting duplicates."""
    found: Counter[tuple[int, int]] = Counter()
    for each in store.read_usage(1, MONTH).conflicting:
        found[each.source, each.day - MONTH.first_day] += each.messages
    return found


def test_other_messages_under_a_known_id_are_told_whatever_nodes_they_reached(
    cluster: StagedCluster,
) -> None:
    def post(node: int, user: str) -> None:
        cluster.now_ms += 1
        cluster.append(
            node, 0, [PlainFact(cluster.now_ms, 1, 2, f"m{n}", user, None) for n in range(20)]
        )

    post(0, "a")
    cluster.settle()
    post(1, "a")
    cluster.settle()
    assert [told(store) for store, _ in cluster.mirrors] == [{}, {}], "true copies are no conflict"
    post(1, "b")
    post(0, "a")
    cluster.settle()
    # Of several partitions, none of which has them all.
    assert [told(store) for store, _ in cluster.mirrors] == [{(2, 0): 20}] * 2
    cluster.restart_mirrors()
    post(0, "c")
    cluster.settle()
    assert [told(store) for store, _ in cluster.mirrors] == [{(2, 0): 40}] * 2
    reading = cluster.mirrors[0][0].read_usage(1, MONTH)
    assert not reading.rejected, "nor are they rejections"
