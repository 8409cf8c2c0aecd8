"""Backups of partitions, and which folder a partition is counted on from."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from headcount.cluster.file_births import birth_of
from headcount.cluster.partition_backups import (
    back_up_partition,
    newest_backup,
    place_of_backups,
    restore_partition,
)
from headcount.cluster.partition_folders import PartitionFolder, counted_in
from headcount.cluster.partition_folders import prepared_folder as prepared_folder_of
from headcount.cluster.partition_lives import PartitionLives
from headcount.cluster.placement import Partition
from headcount.errors import DamagedDataError, DataFolderError, EngineAwayError
from headcount.layout import DataFolder
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from headcount.store.view import store_view
from support.memory_registry import MemoryRegistryServer

CLUSTER = "c" * 32
KEYS_1 = Partition("keys", 1)
STORE = "store.sqlite"


@pytest.fixture
def node(tmp_path: Path) -> DataFolder:
    (tmp_path / "node").mkdir()
    return DataFolder(tmp_path / "node")


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"


class Lives:
    """The lives of one node, of which each begins when the former has ended, well or not."""

    def __init__(self) -> None:
        self.server = MemoryRegistryServer()
        self.number = 0
        self.now = self.begun()

    def begun(self) -> PartitionLives:
        self.number += 1
        self.now = PartitionLives(self.server.open, "eu-1", f"life {self.number}")
        self.now.begin()
        return self.now


def prepared_folder(
    node: DataFolder, cluster: str, partition: Partition, epoch: int, backups: Path | None
) -> PartitionFolder:
    """As a node does that begins its first life."""
    return prepared_folder_of(node, cluster, partition, epoch, backups, Lives().now)


def generation(path: Path) -> int:
    """How many transactions a partition's store has seen."""
    with store_view(path / STORE, lambda _: None) as view:
        return view.part.generation


def counted(path: Path, entry: int) -> None:
    """Count up to an entry of a queue, as far as a store shows it."""
    with closing(open_store(path / STORE)) as store:
        store.commit(Change(positions={"a queue": entry}))


def position(path: Path) -> int:
    with closing(open_store(path / STORE)) as store:
        return store.state().positions["a queue"]


class Owned:
    """A partition that one node counts, life after life."""

    def __init__(self, node: DataFolder, backups: Path | None) -> None:
        self.node = node
        self.backups = backups
        self.lives = Lives()
        self.path = node.partitions / str(KEYS_1)

    def opened(self) -> PartitionFolder:
        """As a process that counts it finds it when it begins."""
        lives = self.lives.now
        found = prepared_folder_of(self.node, CLUSTER, KEYS_1, 1, self.backups, lives)
        counted(found.path, position(found.path) if found.path.joinpath(STORE).exists() else 0)
        counted_in(found.path, CLUSTER, 1, lives.run)
        return found

    def ended(self, *, well: bool = True) -> None:
        """The node's life ends, and the next one begins."""
        if well:
            self.lives.now.end({str(KEYS_1): generation(self.path)})
        self.lives.begun()


@pytest.fixture
def owned(node: DataFolder) -> Owned:
    """A partition whose first life counts up to 5."""
    found = Owned(node, None)
    assert not found.opened().renewed
    counted(found.path, 5)
    return found


def test_a_partition_is_counted_on_where_it_was(owned: Owned) -> None:
    assert not owned.opened().renewed, "another process of the same life"
    owned.ended()
    assert not owned.opened().renewed, "the next life"
    assert position(owned.path) == 5


def test_what_a_life_left_that_did_not_end_well_becomes_another_queue(owned: Owned) -> None:
    owned.ended(well=False)
    assert owned.opened().renewed
    assert not owned.opened().renewed, "once"


@pytest.mark.parametrize("ends_well", [True, False])
@pytest.mark.parametrize("copied_in", ["a life before", "this life"])
def test_a_folder_that_was_put_back_becomes_another_queue(
    owned: Owned, tmp_path: Path, copied_in: str, ends_well: bool
) -> None:
    if copied_in == "a life before":
        owned.ended()
    shutil.copytree(owned.path, tmp_path / "copy")
    owned.opened()
    counted(owned.path, 9)
    owned.ended(well=ends_well)
    shutil.rmtree(owned.path)
    shutil.copytree(tmp_path / "copy", owned.path)
    found = owned.opened()
    assert found.renewed
    assert position(found.path) == 5


def test_a_disk_that_was_put_back_becomes_another_queue(owned: Owned, tmp_path: Path) -> None:
    """A snapshot of a disk keeps the numbers of files, and of a moment within one life."""
    kept = {each.name: each.read_bytes() for each in owned.path.iterdir() if each.is_file()}
    counted(owned.path, 9)
    owned.ended()
    for name, content in kept.items():
        with (owned.path / name).open("r+b") as file:
            file.truncate()
            file.write(content)
    assert position(owned.path) == 5
    assert owned.opened().renewed


def test_a_folder_that_is_put_back_while_the_node_runs_becomes_another_queue(
    owned: Owned, tmp_path: Path
) -> None:
    shutil.copytree(owned.path, tmp_path / "copy")
    counted(owned.path, 9)
    shutil.rmtree(owned.path)
    shutil.copytree(tmp_path / "copy", owned.path)
    assert owned.opened().renewed


def test_no_copy_was_born_when_the_original_was(tmp_path: Path) -> None:
    place, copy = tmp_path / "file", tmp_path / "copy"
    place.write_bytes(b"one")
    born = birth_of(place)
    place.write_bytes(b"another")
    assert birth_of(place) == born, "written to"
    shutil.copy2(place, copy)
    # Its number in the file system is often the one that was just given back.
    for _ in range(20):
        place.unlink()
        shutil.copy2(copy, place)
        assert birth_of(place) != born
    with pytest.raises(FileNotFoundError):
        birth_of(tmp_path / "none")


def test_a_folder_that_was_put_back_behind_its_backup_is_made_of_the_backup(
    owned: Owned, tmp_path: Path, backups: Path
) -> None:
    owned.backups = backups
    shutil.copytree(owned.path, tmp_path / "copy")
    counted(owned.path, 9)
    back_up_partition(owned.path, backups, CLUSTER, KEYS_1, 1, 1)
    counted(owned.path, 11)
    owned.ended()
    shutil.rmtree(owned.path)
    shutil.copytree(tmp_path / "copy", owned.path)
    found = owned.opened()
    assert found.renewed
    assert position(found.path) == 9
    # One that only did not end well is newer than its backup.
    counted(owned.path, 12)
    owned.ended(well=False)
    assert owned.opened().renewed
    assert position(owned.path) == 12


def test_nothing_is_sure_where_the_registry_has_forgotten_or_another_version_counted(
    owned: Owned,
) -> None:
    owned.ended()
    owned.lives.server.wipe()
    owned.lives.begun()
    assert owned.opened().renewed
    owned.ended()
    counted_in(owned.path, CLUSTER, 1)
    assert owned.opened().renewed


def test_a_life_begins_only_when_the_registry_knows_of_it(owned: Owned) -> None:
    lives = PartitionLives(owned.lives.server.open, "eu-1", "another life")
    owned.lives.server.away = True
    with pytest.raises(EngineAwayError):
        lives.begin()
    assert not lives.has_begun
    lives.end({})
    owned.lives.server.away = False
    lives.begin()
    assert lives.has_begun


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
    with (Path(made.path) / STORE).open("r+b") as file:
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
    counted(first, 5)
    counted_in(first, "d" * 32, 1)
    with pytest.raises(DamagedDataError, match="in another cluster"):
        prepared_folder(node, CLUSTER, KEYS_1, 1, None)
