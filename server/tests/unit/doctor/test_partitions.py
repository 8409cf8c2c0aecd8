"""Partitions of a cluster's node, as doctor looks at them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from headcount.cluster.overview import ClusterStatus
from headcount.counting.calendar import Period
from headcount.doctor.findings import Level
from headcount.doctor.partitions import check_cluster, check_partitions
from headcount.layout import DataFolder
from headcount.runfiles import write_whole
from headcount.store.opening import open_store
from headcount.store.protocol import Change


def test_a_partition_that_is_damaged_is_named(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert [each.level for each in check_partitions(folder)] == [Level.OK]
    for name in ("facts-0", "keys-3"):
        (folder.partitions / name).mkdir(parents=True)
        with closing(open_store(folder.partitions / name / "store.sqlite")) as store:
            store.commit(Change(imported={(1, Period(24_000)): 5}))
    [whole] = check_partitions(folder)
    assert "2 partitions are whole" in whole.message
    damaged = folder.partitions / "keys-3" / "store.sqlite"
    with closing(sqlite3.connect(damaged)) as database, database:
        database.execute("UPDATE month SET last_import_day = 6")
    found = list(check_partitions(folder))
    assert [each.level for each in found] == [Level.PROBLEM, Level.OK]
    assert "keys-3" in found[0].message
    assert "--backups" in (found[0].remedy or "")


def test_what_the_cluster_waits_for_is_said(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    (tmp_path / "run").mkdir()
    assert "does not see its cluster" in check_cluster(folder, 1_000).message
    status = ClusterStatus("c", "a", 1_000, 900, [], [], [], "Everything is counted.")
    write_whole(folder.cluster_status, status)
    assert check_cluster(folder, 1_500).level == Level.OK
    assert check_cluster(folder, 60_000).level == Level.WARNING
