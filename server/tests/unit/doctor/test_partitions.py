"""Partitions of a cluster's node, as doctor sees them: read, recounted, damaged on purpose."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from headcount.cluster.membership import Membership
from headcount.cluster.membership_records import ClusterDocument
from headcount.cluster.overview import ClusterStatus
from headcount.cluster.partition_backups import back_up_partition
from headcount.cluster.placement import Partition, Placement
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.keys import MESSAGE, TRACKED, Family, KeyBlock, NewKeys, merged
from headcount.counting.metrics import ADMITTED, API_CALLS, IDENTIFIED, KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.doctor.counts import Recount, check_counts
from headcount.doctor.findings import Finding, Level
from headcount.doctor.partitions import check_backups, check_cluster, check_partitions
from headcount.doctor.sums import check_sums
from headcount.layout import DataFolder
from headcount.runfiles import write_whole
from headcount.sqlite.rows import Ledger
from headcount.store import sql
from headcount.store.joined import JoinedKeys
from headcount.store.opening import open_partition_store
from headcount.store.protocol import Change
from headcount.store.runs import Run
from headcount.store.tables import KEY_BLOCK, MIRRORED, TABLES, USAGE
from headcount.store.view import StoreView, store_view
from support.oracle import PlainFact
from support.stage_histories import FIRST_DAY
from support.staged_cluster import StagedCluster

NOON_MS = FIRST_DAY * MS_PER_DAY + 43_200_000
MONTH = Period.of_day(FIRST_DAY)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two partitions of each stage and a mirror hold of some traffic."""
    folder = tmp_path_factory.mktemp("counted")
    (folder / "cluster").mkdir()
    cluster = StagedCluster(folder / "cluster", now_ms=NOON_MS)
    for number in range(60):
        cluster.now_ms += 1
        fact = PlainFact(
            *(cluster.now_ms, 1 + number % 2, 2 + number % 2, f"m{number % 50}"),
            *(f"u{number % 7}", f"a{number % 11}"),
        )
        cluster.append(number % 2, 0, [fact])
    cluster.settle()
    cluster.close()
    node = DataFolder(folder / "node")
    node.partitions.mkdir(parents=True)
    for name in cluster.names:
        shutil.copytree(cluster.folder / name, node.partitions / name)
    shutil.copy(cluster.folder / "mirror0" / "store.sqlite", node.store)
    return node.path


@pytest.fixture
def node(counted: Path, tmp_path: Path) -> DataFolder:
    shutil.copytree(counted, tmp_path / "node")
    return DataFolder(tmp_path / "node")


def problems(node: DataFolder, membership: Membership | None = None) -> list[Finding]:
    return [each for each in check_partitions(node, membership) if each.level == Level.PROBLEM]


def rewritten(store: Path, change: Callable[[Ledger], None]) -> None:
    """Change rows as a program would that went wrong: with checksums that are right."""
    with closing(apsw.Connection(str(store))) as connection:
        ledger = Ledger(store, connection, TABLES)
        with ledger.transaction():
            change(ledger)
        ledger.close()


def one_more(column: int, *, day: int = 0) -> Counts:
    counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    counts[day, column] = 1
    return counts


def miscounted(store: Path, column: int, *sources: int) -> None:
    with closing(open_partition_store(store)) as opened:
        counts = {(MONTH, 1, source): one_more(column) for source in sources}
        opened.commit(Change(counts=counts))


def test_partitions_that_are_whole_are_recounted_and_it_is_said_what_is_not(
    node: DataFolder,
) -> None:
    [whole] = check_partitions(node)
    assert whole.level == Level.OK
    assert "4 partitions are whole" in whole.message
    assert whole.details["openMonths"] == 4
    # 50 messages; 7 user and 11 anonymous ids, each in two scopes of each of two sources.
    assert whole.details["keys"] == 50 + 2 * 2 * (7 + 11)
    assert "messages and duplicates, which leave no keys" in whole.message


@pytest.mark.parametrize("name", ["facts-0", "facts-1", "keys-0", "keys-1"])
def test_a_count_that_its_keys_do_not_give_is_found(node: DataFolder, name: str) -> None:
    column = API_CALLS if name.startswith("facts") else IDENTIFIED
    # In a source and its workspace: within the counts nothing is wrong.
    miscounted(node.partition(name).store, column, 0, 2)
    if name.startswith("facts"):
        miscounted(node.partition(name).store, ADMITTED, 0, 2)
    [found] = problems(node)
    assert found.details["partition"] == name
    assert found.message.startswith(f"Partition {name}: The counts of 2026-02 are not what its")
    assert "--backups" in found.remedy
    assert "3 partitions are whole" in list(check_partitions(node))[-1].message


