"""What retiring a node would lose is said before, and noted for ever where it is done."""

from __future__ import annotations

import pytest

from headcount.clock import now_ms
from headcount.cluster.losses import NotedLoss, put_loss, read_losses
from headcount.cluster.membership_records import (
    CLUSTER_FORMAT,
    CLUSTER_KEY,
    PLACEMENT_KEY,
    ClusterDocument,
    NodeRecord,
    PartitionReport,
    decoded,
    encoded,
    node_key,
)
from headcount.cluster.placement import Partition, Placement, partitions_of
from headcount.engines import Registry
from headcount.errors import UsageError
from headcount.terminal import moment_text
from headcount.wiring.cluster_placing import move, watched
from headcount.wiring.cluster_retiring import retire, retirement
from support.memory_registry import MemoryRegistryServer

SAID_AT_MS = 1_790_000_000_000
UNTIL_MS = SAID_AT_MS - 2_000


@pytest.fixture
def registry() -> Registry:
    registry = MemoryRegistryServer().open()
    registry.put(CLUSTER_KEY, encoded(ClusterDocument(CLUSTER_FORMAT, "c" * 32, 1, 1, "", 0)), 0)
    registry.put(PLACEMENT_KEY, encoded(Placement().given(partitions_of(1, 1), "a")), 0)
    return registry


def says(registry: Registry, **said: object) -> None:
    """What the node that is to go said last."""
    record = NodeRecord(
        "b", "u", "1", "1.0", CLUSTER_FORMAT, "", "", SAID_AT_MS, until_ms=UNTIL_MS, **said
    )  # type: ignore[arg-type]
    registry.put(node_key("b"), encoded(record), None)


def would_lose(registry: Registry) -> list[str]:
    return retirement(registry, "b", lambda _: None).would_lose


def test_a_node_that_stopped_when_all_was_handed_on_loses_nothing(registry: Registry) -> None:
    says(registry, state="stopped", unsent=0)
    found = retirement(registry, "b", lambda _: None)
    assert found.would_lose == []
    retire(registry, found)
    assert read_losses(registry).noted == []
    there = registry.get(node_key("b"))
    assert there is not None
    assert decoded(there.value, NodeRecord).state == "retired"


def test_what_a_node_had_not_handed_on_is_said_and_stays_noted(registry: Registry) -> None:
    says(registry, unsent=0)
    [said] = would_lose(registry)
    assert f"had handed on what it took until {moment_text(UNTIL_MS)}" in said
    retire(registry, retirement(registry, "b", lambda _: None))
    [loss] = read_losses(registry).noted
    assert (loss.key, loss.since) == ("node-b", UNTIL_MS)
    assert said in loss.sentence
    status = watched(registry, 0, lambda _: None).status
    assert status.losses == [loss]
    # Again, it loses nothing more.
    again = retirement(registry, "b", lambda _: None)
    assert again.would_lose == []
    retire(registry, again)
    assert read_losses(registry).noted == [loss]


def test_what_lies_in_the_journals_of_one_that_was_stopped_is_counted(registry: Registry) -> None:
    says(registry, state="stopped", unsent=12)
    assert would_lose(registry) == ['12 entries are in the journals of node "b" not handed on.']


def test_who_answers_only_when_the_log_has_it_loses_nothing(registry: Registry) -> None:
    says(registry, acknowledges_in_log=True)
    assert would_lose(registry) == []


def test_what_waited_before_it_answered_with_the_log_is_said(registry: Registry) -> None:
    says(registry, acknowledges_in_log=True, unsent=3)
    assert len(would_lose(registry)) == 1


def test_a_node_that_came_back_while_somebody_thought_it_over_stays(registry: Registry) -> None:
    says(registry, unsent=0)
    found = retirement(registry, "b", lambda _: None)
    says(registry, unsent=7, beat=1)
    with pytest.raises(UsageError, match='"b" has come back meanwhile'):
        retire(registry, found)
    assert read_losses(registry).noted == []
    there = registry.get(node_key("b"))
    assert there is not None
    assert decoded(there.value, NodeRecord).state != "retired"


def test_what_it_had_handed_on_and_the_log_lost_is_said(registry: Registry) -> None:
    says(registry, acknowledges_in_log=True)
    before = NotedLoss("before-facts-0-2-9", SAID_AT_MS - 1, 1, 9, "facts-0 of before.")
    put_loss(registry, before)
    assert would_lose(registry) == [], "the node was there, and handed on again what it had"
    put_loss(registry, NotedLoss("before-facts-0-3-9", SAID_AT_MS + 1, 5, 9, "facts-0 is older."))
    [said] = would_lose(registry)
    assert said.startswith('facts-0 is older. What node "b" took then is in its own journals alone')
    retire(registry, retirement(registry, "b", lambda _: None))
    assert read_losses(registry).noted[-1].since == 5


def test_what_is_at_risk_is_said_as_long_as_journals_may_be_needed(registry: Registry) -> None:
    says(registry, acknowledges_in_log=True)
    registry.put("log_lost", b'{"facts-0": %d}' % now_ms(), 0)
    [said] = would_lose(registry)
    assert 'facts-0 (node "a")' in said


def test_no_partition_is_moved_away_from_the_only_disk_that_has_it(registry: Registry) -> None:
    def lives(_: float) -> None:
        says(registry)

    says(registry)
    reports = {n: PartitionReport(1, backed_up_at_ms=UNTIL_MS) for n in ("facts-0", "keys-0")}
    record = NodeRecord(
        "a", "v", "1", "1.0", CLUSTER_FORMAT, "", "", SAID_AT_MS, partitions=reports
    )
    registry.put(node_key("a"), encoded(record), 0)
    registry.put("log_lost", b'{"facts-0": %d}' % (UNTIL_MS + 1), 0)
    with pytest.raises(UsageError, match="no backup of facts-0, since the log lost what it had"):
        move(registry, [Partition("facts", 0)], "b", pause=lives)
    assert move(registry, [Partition("keys", 0)], "b", pause=lives).owners["keys-0"].node == "b"
    registry.put("log_lost", b'{"facts-0": %d}' % (UNTIL_MS - 1), None)
    assert move(registry, [Partition("facts", 0)], "b", pause=lives).owners["facts-0"].node == "b"


def test_who_counts_something_stays(registry: Registry) -> None:
    says(registry)
    registry.put(PLACEMENT_KEY, encoded(Placement().given(partitions_of(1, 1), "b")), None)
    with pytest.raises(UsageError, match="counts 2 partitions"):
        would_lose(registry)
