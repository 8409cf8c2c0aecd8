"""A node that counts dies for good: the other counts on from backups and the log."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from headcount.journal.view import journal_view
from support.cluster_programs import NodeProgram, database_server, eventually, nodes_of_a_cluster
from support.cluster_shop import Shop

# Whole nodes: on a machine that others use as well, everything takes a multiple.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[NodeProgram]]:
    with nodes_of_a_cluster(tmp_path, "a", "b") as found:
        for node in found:
            node.settings["HEADCOUNT_BACKUPS"] = str(tmp_path / "backups")
        yield found


def backed_up(node: NodeProgram) -> bool:
    return all(each["backedUpAt"] is not None for each in node.json_status()["partitions"])


def test_the_other_node_counts_on_and_nothing_is_lost_or_twice(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start()
    b.start("--take-over-after", "4")
    shop.post(a, 200)
    eventually(lambda: shop.is_right(b))
    eventually(lambda: backed_up(a))
    # After the backup: these are in the log alone, once the disk of "a" is gone.
    shop.post(a, 100, again=50)
    shop.post(b, 100, again=50)
    eventually(lambda: shop.is_right(a))
    eventually(lambda: shop.is_right(b))
    a.kill()
    shutil.rmtree(a.data)
    shop.post(b, 100, again=100)
    eventually(lambda: shop.is_right(b), 120)
    shop.post(b, 10, again=100)
    eventually(lambda: shop.is_right(b))
    assert shop.fell == []
    assert {each["node"] for each in b.json_status()["partitions"]} == {"b"}
    done = b.run("cluster", "retire", "a", "--yes")
    assert done.returncode == 0, done.stderr


def test_a_partition_is_moved_while_messages_come(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start()
    b.start()
    shop.post(a, 200)
    eventually(lambda: shop.is_right(b))
    eventually(lambda: backed_up(a))
    shop.post(b, 50, again=20)
    done = a.run("cluster", "move", "facts-0", "keys-1", "--to", "b")
    assert done.returncode == 0, done.stderr
    for _ in range(3):
        shop.post(a, 20, again=20)
        shop.post(b, 20, again=20)
    eventually(lambda: shop.is_right(a), 120)
    eventually(lambda: shop.is_right(b))
    owners = {each["name"]: each["node"] for each in a.json_status()["partitions"]}
    assert owners == {"facts-0": "b", "facts-1": "a", "keys-0": "a", "keys-1": "b"}
    # And back, where an older folder still lies: what was counted elsewhere is taken.
    eventually(lambda: backed_up(a))
    done = b.run("cluster", "move", "keys-1", "--to", "a")
    assert done.returncode == 0, done.stderr
    shop.post(b, 20, again=100)
    eventually(lambda: shop.is_right(b), 120)
    assert shop.fell == []


def test_a_partition_whose_disk_is_put_back_counts_on_without_anybodys_help(
    nodes: list[NodeProgram], tmp_path: Path
) -> None:
    a, _ = nodes
    del a.settings["HEADCOUNT_BACKUPS"]  # the log has it all
    shop = Shop(nodes)
    a.start()
    shop.post(a, 5)
    eventually(lambda: shop.is_right(a))
    a.stop()
    disk = a.data / "partitions" / "facts-0"
    shutil.copytree(disk, tmp_path / "copy")
    a.start()
    for _ in range(3):
        # Apart from one another, so that they are counted in other batches than after.
        shop.post(a, 20, again=5)
        eventually(lambda: shop.is_right(a))
    a.stop()
    shutil.rmtree(disk)
    shutil.copytree(tmp_path / "copy", disk)
    a.start()
    shop.post(a, 20, again=50)
    eventually(lambda: shop.is_right(a))
    assert shop.fell == []


def test_the_one_loss_is_named_and_shows_nothing_smaller(
    nodes: list[NodeProgram], tmp_path: Path
) -> None:
    """A partition's disk and the log are both back at what they were, and nothing is backed up."""
    a, _ = nodes
    del a.settings["HEADCOUNT_BACKUPS"]
    shop = Shop(nodes)
    a.start()
    shop.post(a, 5)
    eventually(lambda: shop.is_right(a))
    a.stop()
    disk = a.data / "partitions" / "facts-0"
    shutil.copytree(disk, tmp_path / "copy")
    a.start()
    shop.post(a, 100)
    eventually(lambda: shop.is_right(a))
    eventually(lambda: all(map(is_empty, (a.data / "journals").glob("*.sqlite"))))
    a.stop()
    shutil.rmtree(disk)
    shutil.copytree(tmp_path / "copy", disk)
    with psycopg.connect(a.address, autocommit=True) as connection:
        connection.execute("DROP TABLE headcount.log, headcount.head")
    a.start()
    shop.post(a, 20)
    lost = "facts-0 lacks messages that this node has handed on and deleted"
    eventually(lambda: lost in a.log.read_text())
    # What the other partition counts is added; what this one has counted stays as it was shown.
    eventually(lambda: shop.read(a)[0] in (200, 503))
    for _ in range(20):
        shop.counted(a)
    assert shop.fell == []
    assert not shop.is_right(a)
    # Nobody has it any more: what comes behind it is counted once somebody says so.
    [name] = eventually(lambda: [each["key"] for each in a.json_status()["mayBeLost"]])
    said = a.run("cluster", "status")
    assert f"let it go on without them: headcount cluster accept-loss {name}" in said.stderr
    asked = a.run("cluster", "accept-loss", name)
    assert asked.returncode != 0, "nobody has said yes"
    assert "facts-0 lacks what it once had of entries" in asked.stderr
    assert a.run("cluster", "accept-loss", name, "--yes").returncode == 0
    eventually(lambda: not a.json_status()["missing"])
    calls, _ = eventually(lambda: shop.counted(a))
    assert 20 <= calls < len(shop.messages)
    less = eventually(lambda: [e for e in a.json_status()["losses"] if not e["acceptedAt"]])
    assert "facts-0 goes on from an older state" in less[0]["sentence"]
    assert a.run("cluster", "status").returncode == 1
    assert a.run("cluster", "accept-loss", "--all", "--yes").returncode == 0
    quiet = a.run("cluster", "status")
    assert (quiet.returncode, quiet.stderr.count("Accepted at ")) == (0, 2)
    shop.post(a, 10)
    eventually(lambda: shop.counted(a) is not None and not a.json_status()["missing"])


