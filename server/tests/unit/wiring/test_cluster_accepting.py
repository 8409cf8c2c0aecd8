"""A loss is accepted by its name; what may come yet is so only where it is named."""

from __future__ import annotations

import msgspec
import pytest

from headcount.cluster.losses import NotedLoss, read_losses
from headcount.cluster.membership_records import MissingEntries
from headcount.cluster.overview import ClusterStatus
from headcount.errors import UsageError
from headcount.wiring.cluster_accepting import accept, acceptable
from support.memory_registry import MemoryRegistryServer

NOTED = NotedLoss("node-b", 2_000, 1_000, 2_000, "It is lost.")
SEEN = msgspec.structs.replace(NOTED, key="node-c", accepted_at=3_000)
OPEN = msgspec.structs.replace(
    NOTED, key="entries-facts-0-q-7", entries=MissingEntries("facts-0", "q", 3, 7)
)
FOUND = ClusterStatus(
    "c", "a", 9_000, None, [], [], [], "", losses=[NOTED, SEEN], may_be_lost=[OPEN]
)


def test_all_are_those_that_are_noted_and_not_what_may_come_yet() -> None:
    assert acceptable(FOUND, None) == [NOTED]
    assert acceptable(FOUND, ["node-b", OPEN.key, "node-c", "node-b"]) == [NOTED, OPEN]
    with pytest.raises(UsageError, match='There is no loss "node-d"') as refused:
        acceptable(FOUND, ["node-d"])
    assert refused.value.remedy == "To be accepted are: entries-facts-0-q-7, node-b."


def test_what_is_accepted_is_noted_with_its_moment() -> None:
    registry = MemoryRegistryServer().open()
    moment = accept(registry, [NOTED, OPEN])
    noted = read_losses(registry).noted
    assert {each.key for each in noted} == {NOTED.key, OPEN.key}
    assert {each.accepted_at for each in noted} == {moment}
    assert [each.entries for each in noted if each.key == OPEN.key] == [OPEN.entries]
