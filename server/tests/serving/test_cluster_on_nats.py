"""Whole nodes of a cluster on three real NATS servers: what either takes, both show."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from support.cluster_programs import eventually, nodes_of_a_cluster
from support.cluster_shop import Shop
from support.nats_servers import NatsServers

# Whole nodes: on a machine that others use as well, everything takes a multiple.
pytestmark = pytest.mark.timeout(1200)


def test_what_either_node_takes_both_show(tmp_path: Path) -> None:
    servers = NatsServers()
    with closing(servers):
        servers.start()
        with nodes_of_a_cluster(tmp_path, "a", "b", address=servers.address) as (a, b):
            shop = Shop([a, b])
            a.start()
            b.start()
            for _ in range(3):
                shop.post(a, 100, again=20)
                shop.post(b, 100, again=20)
            eventually(lambda: shop.is_right(a) and shop.is_right(b), 120)
            assert shop.fell == []
