"""Where a cluster's engine is: takes settings, gives an address and what is opened there.

Refuses a registry of another cluster than the data folder's.
"""

from __future__ import annotations

from pathlib import Path

from headcount.cluster import unfit
from headcount.cluster.control import read_cluster
from headcount.cluster.membership import Membership
from headcount.durable import read_small
from headcount.engines import Registry
from headcount.engines.opening import open_registry
from headcount.errors import EngineAwayError, OperatorError

__all__ = ["ANSWER_WITHIN_S", "LOG_ANSWERS_WITHIN_S", "address_of", "registry_of"]

ANSWER_WITHIN_S = 2.0
"""How long the registry may take, by whoever keeps others waiting meanwhile."""

LOG_ANSWERS_WITHIN_S = 5.0
"""How long the log may take for one answer."""


def address_of(given: str) -> str:
    """The address itself, of a setting that may name the file that holds it.

    Raises:
        OperatorError: there is no such file, or it holds no address.
    """
    if not given.startswith("@"):
        return given
    place = Path(given[1:]).expanduser()
    try:
        address = read_small(place).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        raise OperatorError(
            f"The address of the cluster cannot be read from {place}: {said}.",
            "Name a file that holds it, and that this user may read, after the @ of --cluster.",
        ) from error
    if not address or "\n" in address:
        raise OperatorError(
            f"{place} does not hold the address of a cluster.",
            "Write it there, such as postgresql://user:password@host/database, and nothing else.",
        )
    return address


def registry_of(membership: Membership, given: str) -> Registry:
    """The registry of a node's cluster, for whoever changes something there now and then.

    Args:
        membership: which node of which cluster asks.
        given: the setting.

    Raises:
        EngineAwayError: it cannot be asked.
        OperatorError: it is of another cluster, or the setting names none.
    """
    registry = open_registry(address_of(given), timeout_s=ANSWER_WITHIN_S)
    try:
        found = read_cluster(registry)
        if found is None:
            raise unfit.registry_wiped(membership.cluster.id)
        if found.id != membership.cluster.id:
            raise unfit.other_cluster(membership.cluster.id, found.id)
    except (EngineAwayError, OperatorError):
        registry.close()
        raise
    return registry
