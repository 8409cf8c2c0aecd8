"""Catalogs for those who change them: a single machine's, or a node's copy of its cluster's.

Takes a data folder and the address of its cluster; gives a `Catalog` whose changes are made for all
nodes, or refused. Those who only read open the file itself.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from headcount.catalog import Catalog
from headcount.cluster.membership import Membership, MembershipFile
from headcount.errors import CatalogUnchangedError, OperatorError, UsageError
from headcount.folderlock import FolderLock
from headcount.layout import DataFolder

if TYPE_CHECKING:
    from headcount.engines import Registry

__all__ = [
    "catalog_for_changes",
    "membership_of",
    "require_running_node",
    "require_single_machine",
]


def membership_of(folder: DataFolder) -> Membership | None:
    """Which node of which cluster a folder is; None for a single machine's.

    Raises:
        DamagedDataError: it cannot say.
        OSError: it cannot be read.
    """
    return MembershipFile(folder.cluster).read()


def require_single_machine(
    folder: DataFolder,
    what: str,
    why: str,
    remedy: str = "See docs/cluster.md, on what works where.",
) -> None:
    """Refuse in a cluster what only a single machine does.

    Args:
        folder: the data folder.
        what: does not happen, as the beginning of a sentence.
        why: its end.
        remedy: what to do instead.

    Raises:
        UsageError: the folder is a node of a cluster.
    """
    membership = membership_of(folder)
    if membership is not None:
        raise UsageError(
            f'{what}: {folder.path} is node "{membership.node}" of one, and {why}',
            remedy,
        )


def require_running_node(folder: DataFolder, membership: Membership, what: str) -> None:
    """Refuse what only the server of a cluster's node can do, where it does not run.

    Args:
        folder: the data folder.
        membership: which node it is.
        what: it does, as the end of a sentence.

    Raises:
        UsageError: it does not run.
    """
    if not FolderLock.held(folder.serve_lock):
        raise UsageError(
            f'{folder.path} is node "{membership.node}" of a cluster, and its server does not run:'
            f" it is what {what}.",
            "Start it (headcount serve), or run this on a node that serves.",
        )


def catalog_for_changes(folder: DataFolder, cluster: str | None) -> Catalog:
    """A folder's catalog, open for changes.

    Args:
        folder: the data folder.
        cluster: the setting of that name.

    Raises:
        DataFolderError: the catalog cannot be used as it is.
    """
    membership = membership_of(folder)
    if membership is None:
        return Catalog(folder.catalog)
    from headcount.cluster.one_catalog import OneCatalog

    return Catalog(folder.catalog, shared=OneCatalog(partial(_opened, membership, cluster)))


def _opened(membership: Membership, cluster: str | None) -> Registry:
    from headcount.cluster.address import registry_of

    if cluster is None:
        raise CatalogUnchangedError(
            f'This data folder is node "{membership.node}" of a cluster, whose nodes have one'
            " catalog.",
            "To change it, name the cluster with HEADCOUNT_CLUSTER, or in the settings file.",
        )
    try:
        return registry_of(membership, cluster)
    except OperatorError as error:
        raise CatalogUnchangedError(error.problem, error.remedy) from error
