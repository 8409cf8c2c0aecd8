"""What an operator does with a cluster of whole nodes on a real PostgreSQL: history is imported on
any node, the clock is confirmed for all, and journals wait for backups where that is wanted.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import psycopg
import pytest

from support.cluster_programs import NodeProgram, eventually, nodes_of_a_cluster
from support.cluster_shop import Shop

# Whole nodes: on a machine that others use as well, everything takes a multiple.
pytestmark = pytest.mark.timeout(1200)

MANY = ("--rate-limit-per-minute", "100000")
JANUARY = "2026-01-15T10:00:00Z"


def imported(node: NodeProgram, shop: Shop) -> tuple[int, int]:
    """API calls and identified users of the month that was imported, as a node shows them."""
    url = f"{node.where['api']}/headcount/v1/summary?period=2026-01-01"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {shop.token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        totals = json.loads(answer.read())["data"]["month"]["totals"]
    return totals["apiCalls"], totals["identified"]


def test_history_is_imported_and_the_clock_confirmed_on_any_node(tmp_path: Path) -> None:
    with nodes_of_a_cluster(tmp_path, "a", "b") as (a, b):
        b.settings["HEADCOUNT_HASH_KEY"] = str(tmp_path / "b.key")
        shop = Shop([a, b])
        past = tmp_path / "past.jsonl"
        with past.open("w") as file:
            for at in range(500):
                line = {"type": "page", "userId": f"p{at % 50}", "messageId": f"p{at}"}
                file.write(json.dumps(line | {"receivedAt": JANUARY}) + "\n")
        command = ("import", str(past), "--workspace", "Shop", "--source", "web")
        a.start(*MANY)
        b.start(*MANY)
        eventually(lambda: shop.read(a)[0] == shop.read(b)[0] == 200)
        assert b.json(*command)["admitted"] == 500
        # It has returned: this node shows all of it, though the other one counts it.
        assert imported(b, shop) == (500, 50)
        assert b.json(*command)["admitted"] == 500
        assert imported(b, shop) == (500, 50)
        eventually(lambda: imported(a, shop) == (500, 50))
        told = b.run("doctor", "--confirm-clock")
        assert "All partitions are told that today is" in told.stderr
        assert "The clock is confirmed." in told.stderr
        b.stop()
        refused = b.run(*command)
        assert refused.returncode == 2
        assert "its server does not run: it is what hands what is read on" in refused.stderr
        unnamed = b.run("doctor", "--confirm-clock", HEADCOUNT_CLUSTER="")
        assert unnamed.returncode == 2
        assert "Name the cluster with HEADCOUNT_CLUSTER" in unnamed.stderr


def test_where_journals_wait_for_backups_a_disk_and_the_log_may_be_lost_together(
    tmp_path: Path,
) -> None:
    with nodes_of_a_cluster(tmp_path, "a") as (a,):
        a.settings["HEADCOUNT_BACKUPS"] = str(tmp_path / "backups")
        shop = Shop([a])
        a.start("--prune-after", "backup", *MANY)
        eventually(lambda: all(each["backedUpAt"] for each in a.json_status()["partitions"]))
        # The next backups are ten minutes away: of this they know nothing.
        shop.post(a, 200, again=50)
        eventually(lambda: shop.is_right(a))
        a.stop()
        shutil.rmtree(a.data / "partitions")
        with psycopg.connect(a.address) as database:
            database.execute("TRUNCATE headcount.log, headcount.head")
        a.start("--prune-after", "backup", *MANY)
        shop.post(a, 10)
        eventually(lambda: shop.is_right(a))
        assert shop.fell == []


def test_a_nodes_folder_is_not_copied_as_if_a_server_could_go_on_there(tmp_path: Path) -> None:
    with nodes_of_a_cluster(tmp_path, "a") as (a,):
        shop = Shop([a])
        a.start(*MANY)
        shop.post(a, 20)
        eventually(lambda: shop.is_right(a))
        refused = a.run("backup", str(tmp_path / "copy"))
        assert refused.returncode == 2
        assert "is a node of a cluster" in refused.stderr
        assert "--backups DIR" in refused.stderr
        assert not (tmp_path / "copy").exists()
