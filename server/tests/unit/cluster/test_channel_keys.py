"""The key of channels: one for all nodes that have the hash key, and for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from headcount.catalog import Catalog
from headcount.cluster.channel_keys import channel_key, give_channel_key
from headcount.cluster.membership import Membership, MembershipFile
from headcount.cluster.one_catalog import OneCatalog, begin
from headcount.counting.hashing import IdHasher
from headcount.datafolder import DataFolder, hash_key_lines
from headcount.errors import DataFolderError
from support.cluster_nodes import CLUSTER
from support.memory_registry import MemoryRegistryServer

ONE, OTHER = bytes(range(32)), bytes(range(1, 33))


class Nodes:
    """Two nodes' folders, with the cluster's hash key, and their copies of one catalog."""

    def __init__(self, folder: Path) -> None:
        server = MemoryRegistryServer()
        with Catalog(folder / "first.sqlite") as first:
            begin(server.open(), first.begin_sharing())
        self.folders = [DataFolder(folder / name) for name in "ab"]
        for each in self.folders:
            each.path.mkdir()
            each.hash_key.write_bytes(hash_key_lines([ONE]))
            MembershipFile(each.cluster).write(Membership(CLUSTER, each.path.name, "u"))
        shared = OneCatalog(server.open)
        self.catalogs = [Catalog(each.catalog, shared=shared) for each in self.folders]

    def key(self, node: int, *, make: bool = False) -> bytes:
        return channel_key(self.folders[node], None, self.catalogs[node], make=make)


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return Nodes(tmp_path)


def test_nodes_that_make_one_at_the_same_moment_have_the_same(nodes: Nodes) -> None:
    with pytest.raises(DataFolderError, match="has no key for channels"):
        nodes.key(0)
    made = nodes.key(0, make=True)
    assert nodes.key(1, make=True) == made, "its copy of the catalog did not know of one"
    assert nodes.key(0) == made
    assert not nodes.folders[0].path.joinpath("spool.key").exists()


def test_it_is_kept_for_a_hash_key_that_comes_and_opens_by_it_alone(nodes: Nodes) -> None:
    made = nodes.key(0, make=True)
    nodes.folders[0].hash_key.write_bytes(hash_key_lines([ONE, OTHER]))
    assert nodes.key(0) == made
    for each in nodes.folders:
        each.hash_key.write_bytes(hash_key_lines([OTHER]))
    nodes.catalogs[1].catch_up()
    assert nodes.key(0) == nodes.key(1) == made


def test_nobody_opens_it_without_the_clusters_hash_key(nodes: Nodes) -> None:
    made = nodes.key(0, make=True)
    nodes.catalogs[1].catch_up()
    held = nodes.catalogs[1].channel_keys()
    assert not any(made in sealed for sealed in held.values())
    nodes.folders[1].hash_key.write_bytes(hash_key_lines([OTHER]))
    with pytest.raises(DataFolderError, match="hash key that this node does not have"):
        nodes.key(1, make=True)


def test_a_single_machines_key_goes_along_into_a_cluster(tmp_path: Path) -> None:
    with Catalog(tmp_path / "single.sqlite") as single:
        give_channel_key(single, b"k" * 32, {IdHasher(ONE).fingerprint: ONE})
        held = single.channel_keys()
    nodes = Nodes(tmp_path)
    nodes.catalogs[0].add_channel_keys(held, first=True)
    assert nodes.key(0) == b"k" * 32
