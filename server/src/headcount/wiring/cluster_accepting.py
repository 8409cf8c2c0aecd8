"""Accepting what is lost: takes a registry and names of losses, notes that somebody has seen them.

A loss that was noted stays noted, and is shown as one that was seen. What a partition still waits
for is noted by that, and waited for no longer.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from headcount.clock import now_ms
from headcount.cluster.losses import NotedLoss, put_loss
from headcount.cluster.overview import ClusterStatus
from headcount.engines import Registry
from headcount.errors import UsageError

__all__ = ["accept", "acceptable"]


def acceptable(found: ClusterStatus, names: Sequence[str] | None) -> list[NotedLoss]:
    """The losses of some names that nobody has accepted yet.

    Args:
        found: the cluster.
        names: which; None for all that are noted. What may come yet must be named.

    Raises:
        UsageError: there is no loss of such a name.
    """
    noted = {each.key: each for each in found.losses}
    if names is None:
        return [each for each in noted.values() if not each.accepted_at]
    known = {each.key: each for each in found.may_be_lost} | noted
    for name in names:
        if name not in known:
            waiting = [each.key for each in known.values() if not each.accepted_at]
            raise UsageError(
                f'There is no loss "{name}".',
                f"To be accepted are: {', '.join(waiting)}."
                if waiting
                else "There is none at all.",
            )
    return [known[name] for name in dict.fromkeys(names) if not known[name].accepted_at]


def accept(registry: Registry, losses: Sequence[NotedLoss]) -> int:
    """Note that somebody has seen some losses, and goes on with them.

    Returns:
        When, milliseconds since 1970.

    Raises:
        EngineAwayError: the registry cannot be asked; some may be noted.
    """
    moment = now_ms()
    for loss in losses:
        put_loss(registry, msgspec.structs.replace(loss, accepted_at=moment))
    return moment