def wiped(node: NodeProgram) -> int:
    """The log is wiped, and not the registry; when that was noticed everywhere."""
    with psycopg.connect(node.address, autocommit=True) as connection:
        connection.execute("DROP TABLE headcount.log, headcount.head")
    noticed = eventually(
        lambda: min(each["logLostAt"] for each in node.json_status()["partitions"])
    )
    return int(noticed)


def test_a_node_is_lost_after_the_log_was_wiped_and_nothing_with_it(
    nodes: list[NodeProgram],
) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start()
    b.start()
    shop.post(a, 50)
    eventually(lambda: shop.is_right(b))
    eventually(lambda: backed_up(a))
    shop.post(a, 50)
    eventually(lambda: shop.is_right(b))
    lost_at = wiped(a)
    # Backups are due every ten minutes; now they are at once, and until then that is said.
    eventually(lambda: all(each["backedUpAt"] > lost_at for each in a.json_status()["partitions"]))
    eventually(lambda: a.json_status()["atRisk"] == [])
    a.kill()
    shutil.rmtree(a.data)
    assert b.run("cluster", "takeover", "a", "--to", "b").returncode == 0
    asked = b.run("cluster", "retire", "a")
    assert asked.returncode != 0, "nobody has said yes"
    assert 'Node "a" said last at' in asked.stderr
    assert b.run("cluster", "retire", "a", "--yes").returncode == 0
    shop.post(b, 10, again=100)
    eventually(lambda: shop.is_right(b))
    assert shop.fell == []
    # Nothing was lost; what it might have taken in its last moment stays noted all the same.
    [loss] = eventually(lambda: shop.read(b)[1]["data"].get("losses"))
    assert 'Node "a" was retired at' in loss["message"]


