"""That it is a day is confirmed in every partition of a cluster, each where its log has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.counting.calendar import MS_PER_DAY
from headcount.stages.sealing_orders import publish_confirmation
from support.oracle import PlainFact
from support.rig import assert_equal_to_oracle
from support.stage_histories import FIRST_DAY
from support.staged_cluster import StagedCluster

TODAY = FIRST_DAY + 10


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[StagedCluster]:
    made = StagedCluster(tmp_path, now_ms=TODAY * MS_PER_DAY, mirrors=2)
    yield made
    made.close()


def live_on(cluster: StagedCluster, day: int, messages: int = 12) -> None:
    begun = len(cluster.plain)
    facts = [
        PlainFact(day * MS_PER_DAY + at, 1, 1, f"m{at}", f"u{at % 5}", None)
        for at in range(begun, begun + messages)
    ]
    cluster.append(0, 0, facts)
    cluster.settle()


def waiting(cluster: StagedCluster) -> int:
    stores = [cluster.meter(name).store for name in cluster.names]
    return sum(each.messages for store in stores for each in store.set_aside())


def test_what_waited_is_counted_everywhere_once_its_day_is_confirmed(
    cluster: StagedCluster,
) -> None:
    live_on(cluster, TODAY)
    live_on(cluster, TODAY + 400)
    assert waiting(cluster) == 12
    cluster.now_ms = (TODAY + 400) * MS_PER_DAY
    publish_confirmation(cluster.server.open(), cluster.names, TODAY + 400)
    cluster.settle()
    assert waiting(cluster) == 0
    for store, _ in cluster.mirrors:
        assert store.state().trusted_day == TODAY + 400
        assert_equal_to_oracle(store, cluster.oracle(), attributed=False)


def test_a_day_that_was_reached_too_early_is_taken_back_on_every_node(
    cluster: StagedCluster,
) -> None:
    cluster.now_ms = (TODAY + 1) * MS_PER_DAY
    live_on(cluster, TODAY + 1)
    assert [store.state().last_metered_day for store, _ in cluster.mirrors] == [TODAY + 1] * 2
    publish_confirmation(cluster.server.open(), cluster.names, TODAY)
    cluster.settle()
    for store, _ in cluster.mirrors:
        state = store.state()
        assert (state.trusted_day, state.last_metered_day) == (TODAY, TODAY)
