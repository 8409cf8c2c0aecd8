"""Closing months in a cluster: decided once, carried out where each log has it, last in stage 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from headcount.counting.aside import AsideReason
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.sealing import OPEN_DAYS
from headcount.stages.packs import PartitionOrder, PartitionOrderKind
from headcount.stages.sealing_orders import publish_orders, seal_orders
from headcount.store.protocol import Month
from support.memory_log import LogFaults
from support.oracle import PlainFact
from support.rig import assert_equal_to_oracle
from support.stage_histories import memory_folder
from support.staged_cluster import StagedCluster

JANUARY = parse_period("2026-01-01")
DUE = JANUARY.last_day + OPEN_DAYS + 1


def fact(number: int, day: int, user: str = "u") -> PlainFact:
    source = 1 + number % 3
    return PlainFact(day * MS_PER_DAY + number, 1, source, f"m{number}", f"{user}{number % 7}")


@pytest.fixture
def cluster() -> Iterator[StagedCluster]:
    with TemporaryDirectory(dir=memory_folder()) as folder:
        cluster = StagedCluster(
            Path(folder), now_ms=JANUARY.first_day * MS_PER_DAY, facts=2, keys=2
        )
        yield cluster
        cluster.close()


def lives_until(cluster: StagedCluster, day: int) -> None:
    """Live messages every other day, so that the clock is trusted."""
    for each in range(cluster.now_ms // MS_PER_DAY, day + 1, 2):
        cluster.now_ms = max(cluster.now_ms, each * MS_PER_DAY)
        cluster.append(0, 0, [fact(each * 10 + n, each) for n in range(6)])
        cluster.step()
    cluster.now_ms = max(cluster.now_ms, day * MS_PER_DAY)
    cluster.settle()


def decided(cluster: StagedCluster) -> dict[str, list[PartitionOrder]]:
    store, host = cluster.mirrors[0]
    state = store.state()
    day = state.counted_until_ms // MS_PER_DAY
    return seal_orders(store.months(), state.trusted_day, day, host.mirror.sealed_by())


def closed_in(cluster: StagedCluster) -> list[str]:
    """The partitions in which January of the workspace is closed, also after a restart."""
    for name in cluster.names:
        cluster.restart(name)
    return [
        name
        for name in cluster.names
        if cluster.meter(name).committing.sealing.is_sealed(1, JANUARY)
        and (1, JANUARY) in cluster.meter(name).store.sealed()
    ]


def test_a_month_is_closed_in_all_partitions_once_it_is_due(cluster: StagedCluster) -> None:
    lives_until(cluster, DUE - 1)
    assert decided(cluster) == {}
    lives_until(cluster, DUE)
    orders = decided(cluster)
    assert orders.keys() == {"facts-0", "facts-1"}
    # Stage 2 closes it when it has come from all of stage 1, and not before.
    publish_orders(cluster.server.open(), {"facts-0": orders["facts-0"]})
    cluster.settle()
    assert closed_in(cluster) == ["facts-0"]
    cluster.settle()
    # What is not done yet is told again, to whom it is to be told.
    assert decided(cluster).keys() == {"facts-1"}
    publish_orders(cluster.server.open(), decided(cluster))
    cluster.settle()
    assert closed_in(cluster) == cluster.names
    cluster.settle()
    assert decided(cluster) == {}
    before = cluster.oracle()
    late = [fact(900_000 + n, JANUARY.first_day + 3, "late") for n in range(8)]
    cluster.append(1, 1, late)
    cluster.settle()
    aside = sum(
        each.messages
        for name in ("facts-0", "facts-1")
        for each in cluster.meter(name).store.set_aside()
        if each.reason == AsideReason.SEALED
    )
    assert aside == len(late)
    for store, _ in cluster.mirrors:
        assert_equal_to_oracle(store, before, attributed=False)
        assert [m.sealed for m in store.months() if m.period == JANUARY] == [True]


def test_a_month_is_closed_by_more_partitions_than_an_integer_has_bits() -> None:
    with TemporaryDirectory(dir=memory_folder()) as folder:
        start_ms = JANUARY.first_day * MS_PER_DAY
        cluster = StagedCluster(Path(folder), now_ms=start_ms, facts=65, keys=1, nodes=1)
        lives_until(cluster, JANUARY.first_day + 1)
        cluster.now_ms = DUE * MS_PER_DAY
        lives_until(cluster, DUE)
        publish_orders(cluster.server.open(), decided(cluster))
        cluster.settle()
        assert closed_in(cluster) == cluster.names
        cluster.close()


def test_a_partition_that_was_put_back_closes_again_and_sends_nothing_twice(
    cluster: StagedCluster,
) -> None:
    lives_until(cluster, DUE)
    cluster.keep("facts-0")
    cluster.settle()
    publish_orders(cluster.server.open(), decided(cluster))
    cluster.settle()
    before = cluster.oracle()
    cluster.faults(LogFaults(repeated=0.3, late=0.3))
    cluster.restore("facts-0")
    for _ in range(5):
        cluster.step()
    cluster.settle()
    assert closed_in(cluster) == cluster.names
    cluster.settle()
    for store, _ in cluster.mirrors:
        assert_equal_to_oracle(store, before, attributed=False)


def test_what_was_imported_since_it_was_decided_keeps_a_month_open(cluster: StagedCluster) -> None:
    lives_until(cluster, DUE)
    orders = decided(cluster)
    imported = [
        PlainFact((JANUARY.first_day + 5) * MS_PER_DAY, 1, 1, f"i{n}", "x", imported=True)
        for n in range(12)
    ]
    cluster.append(0, 1, imported)
    cluster.settle()
    publish_orders(cluster.server.open(), orders)
    cluster.settle()
    assert closed_in(cluster) == []


def test_what_waits_is_counted_where_the_log_says_that_the_day_is_right(
    cluster: StagedCluster,
) -> None:
    lives_until(cluster, JANUARY.first_day + 4)
    day = JANUARY.first_day + 4 + 200  # after more than half a year without a message
    cluster.now_ms = day * MS_PER_DAY
    cluster.append(0, 0, [fact(800_000 + n, day) for n in range(9)])
    cluster.settle()
    store, _ = cluster.mirrors[0]
    month = Period.of_day(day)
    assert store.read_usage(1, month).workspace.sum() == 0
    order = PartitionOrder(PartitionOrderKind.CONFIRM, day)
    publish_orders(cluster.server.open(), {"facts-0": [order], "facts-1": [order]})
    cluster.settle()
    for mirrored, _ in cluster.mirrors:
        assert_equal_to_oracle(mirrored, cluster.oracle(), attributed=False)
    assert store.read_usage(1, month).workspace.sum() > 0


def test_nothing_is_closed_by_a_clock_that_is_not_trusted() -> None:
    month = Month(1, JANUARY, None, sealed=False)
    sealed_by: dict[str, set[tuple[int, int]]] = {"facts-0": set(), "keys-0": set()}
    assert seal_orders([month], None, DUE, sealed_by) == {}
    assert seal_orders([month], DUE - 3, DUE, sealed_by) == {}
    assert seal_orders([month], DUE - 2, DUE, sealed_by) == {
        "facts-0": [PartitionOrder(PartitionOrderKind.SEAL, DUE, 1, JANUARY.number)]
    }