def test_what_is_lost_with_a_node_is_said_before_and_shown_for_ever(
    nodes: list[NodeProgram], tmp_path: Path
) -> None:
    a, b = nodes
    for node in nodes:
        node.settings["HEADCOUNT_PRUNE_AFTER"] = "backup"
    shop = Shop(nodes)
    a.start()
    b.start()
    shop.post(a, 50)
    eventually(lambda: shop.is_right(b))
    eventually(lambda: backed_up(a))
    # From now on nothing can be backed up: what comes stands on a disk and in the log.
    kept = tmp_path / "backups"
    kept.rename(tmp_path / "elsewhere")
    kept.write_text("no folder")
    shop.post(a, 50)
    shop.post(b, 30)
    eventually(lambda: shop.is_right(b))
    shown = shop.counted(b)
    wiped(a)
    [risk] = eventually(lambda: a.json_status()["atRisk"])
    assert "Part with none of them before" in risk
    assert "Part with none of them before" in a.run("cluster", "status").stderr
    a.kill()
    shutil.rmtree(a.data)
    kept.unlink()
    (tmp_path / "elsewhere").rename(kept)
    assert b.run("cluster", "takeover", "a", "--to", "b").returncode == 0
    before = eventually(lambda: b.json_status()["losses"])
    assert any("is counted on from its backup of" in each["sentence"] for each in before)
    for _ in range(20):  # what is shown is older, and no smaller
        shop.counted(b)
    assert shop.fell == []
    asked = b.run("cluster", "retire", "a")
    assert 'What node "a" took then is in its own journals alone' in asked.stderr
    assert b.run("cluster", "retire", "a", "--yes").returncode == 0
    # It is missing, and everybody who reads counts is told so.
    eventually(lambda: shop.counted(b) not in (None, shown))
    found = eventually(lambda: shop.read(b)[1]["data"].get("losses"))
    told = " ".join(each["message"] for each in found)
    assert 'Node "a" was retired at' in told
    assert "lacks" in told
    assert b.run("cluster", "status").returncode == 1
    findings = json.loads(b.run("doctor", "--json").stdout)["findings"]
    assert next(each["level"] for each in findings if each["check"] == "losses") == "warning"


def is_empty(path: Path) -> bool:
    """Whether everything of a journal is handed on, confirmed and deleted."""
    with journal_view(path) as journal:
        return journal.pruned_id == journal.last_id


def test_what_was_acknowledged_by_the_log_outlives_the_disk_of_who_took_it(
    nodes: list[NodeProgram],
) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start()
    b.start("--ack", "log")
    eventually(lambda: shop.counted(a) is not None)
    shop.post(b, 50)
    # The disk of "b" is gone at once: a's partitions have it by the log all the same.
    b.kill()
    shutil.rmtree(b.data)
    done = a.run("cluster", "retire", "b", "--yes")
    assert done.returncode == 0, done.stderr
    eventually(lambda: shop.is_right(a))
    assert shop.fell == []


def test_without_the_log_nothing_is_acknowledged_that_has_to_be_in_it(
    nodes: list[NodeProgram],
) -> None:
    a, _ = nodes
    shop = Shop(nodes)
    a.start("--ack", "log")
    shop.post(a, 10)
    primary = database_server().primary
    primary.kill()
    try:
        assert not shop.is_taken(a)
    finally:
        primary.start()
    eventually(lambda: shop.is_taken(a))
    eventually(lambda: shop.is_right(a))
