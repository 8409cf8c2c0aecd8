"""Two nodes of a cluster as whole servers on a real PostgreSQL: what either takes, both show."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.cluster_programs import NodeProgram, database_server, eventually, nodes_of_a_cluster
from support.cluster_shop import Shop

# Whole nodes: on a machine that others use as well, everything takes a multiple.
pytestmark = pytest.mark.timeout(1200)

MANY = ("--rate-limit-per-minute", "100000")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[NodeProgram]]:
    with nodes_of_a_cluster(tmp_path, "a", "b") as found:
        yield found


def kill_children(node: NodeProgram, *roles: str) -> None:
    """End processes of a server as the system would."""
    assert node._server is not None
    for child in psutil.Process(node._server.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.cmdline()[-1] in roles:
                child.kill()


def test_what_either_node_takes_both_show(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start(*MANY)
    b.start(*MANY)
    eventually(lambda: shop.read(a)[0] == shop.read(b)[0] == 200)
    shop.post(a, 30)
    shop.post(b, 30, again=20)
    eventually(lambda: shop.is_right(a) and shop.is_right(b))
    # Whatever ends begins again, and nothing is counted twice or not at all.
    for roles in (("relay",), ("partitions",), ("mirror", "node"), ("intake", "api")):
        kill_children(a, *roles)
        kill_children(b, *roles)
        shop.post(a, 10, again=10)
        shop.post(b, 10, again=10)
        eventually(lambda: shop.is_right(a) and shop.is_right(b))
    assert shop.fell == []


def test_while_the_log_is_away_reads_are_old_and_right_and_then_complete(
    nodes: list[NodeProgram],
) -> None:
    a, b = nodes
    shop = Shop(nodes)
    a.start(*MANY)
    b.start(*MANY)
    eventually(lambda: shop.read(a)[0] == shop.read(b)[0] == 200)
    shop.post(a, 20)
    eventually(lambda: shop.is_right(a) and shop.is_right(b))
    before = shop.expected()
    primary = database_server().primary
    primary.kill()
    try:
        shop.post(a, 20, again=5)
        shop.post(b, 20, again=5)
        eventually(lambda: "log cannot be asked" in _ready(a))
        assert (shop.counted(a), shop.counted(b)) == (before, before)
    finally:
        primary.start()
    eventually(lambda: shop.is_right(a) and shop.is_right(b))
    assert shop.fell == []


def test_a_node_reads_nothing_before_all_partitions_are_there(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    shop = Shop(nodes)
    b.start(*MANY)  # all partitions are the other's, who does not serve yet
    eventually(lambda: "have counted is not here yet" in _ready(b))
    assert shop.read(b)[0] == 503
    a.start(*MANY)
    shop.post(b, 10)
    eventually(lambda: shop.is_right(b))


def _ready(node: NodeProgram) -> str:
    try:
        with urllib.request.urlopen(f"{node.where['api']}/readyz", timeout=30) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
