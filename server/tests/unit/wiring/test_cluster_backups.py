"""Partitions whose counts the log has lost are backed up at once, before all others."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing
from pathlib import Path

import pytest

from headcount.clock import now_ms
from headcount.cluster.partition_backups import back_up_partition
from headcount.cluster.placement import Partition
from headcount.layout import DataFolder
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from headcount.troubles import Troubles
from headcount.wiring.cluster_backups import PartitionBackups

CLUSTER = "c" * 32
NAMES = [Partition("facts", 0), Partition("facts", 1), Partition("keys", 0)]
OWNED = dict.fromkeys(NAMES, 1)


def begun(tmp_path: Path, backups: Path) -> PartitionBackups:
    """Backups of three partitions, each of which has one that is good for an hour."""
    folder = DataFolder(tmp_path / "node")
    for each in NAMES:
        place = folder.partition(str(each)).path
        place.mkdir(parents=True)
        with closing(open_store(place / "store.sqlite")) as store:
            store.commit(Change(positions={"a queue": 5}))
        back_up_partition(place, backups, CLUSTER, each, 1, now_ms() - 10_000)
    return PartitionBackups(folder, backups, CLUSTER, 3600, Troubles(None, "test", now_ms))


def looked(found: PartitionBackups, lost: dict[Partition, int]) -> list[Partition]:
    """Which partitions have other backups after a few looks than before."""
    found.look(OWNED)
    before = {each: found.newest(each) for each in NAMES}
    for _ in range(5):
        found.look(OWNED, lost)
        for thread in threading.enumerate():
            if "_back_up" in thread.name:
                thread.join(60)
    return [each for each in NAMES if found.newest(each) != before[each]]


def test_what_the_log_has_lost_is_backed_up_at_once_and_once(tmp_path: Path) -> None:
    found = begun(tmp_path, tmp_path / "backups")
    assert looked(found, {}) == []
    lost_at_ms = now_ms() - 1_000
    lost = {NAMES[1]: lost_at_ms, NAMES[2]: lost_at_ms - 60_000}
    assert looked(found, lost) == [NAMES[1]], "the backup of the last one is from after the loss"
    newest = found.newest(NAMES[1])
    assert newest is not None
    assert newest.taken_at_ms > lost_at_ms
    assert looked(found, lost) == []


def test_a_backup_that_is_gone_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headcount.wiring.cluster_backups._RETRY_S", 0.0)
    found = begun(tmp_path, tmp_path / "backups")
    assert looked(found, {}) == []
    shutil.rmtree(tmp_path / "backups")
    assert looked(found, {}) == NAMES
    assert found.positions(NAMES[0]) == {"a queue": 5}


def test_a_backup_that_fails_is_not_tried_all_the_time(tmp_path: Path) -> None:
    found = begun(tmp_path, tmp_path / "backups")
    store = DataFolder(tmp_path / "node").partition("facts-0").store
    store.write_bytes(b"damaged")
    assert looked(found, {NAMES[0]: now_ms()}) == []
    found.end()
