"""Orders to forget a person, and putting them into the logs of partitions; see
`headcount.stages.partition_forgetting` on what these do with them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from headcount.engines import FactLog
from headcount.stages.packs import Pack, PartitionOrder, PartitionOrderKind, encode_pack

__all__ = ["ForgetOrder", "OrderPublishing", "PendingOrder", "decoded_order", "encoded_order"]

_log = logging.getLogger(__name__)

_ORIGIN = "forget"
_PUBLISHED_AGAIN_S = 5.0


class ForgetOrder(msgspec.Struct, frozen=True, array_like=True):
    """Whom to forget.

    Attributes:
        number: of the order; later ones have greater numbers.
        expires_at_ms: until when it is kept, milliseconds since 1970: the log then holds nothing of
            before it any more.
        keys: how many partitions of ids there are.
        secret: 32 random bytes, of which the hashes are made that stand for the ids.
        hashes: number of a hash key to the user id and the anonymous id under it; None for none.
        workspaces: only these, by their numbers; None for all.
    """

    number: int
    expires_at_ms: int
    keys: int
    secret: bytes
    hashes: dict[int, tuple[bytes | None, bytes | None]]
    workspaces: list[int] | None


def encoded_order(order: ForgetOrder) -> bytes:
    """An order as it stands in logs and outboxes."""
    return msgspec.msgpack.encode(order)


def decoded_order(data: bytes) -> ForgetOrder | None:
    """The order that was published; None where it is none of this version's."""
    try:
        return msgspec.msgpack.decode(data, type=ForgetOrder)
    except msgspec.DecodeError as error:
        _log.error("an order to forget somebody cannot be read: %s", error)
        return None


class PendingOrder(NamedTuple):
    """An order that partitions of messages are to be given.

    Attributes:
        number: its own.
        behind_ms: what was acknowledged before is to be counted first, milliseconds since 1970.
        data: the order as it stands in logs.
    """

    number: int
    behind_ms: int
    data: bytes


class OrderPublishing:
    """Has one partition of messages carry out orders: puts them into its log, in turn.

    What a log loses is published again, and what comes again is not carried out again.

    Args:
        name: of the partition.
        log: its log.
    """

    def __init__(self, name: str, log: FactLog) -> None:
        self._subject = name.replace("-", ".")
        self._log = log
        self._number = 0
        self._published_at_s = float("-inf")

    def look(
        self, pending: Iterable[PendingOrder], carried_out: int, until_ms: int | None, now_s: float
    ) -> None:
        """Publish the next order, if it is time to.

        Args:
            pending: all that are kept.
            carried_out: number of the latest that the partition has carried out.
            until_ms: until when everything that was acknowledged is counted in it.
            now_s: by a clock that nobody sets.

        Raises:
            EngineAwayError: it is published again by the next look.
        """
        due = min((each for each in pending if each.number > carried_out), default=None)
        if due is None or until_ms is None or until_ms < due.behind_ms:
            return
        if due.number == self._number and now_s - self._published_at_s < _PUBLISHED_AGAIN_S:
            return
        order = PartitionOrder(PartitionOrderKind.FORGET, 0, data=due.data)
        self._log.publish(self._subject, encode_pack(Pack(_ORIGIN, 0, orders=[order])))
        self._number, self._published_at_s = due.number, now_s
