"""Why a node may not take part in a cluster: takes what was found, gives problem and remedy."""

from __future__ import annotations

from headcount.cluster.membership_records import CLUSTER_FORMAT, NodeRecord
from headcount.errors import ClusterError

__all__ = [
    "copied_folder",
    "name_taken",
    "no_cluster",
    "other_clock",
    "other_cluster",
    "other_hash_key",
    "other_version",
    "registry_wiped",
    "retired",
]


def no_cluster() -> ClusterError:
    """Nothing was ever begun at that address."""
    return ClusterError(
        "There is no cluster at the address that --cluster names.",
        "Begin one with headcount cluster init, or name the right database or servers.",
    )


def registry_wiped(cluster_id: str) -> ClusterError:
    """This node's cluster has stood there, and is gone."""
    return ClusterError(
        f"The registry at --cluster holds nothing, and this node belongs to cluster"
        f" {cluster_id[:8]}: it was wiped, or is another one.",
        "Name the right one; or restore it from its backup; or, if it is lost, write it anew from"
        " the node whose catalog is the newest: headcount cluster init --again",
    )


def other_cluster(known: str, found: str) -> ClusterError:
    """The address leads to somebody else's cluster."""
    return ClusterError(
        f"The registry at --cluster is of cluster {found[:8]}, and this node belongs to cluster"
        f" {known[:8]}.",
        "Name the right one with --cluster, or give this node another data folder.",
    )


def other_version(version: str, cluster_format: int) -> ClusterError:
    """This version and the other nodes' do not understand one another."""
    return ClusterError(
        f"This is Headcount {version}, which hands on format {CLUSTER_FORMAT}, and the cluster"
        f" uses format {cluster_format}.",
        "Install the version that the other nodes run.",
    )


def older_lives(record: NodeRecord) -> ClusterError:
    """A node of a former version would not understand what this one hands on."""
    return ClusterError(
        f'Node "{record.name}" runs Headcount {record.version}, which hands on format'
        f" {record.format} and does not read format {CLUSTER_FORMAT}, which this version hands on.",
        "Stop all nodes of the former version first; then start them with this one. What they took"
        " waits in their journals.",
    )


def other_hash_key(place: object, fingerprint: str) -> ClusterError:
    """Ids hashed here would be other ids."""
    return ClusterError(
        f"{place} does not hold the cluster's hash key (fingerprint {fingerprint}), so every id"
        " would be counted once more.",
        "Copy the hash key from a node of the cluster to this place, or name it with --hash-key.",
    )


def name_taken(record: NodeRecord) -> ClusterError:
    """Another folder is the node of that name."""
    return ClusterError(
        f'The cluster has a node "{record.name}" already, with another data folder'
        f" (at {record.api}).",
        "Give this node another name with --node; or, if the other one is lost, retire it first:"
        f" headcount cluster retire {record.name}",
    )


def copied_folder(record: NodeRecord) -> ClusterError:
    """The node runs already, from a folder of which this is a copy, or this of it."""
    return ClusterError(
        f'Node "{record.name}" runs already, at {record.api}, from a copy of this data folder.',
        "Stop one of the two; a new node begins with a new folder.",
    )


def retired(name: str) -> ClusterError:
    """The node has left for good."""
    return ClusterError(
        f'Node "{name}" was retired: the others no longer wait for what its journals hold.',
        "Give this machine a new data folder and another name with --node.",
    )


def other_clock(seconds: float, others: str) -> ClusterError:
    """Messages taken here would be dated wrong."""
    direction = "ahead of" if seconds > 0 else "behind"
    return ClusterError(
        f"This machine's clock is {abs(seconds):,.0f} s {direction} that of {others}: messages"
        " would be counted on a wrong day.",
        "Let time synchronisation (such as chrony) set the clocks of all nodes, then start again.",
    )
