"""Doctor says for ever what a cluster has lost, and until when a disk must be kept."""

from __future__ import annotations

from pathlib import Path

from headcount.cluster.losses import LossFolder, NotedLoss
from headcount.cluster.overview import ClusterStatus
from headcount.doctor.findings import Level
from headcount.doctor.loss_notes import check_losses
from headcount.layout import DataFolder
from headcount.runfiles import write_whole


def test_what_is_lost_for_good_is_said_for_ever(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    (tmp_path / "run").mkdir()
    assert list(check_losses(folder, 1_000)) == []
    LossFolder(folder.losses).note(NotedLoss("node-b", 5_000, 1_000, 5_000, "Something is lost."))
    [found] = check_losses(folder, 10**15)
    assert found.level == Level.WARNING
    assert found.message == "Noted at 1970-01-01T00:00:05Z: Something is lost."
    assert found.remedy.endswith("headcount cluster accept-loss node-b")
    seen = NotedLoss("node-b", 5_000, 1_000, 5_000, "Something is lost.", 6_000)
    LossFolder(folder.losses).note(seen)
    [found] = check_losses(folder, 10**15)
    assert (found.level, found.remedy) == (Level.OK, "")
    assert found.message.startswith("Accepted at 1970-01-01T00:00:06Z. Noted at 1970-01-01")
    status = ClusterStatus("c", "a", 1_000, 900, [], [], [], "", at_risk=["Keep that disk."])
    write_whole(folder.cluster_status, status)
    assert [each.message for each in check_losses(folder, 1_500)][1:] == ["Keep that disk."]
