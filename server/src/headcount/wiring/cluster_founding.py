"""Beginning a cluster: takes a data folder, gives it to a registry as the first node's.

The number of partitions is decided here, for ever: a key does not tell its id, so ids cannot be
shared out anew. Refuses a registry that holds a cluster, and a folder that has counted.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.cluster.address import ANSWER_WITHIN_S, address_of
from headcount.cluster.control import change_placement, read_cluster
from headcount.cluster.membership import Membership, MembershipFile
from headcount.cluster.membership_records import (
    CLUSTER_FORMAT,
    CLUSTER_KEY,
    ClusterDocument,
    encoded,
)
from headcount.cluster.one_catalog import begin
from headcount.cluster.placement import Placement, partitions_of
from headcount.config import Settings
from headcount.counting.hashing import IdHasher
from headcount.datafolder import DataFolder, FolderLock, load_hash_key, open_data_folder
from headcount.engines import Registry
from headcount.engines.opening import open_registry
from headcount.errors import (
    ClusterError,
    EngineAwayError,
    RegistryConflictError,
    SettingError,
    UsageError,
)
from headcount.identity import fresh_uuid
from headcount.wiring.cluster_entry import require_node_name

__all__ = ["asked", "begin_again", "found_cluster", "registry_named"]


def registry_named(settings: Settings, *, make: bool = False) -> Registry:
    """The registry that the settings name.

    Raises:
        SettingError: they name none.
        OperatorError: the address cannot be used.
    """
    if settings.cluster is None:
        raise SettingError(
            "No cluster is named.",
            "Name its PostgreSQL database or NATS servers with --cluster (HEADCOUNT_CLUSTER).",
        )
    address = address_of(settings.cluster)
    return open_registry(address, timeout_s=ANSWER_WITHIN_S, make=make)


@contextlib.contextmanager
def asked(settings: Settings, *, make: bool = False) -> Iterator[Registry]:
    """The registry that the settings name, for one command.

    Raises:
        OperatorError: there is none, or it cannot be asked.
    """
    with contextlib.closing(registry_named(settings, make=make)) as registry:
        try:
            yield registry
        except EngineAwayError as error:
            raise ClusterError(
                f"The cluster's registry cannot be asked: {error.problem}",
                "See that its engine runs, and that --cluster names it.",
            ) from error


def found_cluster(
    settings: Settings, facts: int, keys: int, *, whole_until: int = 0
) -> ClusterDocument:
    """Begin a cluster, with the data folder as its first node.

    Args:
        settings: name the engine, the folder and the node.
        facts: how many partitions of messages there are to be.
        keys: how many of ids.
        whole_until: see `ClusterDocument`.

    Raises:
        OperatorError: there is a cluster already, or the folder cannot begin one.
    """
    folder = open_data_folder(settings.data, create=True)
    with asked(settings, make=True) as registry, FolderLock(folder.serve_lock, "cluster init"):
        file = MembershipFile(folder.cluster)
        known = file.read()
        if known is not None:
            raise UsageError(
                f'{folder.path} is node "{known.node}" of cluster {known.cluster.id[:8]} already.',
                "See headcount cluster status.",
            )
        if folder.store.exists():
            raise UsageError(
                f"{folder.path} holds what a single machine has counted.",
                f"Take it into a cluster with its history: headcount cluster join {folder.path}"
                " --data NEW",
            )
        if read_cluster(registry) is not None:
            raise _there_is_one()
        name = require_node_name(settings, None)
        with Catalog(folder.catalog) as catalog:
            key = load_hash_key(folder, catalog, settings.hash_key)
            contents = catalog.begin_sharing()
        document = ClusterDocument(
            CLUSTER_FORMAT,
            uuid.uuid4().hex,
            facts,
            keys,
            IdHasher(key).fingerprint,
            now_ms(),
            whole_until,
        )
        placement = Placement().given(partitions_of(facts, keys), name)
        try:
            registry.put(CLUSTER_KEY, encoded(document), 0)
        except RegistryConflictError:
            raise _there_is_one() from None
        begin(registry, contents)
        change_placement(registry, lambda there: there.merged(placement))
        file.write(Membership(document, name, fresh_uuid(), [], placement))
    return document


def _there_is_one() -> UsageError:
    return UsageError(
        "There is a cluster already at the address that --cluster names.",
        "Start a node of it with headcount serve --cluster … --node NAME, or name another"
        " database.",
    )


def begin_again(settings: Settings) -> DataFolder:
    """Write a lost registry anew, from what this node remembers.

    Raises:
        OperatorError: the registry is not empty, or the folder belongs to no cluster.
    """
    folder = open_data_folder(settings.data, create=False)
    with asked(settings, make=True) as registry:
        known = MembershipFile(folder.cluster).read()
        if known is None:
            raise UsageError(
                f"{folder.path} belongs to no cluster.",
                "Name the folder of a node with --data; the one whose catalog is the newest.",
            )
        if read_cluster(registry) is not None:
            raise _there_is_one()
        with Catalog(folder.catalog) as catalog:
            contents = catalog.begin_sharing()
        with contextlib.suppress(RegistryConflictError):
            begin(registry, contents)
        change_placement(registry, lambda there: there.merged(known.placement))
        # Last, since nodes take part from when it stands there.
        registry.put(CLUSTER_KEY, encoded(known.cluster), 0)
    return folder
