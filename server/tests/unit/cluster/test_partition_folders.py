"""Backups of partitions, and which folder a partition is counted on from."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from headcount.cluster.partition_backups import (
    back_up_partition,
    newest_backup,
    place_of_backups,
    restore_partition,
)
from headcount.cluster.partition_folders import counted_in, prepared_folder
from headcount.cluster.placement import Partition
from headcount.errors import DamagedDataError, DataFolderError
from headcount.layout import DataFolder
from headcount.store.opening import open_store
from headcount.store.protocol import Change

CLUSTER = "c" * 32
KEYS_1 = Partition("keys", 1)


@pytest.fixture
def node(tmp_path: Path) -> DataFolder:
    (tmp_path / "node").mkdir()
    return DataFolder(tmp_path / "node")


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def counted(path: Path, entry: int) -> None:
    """Count up to an entry of a queue, as far as a store shows it."""
    with closing(open_store(path / "store.sqlite")) as store:
        store.commit(Change(positions={"a queue": entry}))


def position(path: Path) -> int:
    with closing(open_store(path / "store.sqlite")) as store:
        return store.state().positions["a queue"]


def test_a_partition_is_counted_on_where_it_was(node: DataFolder, backups: Path) -> None:
    first = prepared_folder(node, CLUSTER, KEYS_1, 1, backups)
    assert not first.renewed
    counted_in(first.path, CLUSTER, 1)
    counted(first.path, 5)
    again = prepared_folder(node, CLUSTER, KEYS_1, 1, backups)
    assert (again.path, again.renewed) == (first.path, False)


def test_another_node_counts_on_from_the_newest_backup(
    node: DataFolder, backups: Path, tmp_path: Path
) -> None:
    first = prepared_folder(node, CLUSTER, KEYS_1, 1, backups).path
    for entry in (5, 6, 7):
        counted(first, entry)
        made = back_up_partition(first, backups, CLUSTER, KEYS_1, 1, 1000 + entry)
        assert made.positions == {"a queue": entry}
    counted(first, 8)
    assert len(list(place_of_backups(backups, CLUSTER, KEYS_1).iterdir())) == 2
    other = DataFolder(tmp_path / "other")
    other.path.mkdir()
    found = prepared_folder(other, CLUSTER, KEYS_1, 2, backups)
    assert found.renewed, "others may have counted entries of its outbox by the same numbers"
    assert found.from_backup is not None
    assert position(found.path) == 7


def test_who_gets_a_partition_back_takes_what_others_have_counted(
    node: DataFolder, backups: Path, tmp_path: Path
) -> None:
    first = prepared_folder(node, CLUSTER, KEYS_1, 1, backups).path
    counted(first, 5)
    counted_in(first, CLUSTER, 1)
    shutil.copytree(first, tmp_path / "moved")
    counted(tmp_path / "moved", 9)
    back_up_partition(tmp_path / "moved", backups, CLUSTER, KEYS_1, 2, 1)
    found = prepared_folder(node, CLUSTER, KEYS_1, 3, backups)
    assert found.renewed
    assert position(found.path) == 9
    assert position(first.with_name("keys-1.former")) == 5


def test_without_a_newer_backup_what_is_there_is_counted_on(
    node: DataFolder, backups: Path
) -> None:
    first = prepared_folder(node, CLUSTER, KEYS_1, 1, None).path
    counted(first, 4)
    counted_in(first, CLUSTER, 1)
    back_up_partition(first, backups, CLUSTER, KEYS_1, 1, 1)
    counted(first, 5)
    found = prepared_folder(node, CLUSTER, KEYS_1, 3, backups)
    assert found.renewed
    assert position(found.path) == 5, "it is newer than its own backup"


def test_without_what_was_counted_before_nobody_counts_on(node: DataFolder, backups: Path) -> None:
    for place in (None, backups):
        with pytest.raises(DataFolderError, match="by another node before"):
            prepared_folder(node, CLUSTER, KEYS_1, 2, place)


def test_a_folder_that_somebody_has_put_there_is_counted_on(node: DataFolder) -> None:
    node.partitions.mkdir()
    (node.partitions / "keys-1").mkdir()
    counted(node.partitions / "keys-1", 5)
    found = prepared_folder(node, CLUSTER, KEYS_1, 2, None)
    assert found.renewed
    assert position(found.path) == 5


def test_a_backup_that_was_damaged_later_is_refused(
    node: DataFolder, backups: Path, tmp_path: Path
) -> None:
    first = prepared_folder(node, CLUSTER, KEYS_1, 1, backups).path
    counted(first, 5)
    made = back_up_partition(first, backups, CLUSTER, KEYS_1, 1, 1)
    with (Path(made.path) / "store.sqlite").open("r+b") as file:
        file.seek(3000)
        file.write(b"x")
    with pytest.raises(DamagedDataError, match="not what was backed up"):
        restore_partition(made, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_copy_that_was_not_finished_is_no_backup(node: DataFolder, backups: Path) -> None:
    place = place_of_backups(backups, CLUSTER, KEYS_1)
    (place / ".draft-00000001-00000000000001").mkdir(parents=True)
    (place / "00000001-00000000000002").mkdir()
    assert newest_backup(backups, CLUSTER, KEYS_1) is None


def test_a_partition_of_another_cluster_is_not_counted_on(node: DataFolder) -> None:
    first = prepared_folder(node, CLUSTER, KEYS_1, 1, None).path
    counted_in(first, "d" * 32, 1)
    with pytest.raises(DamagedDataError, match="in another cluster"):
        prepared_folder(node, CLUSTER, KEYS_1, 1, None)
