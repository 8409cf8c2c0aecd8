"""Forgetting a person in a cluster of whole nodes on a real PostgreSQL, asked on any of them."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headcount.catalog import Catalog
from support.cluster_programs import (
    NodeProgram,
    database_server,
    eventually,
    nodes_of_a_cluster,
)
from support.cluster_shop import Shop

# Whole nodes: on a machine that others use as well, everything takes a multiple.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[NodeProgram]]:
    with nodes_of_a_cluster(tmp_path, "a", "b") as found:
        found[1].settings["HEADCOUNT_HASH_KEY"] = str(tmp_path / "b.key")
        yield found


def somebody(shop: Shop) -> str:
    return min(shop.users)


def test_any_node_forgets_a_person_everywhere_and_no_total_falls(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start()
    b.start()
    shop.post(a, 100)
    shop.post(b, 100, again=20)
    eventually(lambda: shop.is_right(a) and shop.is_right(b))
    # All partitions are counted by the other node; what was just posted is counted first.
    shop.post(b, 20, again=20)
    done = b.json("forget", "--user-id", somebody(shop))
    assert [(each["id"], each["workspace"], len(each["sourceIds"])) for each in done["found"]] == [
        ("userId", "Shop", 1)
    ]
    assert any("log holds what was handed on for 3 days" in each for each in done["leftElsewhere"])
    eventually(lambda: shop.is_right(a) and shop.is_right(b))
    # Nothing is left of them, and nothing is forgotten twice.
    assert b.json("forget", "--user-id", somebody(shop))["found"] == []
    told = a.json_status()["forgetting"]
    assert [(each["number"], each["node"], each["waitsFor"]) for each in told] == [
        (1, "b", []),
        (2, "b", []),
    ]
    assert "carried out; the log holds" in told[0]["sentence"]
    assert list((b.data / "forgetting").iterdir()) == []
    # Copies of what they sent are duplicates as before; in the sets they are somebody new.
    shop.post(a, 10, again=220)
    expected = shop.expected()
    eventually(lambda: shop.counted(a) == shop.counted(b) == (expected[0], expected[1] + 1))
    assert shop.fell == []
    # And the workspace itself: whoever is told, all partitions and what every node shows.
    b.json("workspace", "delete", "Shop", "--confirm", "Shop", "--now")
    eventually(lambda: is_closed_everywhere(a) and is_closed_everywhere(b), 120)
    # Partitions are told by who reads the registry first, and each node's own copy follows.
    eventually(lambda: names_of_sources(a) == names_of_sources(b) == {"deleted source 1"})
    again = a.run("workspace", "undelete", "Shop")
    assert "no deleted workspace" in again.stderr
    assert a.run("doctor").returncode == b.run("doctor").returncode == 0


def names_of_sources(node: NodeProgram) -> set[str]:
    """The names that a node's copy of the catalog has in the workspace."""
    with Catalog(node.data / "catalog.sqlite", read_only=True) as catalog:
        return {each.name for each in catalog.sources(1)}


def is_closed_everywhere(node: NodeProgram) -> bool:
    """Whether every store of a node is told that the workspace is erased: of months whose keys are
    there yet, that is that nothing comes into them any more."""
    stores = [node.data / "store.sqlite", *node.data.glob("partitions/*/store.sqlite")]
    for path in stores:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            used = store.execute("SELECT count(DISTINCT period) FROM usage").fetchone()
            done = store.execute("SELECT count(*) FROM month WHERE sealed > 0").fetchone()
            if used > done:
                return False
    return True


def test_a_request_outlives_kills_and_an_engine_that_is_away(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start()
    b.start()
    shop.post(a, 100)
    eventually(lambda: shop.is_right(a) and shop.is_right(b))
    ended: list[subprocess.CompletedProcess[str]] = []
    asking = threading.Thread(
        target=lambda: ended.append(b.run("forget", "--user-id", somebody(shop)))
    )
    primary = database_server().primary
    primary.kill()
    try:
        asking.start()
        eventually(lambda: list((b.data / "forgetting").glob("*.json")))
        b.kill()
    finally:
        primary.start()
    asking.join()
    assert ended[0].returncode == 1
    assert 'server of node "b" has stopped' in ended[0].stderr
    assert "Start it: it goes on by itself" in ended[0].stderr
    a.kill()
    a.start()
    b.start()

    def orders() -> Any:
        told = a.json_status().get("forgetting", [])
        return told if told and not told[0]["waitsFor"] else None

    eventually(orders)
    assert b.json("forget", "--user-id", somebody(shop))["found"] == []
    eventually(lambda: shop.is_right(a) and shop.is_right(b))
    assert shop.fell == []


def test_a_node_that_does_not_serve_names_what_to_do(nodes: list[NodeProgram]) -> None:
    a, _ = nodes
    done = a.run("forget", "--user-id", "u")
    assert done.returncode == 2
    assert 'is node "a" of a cluster, and its server does not run' in done.stderr
    assert "run this on a node that serves" in done.stderr
