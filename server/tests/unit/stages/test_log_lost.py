"""A partition knows when the log has lost what it had counted out of it, and does not forget it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.metrics import API_CALLS, IDENTIFIED
from headcount.errors import StorageUnavailableError
from headcount.stages.counts_less import CountsLess
from headcount.store.protocol import Change
from support.oracle import PlainFact
from support.rig import assert_equal_to_oracle
from support.stage_histories import FIRST_DAY, memory_folder
from support.staged_cluster import StagedCluster


@pytest.fixture
def cluster() -> Iterator[StagedCluster]:
    with TemporaryDirectory(dir=memory_folder()) as folder:
        cluster = StagedCluster(Path(folder), now_ms=FIRST_DAY * MS_PER_DAY, facts=1, keys=1)
        yield cluster
        cluster.close()


def posted(cluster: StagedCluster, first: int) -> list[PlainFact]:
    """Three messages, each counted by itself."""
    facts = []
    for number in range(first, first + 3):
        facts.append(PlainFact(cluster.now_ms, 1, 1, f"m{number}", f"u{number}"))
        cluster.append(0, 0, facts[-1:])
        cluster.settle()
    return facts


def lost_at(cluster: StagedCluster, name: str = "facts-0") -> int:
    return int(cluster.meter(name).log_lost_at_ms)


@pytest.mark.parametrize("wiped", [False, True])
def test_what_the_log_has_lost_is_noticed_whatever_came_since(
    cluster: StagedCluster, wiped: bool
) -> None:
    posted(cluster, 0)
    assert lost_at(cluster) == 0
    if wiped:
        cluster.server.wipe()
        cluster.server.wipe()  # twice is once
    else:
        cluster.server.subject("facts.0").entries.pop()
    # Others publish at once: the numbers that were lost are given again, and passed.
    for each in range(5):
        cluster.server.subject("facts.0").entries.append(cluster.server.stored(b"%d" % each))
    cluster.step()
    noticed_ms = lost_at(cluster)
    assert noticed_ms == cluster.now_ms
    posted(cluster, 3)
    assert lost_at(cluster) == noticed_ms, "it is noticed once"
    cluster.restart("facts-0")
    posted(cluster, 6)
    assert lost_at(cluster) == noticed_ms
    assert_equal_to_oracle(cluster.mirrors[0][0], cluster.oracle(), attributed=False)


def test_what_is_lost_while_a_partition_does_not_run_is_noticed_when_it_does(
    cluster: StagedCluster,
) -> None:
    posted(cluster, 0)
    cluster.stop("facts-0")
    cluster.server.subject("facts.0").entries.pop()
    cluster.server.subject("facts.0").entries.append(cluster.server.stored(b"another"))
    cluster.start("facts-0")
    cluster.step()
    assert lost_at(cluster) > 0


def test_what_a_lost_node_handed_on_after_what_is_nowhere_is_counted(
    cluster: StagedCluster,
) -> None:
    posted(cluster, 0)
    cluster.keep("facts-0")
    lost = posted(cluster, 3)
    cluster.server.wipe()
    posted(cluster, 6)
    cluster.restore("facts-0")
    node = cluster.nodes.pop(0)
    node.close()
    for _ in range(100):
        cluster.step()
    assert cluster.meter("facts-0").chain.lacking() != []
    # Nobody waits for it any more: what it handed on after what the log has lost stands there.
    cluster.meter("facts-0").gone = lambda: {node.name}
    for _ in range(600):
        cluster.step()
    assert cluster.meter("facts-0").chain.lacking() == []
    counted = cluster.meter("facts-0").store.read_usage(1, Period.of_day(FIRST_DAY))
    expected = len(cluster.order["facts-0"]) - len(lost)
    assert int(counted.workspace[:, API_CALLS].sum()) == expected


def test_what_is_old_and_let_go_is_no_loss(cluster: StagedCluster) -> None:
    posted(cluster, 0)
    cluster.server.forget_all()
    posted(cluster, 3)
    cluster.restart("facts-0")
    posted(cluster, 6)
    assert (lost_at(cluster), lost_at(cluster, "keys-0")) == (0, 0)


def test_what_came_with_the_news_of_a_loss_is_counted_though_the_disk_refused_to_note_it(
    cluster: StagedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted(cluster, 0)
    cluster.server.wipe()
    cluster.append(0, 0, [PlainFact(cluster.now_ms, 1, 1, "m9", "u9")])
    meter = cluster.meter("facts-0")
    read: list[int] = []
    monkeypatch.setattr(meter, "_read", lambda entry: read.append(entry.hint))
    with monkeypatch.context() as refusing:

        def refuses(_: object) -> None:
            raise StorageUnavailableError("The disk is full.")

        refusing.setattr(meter.store, "commit", refuses)
        for node in cluster.nodes:
            node.host.step()
        with pytest.raises(StorageUnavailableError):
            meter.step()
    assert read, "the log gives it only once"
    meter.step()
    assert lost_at(cluster) == cluster.now_ms


def test_where_to_go_on_is_behind_an_entry_only_once_all_of_it_is_counted(
    cluster: StagedCluster,
) -> None:
    posted(cluster, 0)
    meter = cluster.meter("facts-0")
    changes: list[Change] = []
    noted = meter.on_committed
    meter.on_committed = lambda change: (changes.append(change), noted(change))
    # Of two months, and so counted one after the other; they come in one entry of the log.
    for number, at_ms in enumerate((cluster.now_ms, cluster.now_ms - 20 * MS_PER_DAY)):
        cluster.append(0, 0, [PlainFact(at_ms, 1, 1, f"n{number}", f"u{number}")])
    cluster.settle()
    places = [each.watermarks["log_hint"] for each in changes if each.positions]
    last = len(cluster.server.subject("facts.0").entries)
    assert places == [last - 1, last]


def test_an_outbox_that_is_replaced_is_waited_for_no_longer(cluster: StagedCluster) -> None:
    posted(cluster, 0)
    held, log = cluster.hosts.pop("keys-0"), cluster.server.subject("keys.0")
    end = len(log.entries)
    cluster.append(0, 0, [PlainFact(cluster.now_ms, 1, 1, "m3", "u3")])
    for _ in range(8):
        cluster.step()
    # What it has handed on last is lost, and its marks are known, when it dies.
    assert len(log.entries) > end
    del log.entries[end:]
    cluster.stop("facts-0")
    cluster.hosts["keys-0"] = held
    for _ in range(16):
        cluster.step()
    chain = cluster.meter("keys-0").chain
    assert len(chain.lacking()) == 1
    cluster.start("facts-0", renewed=True)
    cluster.settle()
    assert_equal_to_oracle(cluster.mirrors[0][0], cluster.oracle(), attributed=False)
    for _ in range(800):
        cluster.step()
    assert (chain.lacking(), chain.gaps(float("inf"))) == ([], [])


def counted(cluster: StagedCluster) -> int:
    usage = cluster.meter("facts-0").store.read_usage(1, Period.of_day(FIRST_DAY))
    return int(usage.workspace[:, API_CALLS].sum())


def test_of_a_lost_node_nothing_is_passed_over_that_the_log_holds_in_another_order(
    cluster: StagedCluster,
) -> None:
    posted(cluster, 0)
    cluster.keep("facts-0")
    lost = posted(cluster, 3)
    cluster.server.wipe()
    earlier = posted(cluster, 6)
    [*stand_earlier] = cluster.server.subject("facts.0").entries
    posted(cluster, 9)
    entries = cluster.server.subject("facts.0").entries
    later = entries[len(stand_earlier) :]
    cluster.restore("facts-0")
    node = cluster.nodes.pop(0)
    node.close()
    # A relay that was put back publishes again what it had: behind what came after it.
    cluster.server.wipe()
    for each in (*later, *stand_earlier):
        cluster.server.subject("facts.0").entries.append(cluster.server.stored(each))
    cluster.meter("facts-0").gone = lambda: {node.name}
    for _ in range(2400):
        cluster.step()
    assert cluster.meter("facts-0").chain.lacking() == []
    assert len(earlier) == len(lost) == 3
    assert counted(cluster) == len(cluster.order["facts-0"]) - len(lost)


def test_what_a_living_node_has_deleted_and_nobody_has_is_waited_for_until_somebody_accepts_it(
    cluster: StagedCluster,
) -> None:
    posted(cluster, 0)
    cluster.keep("facts-0")
    lost = posted(cluster, 3)
    cluster.server.wipe()
    cluster.restore("facts-0")
    [kept] = posted_unsettled(cluster, 6)
    for _ in range(1000):
        cluster.step()
    meter = cluster.meter("facts-0")
    [missing] = cluster.nodes[0].host.relay.standing().lost
    assert (missing.partition, meter.chain.lacking()) == (0, [missing.queue])
    assert counted(cluster) == 3, "whatever comes behind it waits"
    meter.accepted = lambda: {missing.queue: missing.upto - 1}
    for _ in range(600):
        cluster.step()
    assert meter.chain.lacking() == [missing.queue], "no more was accepted"
    meter.accepted = lambda: {missing.queue: missing.upto}
    cluster.settle()
    assert (counted(cluster), meter.chain.lacking()) == (4, [])
    assert cluster.nodes[0].host.relay.standing().lost == []
    assert kept not in lost
    cluster.restart("facts-0")
    posted(cluster, 9)
    assert counted(cluster) == 7


def test_of_ids_too_what_was_handed_on_and_deleted_is_waited_for_until_it_is_accepted(
    cluster: StagedCluster,
) -> None:
    posted(cluster, 0)
    cluster.keep("keys-0")
    posted(cluster, 3)
    for _ in range(40):  # until outboxes have deleted it
        cluster.step()
    cluster.server.wipe()
    cluster.restore("keys-0")
    posted_unsettled(cluster, 6)
    for _ in range(200):
        cluster.step()
    meter, outbox = cluster.meter("keys-0"), cluster.hosts["facts-0"].partitions[0].relay
    assert outbox is not None
    [missing] = outbox.standing().lost
    assert meter.chain.lacking() == [missing.queue]
    meter.accepted = lambda: {missing.queue: missing.upto}
    cluster.settle()
    assert (meter.chain.lacking(), outbox.standing().lost) == ([], [])
    usage = meter.store.read_usage(1, Period.of_day(FIRST_DAY))
    assert int(usage.workspace[:, IDENTIFIED].sum()) == 4
    # The mirror says by how much that is less than it has shown.
    [less] = cluster.noted
    assert isinstance(less, CountsLess)
    assert (less.partition, less.ids) == ("keys-0", 2), "one came since"


def posted_unsettled(cluster: StagedCluster, number: int) -> list[PlainFact]:
    facts = [PlainFact(cluster.now_ms, 1, 1, f"m{number}", f"u{number}")]
    cluster.append(0, 0, facts)
    return facts
