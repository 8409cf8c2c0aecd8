"""A node's part in the control plane: what it refuses, and what it puts right."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from headcount.cluster.control import change_placement, read_cluster, read_placement
from headcount.cluster.membership_records import (
    CLUSTER_FORMAT,
    CLUSTER_KEY,
    PLACEMENT_KEY,
    NodeRecord,
    encoded,
    node_key,
)
from headcount.cluster.placement import LEASE_S, TAKEOVER_LEAST_S, Partition, partitions_of
from headcount.errors import ClusterError, EngineAwayError
from support.cluster_nodes import CLUSTER, ClusterRig

ALL = partitions_of(2, 2)
FACTS_0 = Partition("facts", 0)


@pytest.fixture
def rig(tmp_path: Path) -> ClusterRig:
    return ClusterRig(tmp_path)


def test_a_registry_without_a_cluster_is_named(rig: ClusterRig) -> None:
    rig.server.wipe()
    with pytest.raises(ClusterError, match="There is no cluster"):
        rig.node("a").enter()


def test_a_registry_that_was_wiped_is_told_from_one_that_is_new(rig: ClusterRig) -> None:
    node = rig.node("a")
    node.enter()
    rig.server.wipe()
    with pytest.raises(ClusterError, match="was wiped"):
        node.beat()
    with pytest.raises(ClusterError, match=r"cluster init --again"):
        rig.node("a", run="2").enter()


def test_the_registry_of_another_cluster_is_refused(rig: ClusterRig) -> None:
    node = rig.node("a")
    node.enter()
    other = msgspec.structs.replace(CLUSTER, id="d" * 32)
    rig.server.open().put(CLUSTER_KEY, encoded(other), None)
    with pytest.raises(ClusterError, match=r"is of cluster dddddddd, and this node belongs"):
        node.beat()


def test_a_cluster_of_a_later_version_is_refused(rig: ClusterRig) -> None:
    other = msgspec.structs.replace(CLUSTER, format=CLUSTER_FORMAT + 1)
    rig.server.open().put(CLUSTER_KEY, encoded(other), None)
    with pytest.raises(ClusterError, match="Install the version"):
        rig.node("a").enter()


def test_a_cluster_of_a_former_version_is_upgraded_once_none_of_its_nodes_lives(
    rig: ClusterRig,
) -> None:
    registry = rig.server.open()
    before = encoded(msgspec.structs.replace(CLUSTER, format=CLUSTER_FORMAT - 1))
    registry.put(CLUSTER_KEY, before, None)
    old = msgspec.structs.replace(
        rig.node("old").me, version="0.1", format=CLUSTER_FORMAT - 1, state="serving"
    )
    beats = iter(range(1, 100))

    def lives(seconds: float) -> None:
        rig.passes(seconds)
        said = msgspec.structs.replace(old, beat=next(beats), clock_ms=rig.node("a").clock_ms())
        registry.put(node_key("old"), encoded(said), None)

    lives(0)
    with pytest.raises(ClusterError, match=r'"old" runs Headcount 0\.1, .*does not read format'):
        rig.node("a").control.enter(lives)
    assert read_cluster(registry).format == CLUSTER_FORMAT - 1
    # The engine fails over just then: it lives, and could not say so for ten seconds.
    away_until_s = rig.now_s + 10

    def cannot_say_so(seconds: float) -> None:
        (lives if rig.now_s + seconds > away_until_s else rig.passes)(seconds)

    with pytest.raises(ClusterError, match=r'"old" runs Headcount 0\.1'):
        rig.node("a").control.enter(cannot_say_so)
    assert read_cluster(registry).format == CLUSTER_FORMAT - 1
    began_s, node = rig.now_s, rig.node("a")
    node.enter()
    assert rig.now_s - began_s > 30, "it did not stop well, so it is watched for longer"
    assert read_cluster(registry) == CLUSTER == node.beat().cluster
    # A standby that was promoted late has forgotten it.
    registry.put(CLUSTER_KEY, before, None)
    node.beat()
    assert read_cluster(registry) == CLUSTER


def test_two_folders_cannot_be_one_node(rig: ClusterRig) -> None:
    rig.node("a").enter()
    with pytest.raises(ClusterError, match="with another data folder"):
        rig.node("a", uuid="another").enter()


def test_a_copy_of_a_folder_that_runs_is_refused_and_the_running_one_goes_on(
    rig: ClusterRig,
) -> None:
    node = rig.node("a")
    node.enter()
    node.beat()
    copy = rig.node("a", run="2")
    with pytest.raises(ClusterError, match="runs already"):
        copy.control.enter(lambda seconds: (rig.passes(seconds), node.beat()))
    node.beat()


def test_a_node_that_was_killed_enters_again(rig: ClusterRig) -> None:
    node = rig.node("a")
    node.enter()
    node.beat()
    again = rig.node("a", run="2")
    again.enter()
    again.beat()
    with pytest.raises(ClusterError, match="runs already"):
        node.beat()


def test_a_retired_node_is_refused(rig: ClusterRig) -> None:
    node = rig.node("a")
    node.enter()
    registry = rig.server.open()
    registry.put(node_key("a"), encoded(msgspec.structs.replace(node.me, state="retired")), None)
    with pytest.raises(ClusterError, match="was retired"):
        node.beat()
    with pytest.raises(ClusterError, match="was retired"):
        rig.node("a", run="2").enter()


def test_a_node_whose_clock_is_an_hour_off_does_not_enter(rig: ClusterRig) -> None:
    first = rig.node("a")
    first.enter()
    late = rig.node("b")
    late.clock_off_s = -3600
    with pytest.raises(ClusterError, match=r"3,6\d\d s behind that of \"a\""):
        late.control.enter(lambda seconds: (rig.passes(seconds), first.beat()))
    late.clock_off_s = 2.0
    late.control.enter(lambda seconds: (rig.passes(seconds), first.beat()))


def test_of_two_nodes_the_one_stops_whose_clock_was_set(rig: ClusterRig) -> None:
    nodes = [rig.node("a"), rig.node("b")]
    for node in nodes:
        node.enter()
    for _ in range(3):
        rig.passes(1)
        for node in nodes:
            node.beat()
    nodes[1].clock_off_s = 3600
    rig.passes(1)
    nodes[0].beat()
    with pytest.raises(ClusterError, match=r"3,600 s ahead of"):
        nodes[1].beat()
    rig.passes(1)
    nodes[0].beat()


def test_without_the_registry_the_lease_runs_out(rig: ClusterRig) -> None:
    node = rig.node("a")
    node.enter()
    change_placement(rig.server.open(), lambda there: there.given(ALL, "a"))
    node.beat()
    assert node.leases.owned() == dict.fromkeys(ALL, 1)
    rig.server.away = True
    with pytest.raises(EngineAwayError):
        node.beat()
    rig.passes(LEASE_S - 0.1)
    assert node.leases.owned() == dict.fromkeys(ALL, 1)
    rig.passes(0.2)
    assert node.leases.owned() == {}


def test_a_registry_put_back_to_an_older_moment_is_put_right(rig: ClusterRig) -> None:
    nodes = [rig.node("a"), rig.node("b")]
    for node in nodes:
        node.enter()
    registry = rig.server.open()
    change_placement(registry, lambda there: there.given(ALL, "a"))
    for node in nodes:
        node.beat()
    older = dict(rig.server.values)
    change_placement(registry, lambda there: there.given([FACTS_0], "b"))
    for node in nodes:
        node.beat()
    rig.server.values = older
    for node in nodes:
        node.beat()
    placement, _ = read_placement(registry)
    assert placement.owned_by("b") == {FACTS_0: 2}
    assert FACTS_0 not in nodes[0].beat().owned


def test_silence_is_what_was_seen_and_not_what_was_missed(rig: ClusterRig) -> None:
    nodes = [rig.node("a"), rig.node("b", takes_over=True)]
    for node in nodes:
        node.enter()
    change_placement(rig.server.open(), lambda there: there.given(ALL, "a"))
    nodes[0].beat()
    nodes[1].beat()
    rig.passes(60)
    # It has not looked for a minute: perhaps nobody could, and "a" is about to speak again.
    seen = nodes[1].beat()
    assert nodes[1].control.take_over_due(seen, TAKEOVER_LEAST_S) == []
    nodes[0].beat()
    for _ in range(4):
        rig.passes(1)
        seen = nodes[1].beat()
    assert nodes[1].control.take_over_due(seen, TAKEOVER_LEAST_S) == []
    rig.passes(1)
    seen = nodes[1].beat()
    assert nodes[1].control.take_over_due(seen, TAKEOVER_LEAST_S) == sorted(ALL)
    placement, _ = read_placement(rig.server.open())
    assert placement.owned_by("b") == dict.fromkeys(ALL, 2)


def test_a_registry_that_answers_slowly_does_not_keep_the_dead_alive(rig: ClusterRig) -> None:
    nodes = [rig.node("a"), rig.node("b", takes_over=True)]
    for node in nodes:
        node.enter()
    change_placement(rig.server.open(), lambda there: there.given(ALL, "a"))
    for node in nodes:
        node.beat()
    for _ in range(2):
        rig.passes(6)
        seen = nodes[1].beat()
    assert nodes[1].control.take_over_due(seen, TAKEOVER_LEAST_S) == sorted(ALL)
    # Who was silent for so long has no lease: nobody has to wait for its end once more.
    assert nodes[1].beat().owned == dict.fromkeys(ALL, 2)


def test_whoever_had_it_before_the_dead_keeps_its_lease_until_it_is_over(rig: ClusterRig) -> None:
    nodes = [rig.node("a"), rig.node("b"), rig.node("c", takes_over=True)]
    for node in nodes:
        node.enter()
    change_placement(rig.server.open(), lambda there: there.given(ALL, "a"))
    for _ in range(6):
        rig.passes(1)
        for node in (nodes[0], nodes[2]):
            node.beat()
    # "b" is long dead when it is given what "a" has a lease for.
    change_placement(rig.server.open(), lambda there: there.given(ALL, "b"))
    seen = nodes[2].beat()
    assert nodes[2].control.take_over_due(seen, TAKEOVER_LEAST_S) == sorted(ALL)
    assert nodes[0].leases.owned() == dict.fromkeys(ALL, 1)
    assert nodes[2].beat().owned == {}
    rig.passes(LEASE_S)
    assert nodes[2].beat().owned == dict.fromkeys(ALL, 3)


def test_partitions_of_the_dead_are_shared_among_those_who_take_over(rig: ClusterRig) -> None:
    nodes = [rig.node("a"), rig.node("b", takes_over=True), rig.node("c", takes_over=True)]
    for node in nodes:
        node.enter()
    change_placement(rig.server.open(), lambda there: there.given(ALL, "a"))
    for _ in range(6):
        rig.passes(1)
        seens = [node.beat() for node in nodes[1:]]
    taken = [
        node.control.take_over_due(seen, 4.0) for node, seen in zip(nodes[1:], seens, strict=True)
    ]
    assert sorted(taken[0] + taken[1]) == sorted(ALL)
    assert {len(each) for each in taken} == {2}


def test_what_no_version_wrote_is_refused(rig: ClusterRig) -> None:
    node = rig.node("a")
    node.enter()
    rig.server.open().put(PLACEMENT_KEY, b"[]", None)
    with pytest.raises(Exception, match="cannot read"):
        node.beat()


def test_a_node_says_how_it_does(rig: ClusterRig) -> None:
    node = rig.node("a")
    node.enter()
    node.beat()
    assert isinstance(node.beat().nodes["a"], NodeRecord)
    assert node.beat().nodes["a"].beat == 3
