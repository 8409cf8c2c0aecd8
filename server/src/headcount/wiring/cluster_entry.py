"""How a node enters its cluster, before it takes a message: takes settings and a data folder.

Refuses, with a sentence and a remedy, whatever would let something wrong be counted later: another
cluster, hash key, version, name or clock. Where the registry is away, a node that knows its cluster
starts all the same, and takes known write keys.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable
from pathlib import Path

from headcount import __version__
from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.cluster import unfit
from headcount.cluster.address import ANSWER_WITHIN_S, address_of
from headcount.cluster.control import ControlPlane
from headcount.cluster.liveness import BEAT_S
from headcount.cluster.membership import Membership, MembershipFile
from headcount.cluster.membership_records import CLUSTER_FORMAT, NodeRecord
from headcount.cluster.one_catalog import OneCatalog
from headcount.config import Settings
from headcount.datafolder import DataFolder, read_hash_keys
from headcount.engines.opening import open_registry
from headcount.errors import ClusterError, EngineAwayError, SettingError, UsageError
from headcount.identity import fresh_uuid

__all__ = [
    "CLUSTER_ROLES",
    "copy_catalog",
    "enter_cluster",
    "node_record",
    "require_hash_key",
    "require_node_name",
]

_log = logging.getLogger(__name__)

_SEEN_BY_ALL_S = 3 * BEAT_S

CLUSTER_ROLES = ("node", "relay", "partitions", "mirror")
"""The processes of a cluster's node that stand in the place of a single machine's meter."""


def require_node_name(settings: Settings, known: Membership | None) -> str:
    """What this node is called.

    Raises:
        SettingError: nobody says, or otherwise than before.
    """
    if settings.node is None:
        if known is None:
            raise SettingError(
                "A node of a cluster has a name, and none is given.",
                "Give it one that no other node has: --node NAME (HEADCOUNT_NODE).",
            )
        return known.node
    if known is not None and known.node != settings.node:
        raise SettingError(
            f'{settings.data} is node "{known.node}", and --node says "{settings.node}".',
            f"Say --node {known.node}, or name another data folder.",
        )
    return settings.node


def node_record(name: str, folder_uuid: str, run: str, tracking: str, api: str) -> NodeRecord:
    """What a node says of itself at first."""
    return NodeRecord(name, folder_uuid, run, __version__, CLUSTER_FORMAT, tracking, api, now_ms())


def require_hash_key(place: Path, fingerprint: str) -> None:
    """See that ids are hashed here as everywhere in the cluster.

    Raises:
        ClusterError: they would not be.
        DataFolderError: the key cannot be read.
    """
    if not place.exists() or fingerprint not in read_hash_keys(place):
        raise unfit.other_hash_key(place, fingerprint)


def enter_cluster(
    settings: Settings,
    folder: DataFolder,
    tracking: str,
    api: str,
    pause: Callable[[float], object],
) -> str:
    """Enter, with a copy of the cluster's catalog.

    Args:
        settings: name the cluster and the node.
        folder: the data folder, whose lock the caller holds.
        tracking, api: where this node listens.
        pause: waits for some seconds.

    Returns:
        Which life of the node this is.

    Raises:
        OperatorError: this node may not take part as it is, or has never and the registry is away.
    """
    file = MembershipFile(folder.cluster)
    known = file.read()
    if settings.cluster is None:
        if known is None:
            return ""
        raise SettingError(
            f'{folder.path} is node "{known.node}" of a cluster.',
            "Name the cluster with --cluster (HEADCOUNT_CLUSTER), or another data folder.",
        )
    name = require_node_name(settings, known)
    run = uuid.uuid4().hex
    if known is None and folder.store.exists():
        raise UsageError(
            f"{folder.path} holds what a single machine has counted.",
            f"Take it into the cluster, into a new folder: headcount cluster join {folder.path}"
            " --data NEW",
        )
    address = address_of(settings.cluster)
    me = node_record(name, known.uuid if known else fresh_uuid(), run, tracking, api)
    registry = open_registry(address, timeout_s=ANSWER_WITHIN_S)
    with contextlib.closing(registry):
        try:
            control = ControlPlane(registry, file, me, now_ms)
            cluster = control.recognise()
            require_hash_key(settings.hash_key or folder.hash_key, cluster.hash_key)
            if known is None:
                _refuse_own_catalog(folder)
            control.enter(pause)
            copy_catalog(folder, address)
            if known is None:
                # Until all have seen it, some might show as complete what it has taken.
                pause(_SEEN_BY_ALL_S)
        except EngineAwayError as error:
            if known is None:
                raise ClusterError(
                    f"The cluster's registry cannot be asked: {error.problem}",
                    "See that its engine runs; a node's first start needs it.",
                ) from error
            _log.warning(
                "the cluster's registry cannot be asked (%s); known write keys are taken",
                error.problem,
            )
            file.change(known, runs=MembershipFile.begun(known, run))
    return run


def _refuse_own_catalog(folder: DataFolder) -> None:
    """See that nothing is replaced by the cluster's catalog at a first start."""
    with Catalog(folder.catalog) as catalog:
        if catalog.workspaces():
            raise UsageError(
                f"{folder.path} has workspaces of its own, which the cluster does not know.",
                "Begin with a new folder: the cluster's workspaces come by themselves.",
            )


def copy_catalog(folder: DataFolder, address: str) -> bool:
    """Become a copy of the cluster's catalog as it is now; whether it was not.

    Raises:
        EngineAwayError: the registry cannot be asked.
    """
    shared = OneCatalog(lambda: open_registry(address, timeout_s=ANSWER_WITHIN_S))
    with Catalog(folder.catalog, shared=shared) as catalog:
        return catalog.catch_up()
