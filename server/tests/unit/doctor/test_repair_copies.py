"""What a node of a cluster has as copies is made anew, and nothing that it counts is touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from headcount.catalog import Catalog
from headcount.cluster.membership import Membership, MembershipFile
from headcount.cluster.membership_records import ClusterDocument
from headcount.counting.calendar import Period
from headcount.datafolder import DataFolder, load_hash_key, open_data_folder
from headcount.doctor import Level, examine, worst
from headcount.doctor.repair import repair
from headcount.doctor.repair.side import Act
from headcount.integrity import part_faults
from headcount.journal import JournalDirectory
from headcount.store.opening import open_mirror_store
from headcount.store.partition_change import Mirrored
from headcount.store.protocol import Change
from support.small_counts import counts

MONTH = Period(24_000)


@pytest.fixture
def node(tmp_path: Path) -> DataFolder:
    folder = open_data_folder(tmp_path / "node", create=True)
    with Catalog(folder.catalog) as catalog:
        load_hash_key(folder, catalog)
        catalog.add_workspace("Shop", 1)
    MembershipFile(folder.cluster).write(
        Membership(ClusterDocument(1, "c" * 32, 1, 1, "key", 0), "a", "uuid", ["run"])
    )
    with closing(open_mirror_store(folder.store)) as store:
        held = counts(api_calls=3, admitted=3)
        mirrored = Mirrored("facts-0", b"state", {(1, MONTH, 0): held})
        store.commit(Change(counts={(MONTH, 1, 0): held}, mirrored=[mirrored]))
    directory = JournalDirectory(folder.journals)
    with closing(directory.claim()) as journal:
        journal.append(b"", [], 1)
    directory.close()
    return folder


def repaired(node: DataFolder) -> list[Act]:
    return list(repair(node, None, "2026-11-26T000000Z"))


def gone(path: Path) -> None:
    path.unlink()


def other_counts(path: Path) -> None:
    """As a program would that went wrong: the sums are not those of the partitions any more."""
    with closing(open_mirror_store(path)) as store:
        store.commit(Change(counts={(MONTH, 1, 0): counts(admitted=1)}))


def bad_row(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE usage SET counts = zeroblob(1240)")


@pytest.mark.parametrize("damage", [gone, other_counts, bad_row])
def test_sums_that_are_not_right_are_made_anew(
    node: DataFolder, damage: Callable[[Path], None]
) -> None:
    assert repaired(node) == []
    damage(node.store)
    [act] = repaired(node)
    assert "The next start makes it anew of what partitions have counted." in act.what
    assert not act.remedy
    assert not node.store.exists()
    assert part_faults(node.path) == [], "a server may start"
    assert repaired(node) == []
    # What nobody else has is as it was.
    [path] = node.journal_files()
    assert path.stat().st_size
    with closing(open_mirror_store(node.store)) as store:
        assert store.states() == {}


def test_a_missing_catalog_is_copied_anew(node: DataFolder) -> None:
    gone(node.catalog)
    [fault] = part_faults(node.path)
    assert "headcount doctor --repair" in fault.remedy
    [act] = repaired(node)
    assert "copies the cluster's catalog anew" in act.what
    assert part_faults(node.path) == []
    found = {each.check: each for each in examine(node, None, 1_000)}
    assert found["catalog"].message == "This node has no copy of the cluster's catalog."
    assert worst(found.values()) == Level.WARNING


def test_a_single_machine_has_no_copy_of_what_it_counted(node: DataFolder) -> None:
    node.cluster.unlink()
    gone(node.store)
    [act] = repaired(node)
    assert act.remedy
    assert part_faults(node.path)
