"""How a cluster does, in words that say what is missing and what to type."""

from __future__ import annotations

from headcount.cluster.membership_records import ClusterDocument, NodeRecord, PartitionReport
from headcount.cluster.overview import ClusterStatus, status_of
from headcount.cluster.placement import Ownership, Placement, names_of, partitions_of

NOW_MS = 1_700_000_000_000
CLUSTER = ClusterDocument(1, "c" * 32, 16, 16, "key", 0)
ALL = partitions_of(16, 16)


def node(name: str, said: str = "", state: str = "serving") -> NodeRecord:
    reports = {str(each): PartitionReport(1, NOW_MS, said) for each in ALL}
    return NodeRecord(
        *(name, "uuid", "run", "1.0", 1, "http://t", "http://a", NOW_MS),
        state=state,
        partitions=reports,
        until_ms=NOW_MS,
    )


def status(placement: Placement, *nodes: NodeRecord, silent_s: float = 0.0) -> ClusterStatus:
    by_name = {each.name: each for each in nodes}
    return status_of(CLUSTER, by_name, dict.fromkeys(by_name, silent_s), placement, NOW_MS)


def test_many_partitions_are_named_shortly() -> None:
    assert names_of(["keys-3", "facts-2", "facts-0", "facts-1"]) == "facts-0 to facts-2, keys-3"
    assert names_of(["facts-10", "facts-9", "eu-1"]) == "facts-9, facts-10, eu-1"
    assert names_of(ALL) == "facts-0 to facts-15, keys-0 to keys-15"
    assert names_of([]) == ""


def test_who_is_waited_for_is_said_once_with_what_to_type() -> None:
    placement = Placement().given(ALL, "eu-1")
    [waits] = status(placement).missing
    assert waits == (
        'Partitions facts-0 to facts-15, keys-0 to keys-15, each: waits for node "eu-1", which has'
        " never served: start it there with headcount serve --node eu-1."
    )
    [_, waits] = status(placement, node("eu-1"), silent_s=30.0).missing
    assert "is silent: start it, or headcount cluster takeover eu-1 --to NODE." in waits
    [nobody] = status(
        Placement({str(e): Ownership("eu-1", 1) for e in ALL[1:]}), node("eu-1")
    ).missing
    assert nobody == "Nobody counts facts-0: headcount cluster place facts-0 --to NODE"


def test_what_an_owner_says_of_a_partition_is_a_sentence() -> None:
    placement = Placement().given(ALL, "eu-1")
    late = NOW_MS + 60_000
    by_name = {"eu-1": node("eu-1", "It waits for what eu-2 has taken.")}
    said = status_of(CLUSTER, by_name, {"eu-1": 0.0}, placement, late).missing
    assert any(each.endswith("each: waits for what eu-2 has taken.") for each in said)
    by_name = {"eu-1": node("eu-1", "keys-1 was counted by another node before.")}
    said = status_of(CLUSTER, by_name, {"eu-1": 0.0}, placement, late).missing
    assert any(
        each.endswith("each: waits: keys-1 was counted by another node before.") for each in said
    )