def test_counts_that_leave_no_keys_are_held_against_one_another(node: DataFolder) -> None:
    miscounted(node.partition("facts-1").store, ADMITTED, 2)
    [found] = problems(node)
    assert "facts-1: Workspace 1 in 2026-02" in found.message
    assert "messages are not the sum of its sources'" in found.message


def _without_one(ledger: Ledger, family: int) -> None:
    """Take a key out of a block."""
    row = ledger.read(KEY_BLOCK, "WHERE family = ?1 ORDER BY id", (family,))[0]
    width = 10 if family == 0 else 9
    keys, data = row[4], row[5]
    columns = [8, *([1] * (width - 8))]
    starts = np.cumsum([0, *(keys * each for each in columns)]).tolist()
    kept = b"".join(
        data[start : start + (keys - 1) * each]
        for start, each in zip(starts[:-1], columns, strict=True)
    )
    ledger.put(KEY_BLOCK, *row[:4], keys - 1, kept)


@pytest.mark.parametrize(("name", "family"), [("facts-0", 1), ("keys-1", 0)])
@pytest.mark.parametrize("how", ["missing", "one key fewer", "swapped"])
def test_a_key_block_that_is_not_the_one_is_found(
    node: DataFolder, name: str, family: int, how: str
) -> None:
    store = node.partition(name).store
    other = node.partition(name[:-1] + str(1 - int(name[-1]))).store

    def change(ledger: Ledger) -> None:
        first = ledger.read(KEY_BLOCK, "WHERE family = ?1 ORDER BY id", (family,))[0]
        if how == "missing":
            ledger.drop(KEY_BLOCK, "WHERE id = ?1", (first[0],))
        elif how == "one key fewer":
            _without_one(ledger, family)
        else:
            with closing(apsw.Connection(str(other))) as connection:
                others = Ledger(other, connection, TABLES)
                rows = others.read(KEY_BLOCK, "WHERE family = ?1", (family,))
                others.close()
            ledger.drop(KEY_BLOCK, "WHERE family = ?1", (family,))
            for row in rows:
                ledger.add(KEY_BLOCK, *row)

    rewritten(store, change)
    found = problems(node)
    assert [each.details["partition"] for each in found] == [name] * len(found)
    assert found
    assert "are not what its keys give" in found[0].message


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE usage SET counts = zeroblob(1240)",
        "UPDATE key_block SET data = zeroblob(length(data))",
        "DELETE FROM key_block WHERE id = (SELECT min(id) FROM key_block)",
        "DELETE FROM position",
    ],
)
def test_rows_that_are_not_what_was_written_are_found(node: DataFolder, statement: str) -> None:
    with closing(sqlite3.connect(node.partition("keys-1").store)) as database, database:
        database.execute(statement)
    [found] = problems(node)
    assert found.message.startswith("Partition keys-1: ")


def _in_a_run(node: DataFolder, name: str, family: Family) -> Path:
    """Move the keys of a partition into a run file."""
    with closing(open_partition_store(node.partition(name).store)) as store:
        assert store.files is not None
        keys: KeyBlock = merged(list(store.files.blocks(MONTH, family)))
        upto = store.files.newest_block()
        writing = store.files.write_run(
            MONTH, family, [keys], upto, keys=len(keys), replace_existing=False
        )
        for _ in writing:
            pass
    [run] = node.partition(name).keys.iterdir()
    return run


