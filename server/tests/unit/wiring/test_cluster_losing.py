"""A partition that is made of what is older than a loss of the log is noted, once and for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from headcount.clock import now_ms
from headcount.cluster.losses import LossFolder
from headcount.cluster.overview import ClusterStatus, PartitionStatus
from headcount.layout import DataFolder
from headcount.runfiles import write_whole
from headcount.stages.counts_less import CountsLess
from headcount.troubles import Troubles
from headcount.wiring.cluster_losing import LossWatch, Restored, loss_of_less

BACKUP_MS, LOST_MS = 10_000, 20_000


class Node:
    """A node that owns one partition."""

    def __init__(self, path: Path) -> None:
        (path / "run").mkdir()
        self.folder = DataFolder(path)
        self.troubles = Troubles(None, "test", now_ms)
        self.watch = LossWatch(self.folder, self.troubles)

    def sees(self, *, log_lost_at: int = 0, at_risk: list[str] | None = None) -> None:
        """What the node's own process last saw of the cluster."""
        partition = PartitionStatus("facts-0", "a", 2, None, None, None, "", log_lost_at)
        status = ClusterStatus(
            "c", "a", now_ms(), None, [], [partition], [], "", at_risk=at_risk or []
        )
        assert write_whole(self.folder.cluster_status, status)

    def noted(self, *caught_up: str) -> list[str]:
        self.watch.look(set(caught_up))
        return [each.key for each in LossFolder(self.folder.losses).noted()]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def restored(taken_at_ms: int | None = BACKUP_MS) -> Restored:
    return Restored("facts-0", 2, 0, taken_at_ms, 9_000)


def test_it_is_noted_as_soon_as_the_cluster_is_seen(node: Node) -> None:
    node.watch.opened(restored())
    assert node.noted() == []
    node.sees(log_lost_at=LOST_MS)
    assert node.noted() == [f"before-facts-0-2-{LOST_MS}"]
    assert node.noted("facts-0") == [f"before-facts-0-2-{LOST_MS}"]
    [loss] = LossFolder(node.folder.losses).noted()
    assert (loss.since, loss.until) == (BACKUP_MS, LOST_MS)
    assert "facts-0 is counted on from its backup of 1970-01-01T00:00:10Z" in loss.sentence


def test_what_the_log_loses_while_it_catches_up_is_noted(node: Node) -> None:
    node.watch.opened(restored())
    node.sees()
    assert node.noted() == []
    node.sees(log_lost_at=LOST_MS)
    assert node.noted() == [f"before-facts-0-2-{LOST_MS}"]


def test_what_it_loses_afterwards_is_none(node: Node) -> None:
    node.watch.opened(restored())
    node.sees()
    assert node.noted("facts-0") == []
    node.sees(log_lost_at=LOST_MS)
    assert node.noted() == []


def test_a_folder_that_is_from_after_it_lacks_nothing(node: Node) -> None:
    node.watch.opened(restored(None)._replace(lost_at_ms=LOST_MS))
    node.sees(log_lost_at=LOST_MS)
    assert node.noted() == []


def test_it_is_said_as_long_as_a_disk_must_be_kept(node: Node) -> None:
    node.sees(at_risk=["Keep that disk."])
    node.watch.look(set())
    [trouble] = node.troubles.now()
    assert (trouble.kind, trouble.message) == ("cluster_at_risk", "Keep that disk.")
    assert not trouble.hinders
    node.sees()
    node.watch.look(set())
    assert node.troubles.now() == []


def test_what_sums_lack_is_said_in_words() -> None:
    loss = loss_of_less(CountsLess("facts-0", "abcdefgh-1", 3, 1, 2, 10_000, 20_000), 30_000)
    assert loss.key == "less-facts-0-abcdefgh"
    assert "lacks 3 API calls that were shown and 1 tracked id that was shown" in loss.sentence
    assert "2 journal entries that it had counted" in loss.sentence
