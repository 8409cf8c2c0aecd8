"""Which partitions are to close which months: takes what all of them say, gives orders for them.

Decided once, for all: by the latest import into a month in any partition, by the trusted day of
any, and for a day until which everything that was taken is counted everywhere. A partition carries
it out where its log has it. What it has not done yet it is told again: an order that a log has lost
only delays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from headcount.counting.sealing import is_due, is_plausible
from headcount.engines import FactLog
from headcount.stages.packs import Pack, PartitionOrder, PartitionOrderKind, encode_pack
from headcount.store.protocol import Month

__all__ = ["publish_confirmation", "publish_orders", "seal_orders"]

_KEEPER = "keeper"


def seal_orders(
    months: Iterable[Month],
    trusted_day: int | None,
    day: int,
    sealed_by: Mapping[str, Set[tuple[int, int]]],
) -> dict[str, list[PartitionOrder]]:
    """What each partition of messages is to be told.

    Args:
        months: every month of every workspace, as the sums have them.
        trusted_day: the latest day that a clock is trusted for, days since 1970, or None.
        day: everything that was taken before it is counted everywhere.
        sealed_by: partition to the (workspace, number of the month) pairs that it has closed; those
            of ids, which are told by those of messages, are left out of what is given.
    """
    if not is_plausible(trusted_day, day):
        return {}
    due = [
        (month.workspace, month.period.number)
        for month in months
        if is_due(month.period, month.last_import_day, day)
    ]
    found: dict[str, list[PartitionOrder]] = {}
    for name, sealed in sealed_by.items():
        orders = [
            PartitionOrder(PartitionOrderKind.SEAL, day, workspace, number)
            for workspace, number in due
            if (workspace, number) not in sealed
        ]
        if orders and name.startswith("facts-"):
            found[name] = orders
    return found


def publish_confirmation(log: FactLog, names: Iterable[str], day: int) -> None:
    """Have partitions accept that it is a day, whatever came before.

    Args:
        log: the cluster's.
        names: of all partitions, of messages and of ids.
        day: days since 1970.

    Raises:
        EngineAwayError: some may not stand there; it may be said again.
    """
    order = PartitionOrder(PartitionOrderKind.CONFIRM, day)
    publish_orders(log, {name: [order] for name in names})


def publish_orders(log: FactLog, orders: Mapping[str, list[PartitionOrder]]) -> None:
    """Put orders into the logs of partitions.

    Raises:
        EngineAwayError: some may not stand there.
    """
    log.publish_all(
        [
            (name.replace("-", "."), encode_pack(Pack(_KEEPER, 0, orders=of_partition)))
            for name, of_partition in orders.items()
        ]
    )