@pytest.mark.parametrize(("name", "family"), [("facts-0", MESSAGE), ("keys-0", TRACKED)])
def test_a_run_that_was_altered_or_is_gone_is_found(
    node: DataFolder, name: str, family: Family
) -> None:
    run = _in_a_run(node, name, family)
    assert not problems(node)
    content = bytearray(run.read_bytes())
    content[len(content) // 2] ^= 1
    run.chmod(0o600)
    run.write_bytes(content)
    [found] = problems(node)
    assert found.message == f"Partition {name}: the checksum of {run.name} is wrong."
    run.unlink()
    [found] = problems(node)
    assert f"Partition {name}: " in found.message
    assert run.name in found.message


def test_what_a_joined_history_left_in_other_partitions_is_known(node: DataFolder) -> None:
    # As after a join: counts of three messages in one partition, their keys in the other.
    joined = JoinedKeys()
    joined.add(MONTH, 2, -3)
    other = JoinedKeys()
    other.add(MONTH, 2, 3)
    for name, beyond in (("facts-0", joined), ("facts-1", other)):
        with closing(open_partition_store(node.partition(name).store)) as store:
            change = Change(watermarks=beyond.watermarks())
            if name == "facts-0":
                three = 3 * (one_more(API_CALLS, day=2) + one_more(ADMITTED, day=2))
                change.counts = {(MONTH, 1, 0): three, (MONTH, 1, 2): three}
            else:
                change.keys = {(MONTH, MESSAGE): messages(2, 5, 6, 7)}
            store.commit(change)
    assert not problems(node)
    # One of them comes again, of an earlier day: here it is taken off a day that has none of it.
    with closing(open_partition_store(node.partition("facts-1").store)) as store:
        earlier = one_more(API_CALLS, day=1) - one_more(API_CALLS, day=2)
        counts = {(MONTH, 1, 0): earlier, (MONTH, 1, 2): earlier}
        store.commit(Change(keys={(MONTH, MESSAGE): messages(1, 6)}, counts=counts))
    assert not problems(node)
    miscounted(node.partition("facts-1").store, API_CALLS, 0, 2)
    [found] = problems(node)
    assert found.details["partition"] == "facts-1"


def test_keys_that_are_let_go_take_along_by_how_many_they_differed(node: DataFolder) -> None:
    store = node.partition("facts-1").store
    joined = JoinedKeys()
    joined.add(MONTH, 2, 3)
    with closing(open_partition_store(store)) as opened:
        # A message that came again, of an earlier day, is taken off a day that has none of it.
        earlier = one_more(API_CALLS, day=1) - one_more(API_CALLS, day=5)
        opened.commit(
            Change(
                watermarks=joined.watermarks(),
                keys={(MONTH, MESSAGE): messages(2, 5, 6, 7)},
                counts={(MONTH, 1, 0): earlier, (MONTH, 1, 2): earlier},
                sealed=[(month.workspace, MONTH) for month in opened.months()],
            )
        )
        opened.drop_keys(MONTH, NOON_MS)
    assert not problems(node)
    # Another workspace brings its history into that month: what is there now is of it alone.
    with closing(open_partition_store(store)) as opened:
        history = one_more(API_CALLS) + one_more(ADMITTED)
        counts = {(MONTH, 9, 0): history, (MONTH, 9, 8): history}
        opened.commit(Change(keys={(MONTH, MESSAGE): messages(0, 77)}, counts=counts))
    assert not problems(node)
    with closing(open_partition_store(store)) as opened:
        counts = {(MONTH, 9, source): one_more(API_CALLS) for source in (0, 8)}
        opened.commit(Change(counts=counts))
    [found] = problems(node)
    assert "2 API calls were counted and 1 keys are there" in found.message


def messages(day: int, *keys: int) -> NewKeys:
    block = KeyBlock(np.array(keys, np.uint64), np.full(len(keys), day, np.uint8))
    nobody = np.zeros(len(keys), np.uint32)
    return NewKeys(block, nobody, nobody, np.zeros(len(keys), np.uint8))


def membership(*, whole_until: int = 0, **owners: str) -> Membership:
    document = ClusterDocument(1, "c" * 32, 2, 2, "key", 0, whole_until)
    placement = Placement().given([], "a")
    for name, owner in owners.items():
        placement = placement.given([Partition.parse(name.replace("_", "-"))], owner)
    return Membership(document, "a", "uuid", ["run"], placement)


def test_where_an_earlier_version_joined_a_history_nobody_says_that_it_was_recounted(
    node: DataFolder,
) -> None:
    [whole] = check_partitions(node, membership(whole_until=MONTH.number))
    assert whole.level == Level.OK
    assert "facts-0, of which an earlier version did not note" in whole.message
    assert whole.message.startswith("2 partitions are whole")
    assert (whole.details["partitions"], whole.details["partitionsNotRecounted"]) == (2, 2)
    assert whole.details["keys"] == 2 * 2 * (7 + 11)
    # Of months after that every partition is recounted.
    [whole] = check_partitions(node, membership(whole_until=MONTH.number - 1))
    assert "earlier version" not in whole.message


def test_a_partition_that_this_node_is_to_count_and_does_not_have_is_named(
    node: DataFolder,
) -> None:
    shutil.rmtree(node.partition("keys-1").path)
    # What a newer backup has replaced is counted by nobody.
    shutil.copytree(node.partition("keys-0").path, node.partitions / "keys-0.former")
    found = list(check_partitions(node, membership(keys_0="a", keys_1="a", facts_0="b")))
    assert [each.level for each in found] == [Level.WARNING, Level.OK]
    assert "This node is to count keys-1, and" in found[0].message
    assert "3 partitions are whole" in found[1].message


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("no number")])
def test_a_partition_that_cannot_be_read_keeps_no_other_from_being_read(
    node: DataFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    mine = membership(facts_0="a", keys_0="a")
    for partition in mine.placement.owned_by("a"):
        place = node.partition(str(partition)).path
        back_up_partition(place, tmp_path / "kept", mine.cluster.id, partition, 1, 1_000)

    def recounted(store: StoreView[Run], *rest: Any) -> Recount:
        if "facts-0" in str(store.path):
            raise error
        return check_counts(store, *rest)

    monkeypatch.setattr("headcount.doctor.partitions.check_counts", recounted)
    wrong, rest = check_partitions(node)
    assert wrong.message.startswith("Partition facts-0: It could not be checked: ")
    assert "3 partitions are whole" in rest.message
    wrong, rest = check_backups(tmp_path / "kept", mine)
    assert wrong.details["partition"] == "facts-0"
    assert "1 newest backup is whole" in rest.message


def test_no_partition_at_all_is_said(tmp_path: Path) -> None:
    assert [each.level for each in check_partitions(DataFolder(tmp_path))] == [Level.OK]


def test_newest_backups_are_recounted_too(node: DataFolder, tmp_path: Path) -> None:
    mine = membership(facts_0="a", keys_0="a", keys_1="b")
    for name in ("facts_0", "keys_0"):
        partition = Partition.parse(name.replace("_", "-"))
        place = node.partition(str(partition)).path
        back_up_partition(place, tmp_path / "kept", mine.cluster.id, partition, 1, 1_000)
    [whole] = check_backups(tmp_path / "kept", mine)
    assert whole.level == Level.OK
    assert "2 newest backups are whole" in whole.message
    # One that was copied from a partition that had miscounted.
    miscounted(node.partition("keys-0").store, IDENTIFIED, 0, 2)
    partition = Partition("keys", 0)
    made = back_up_partition(
        node.partition("keys-0").path, tmp_path / "kept", mine.cluster.id, partition, 1, 2_000
    )
    wrong, rest = check_backups(tmp_path / "kept", mine)
    assert wrong.message.startswith("The newest backup of keys-0: The counts of 2026-02 are not")
    assert made.path in wrong.remedy
    assert "1 newest backup is whole" in rest.message
    (Path(made.path) / "store.sqlite").write_bytes(b"")
    wrong, _ = check_backups(tmp_path / "kept", mine)
    assert "store.sqlite is not what was written" in wrong.message
    found = list(check_backups(tmp_path / "kept", membership(facts_0="a", facts_1="a")))
    assert [each.level for each in found] == [Level.WARNING, Level.OK]
    assert "facts-1 has no backup yet" in found[0].message


def sums(node: DataFolder) -> list[Finding]:
    with store_view(node.store, Run) as store:
        return list(check_sums(store))


def test_what_a_node_shows_is_held_against_its_partitions(node: DataFolder) -> None:
    [fine] = sums(node)
    assert fine.level == Level.OK
    assert fine.details["partitions"] == 4

    def change(ledger: Ledger) -> None:
        row = ledger.read(USAGE, sql.OF_SOURCE, (1, MONTH.number, 2))[0]
        counts = np.frombuffer(row[4], "<i8").copy()
        counts[0] += 1
        ledger.put(USAGE, *row[:4], counts.tobytes())

    rewritten(node.store, change)
    [wrong] = sums(node)
    assert wrong.level == Level.PROBLEM
    assert "source 2 of workspace 1 in 2026-02 is not the sum" in wrong.message


def test_a_partition_that_a_node_lost_from_its_sums_is_found(node: DataFolder) -> None:
    rewritten(node.store, lambda ledger: _drop(ledger, "keys-1"))
    assert {each.level for each in sums(node)} == {Level.PROBLEM}
    with closing(sqlite3.connect(node.store)) as database, database:
        database.execute("UPDATE usage SET revision = 7")
    assert "is damaged" in sums(node)[0].message


def _drop(ledger: Ledger, partition: str) -> None:
    ledger.drop(MIRRORED, "WHERE partition = ?1", (partition,))


def test_what_the_cluster_waits_for_is_said(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    (tmp_path / "run").mkdir()
    assert "does not see its cluster" in check_cluster(folder, 1_000).message
    status = ClusterStatus("c", "a", 1_000, 900, [], [], [], "Everything is counted.")
    write_whole(folder.cluster_status, status)
    assert check_cluster(folder, 1_500).level == Level.OK
    assert check_cluster(folder, 60_000).level == Level.WARNING
