"""Packs: what a relay publishes for one partition, and what it claims by it.

A pack holds entries of some queues, and of each queue the id before: it states that the queue has
nothing for this partition between that id and the first entry, nor between entries. An entry that
is larger than a pack comes in pieces, one pack each, in order. Nothing else is known of a pack, not
even that it comes once.

    4 bytes  CRC-32 of all that follows
    1 byte   version
    4 bytes  length of the head
    head     MessagePack of `_PackHead`
    body     the facts or tracked records of all entries, one after the other; since version 2 with
             what they have in common said once (`headcount.stages.row_coding`)

A pack is taken whole or refused: no bit in it can flip unseen.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

import msgspec
from isal.isal_zlib import crc32

from headcount.stages.row_coding import coded_rows, decoded_rows

__all__ = [
    "Pack",
    "PackError",
    "PackedEntry",
    "PartitionOrder",
    "PartitionOrderKind",
    "QueuePart",
    "decode_pack",
    "encode_pack",
]

VERSION = 2
_READABLE = (1, 2)
_PREFIX = struct.Struct("<IBI")
_CRC_BYTES = 4


class PackError(Exception):
    """What stands in the log is not a pack of this version."""


class PackedEntry(NamedTuple):
    """What of one entry is for one partition, or a piece of it.

    Attributes:
        id: of the entry in its queue.
        appended_at_ms: when it was appended, milliseconds since 1970.
        data: facts or tracked records; of a piece, as many as it has.
        offset: bytes of it that stood in pieces before; 0 as a rule.
        more: whether another piece follows.
        tallies: (workspace, source, day, word, messages) of rejections and libraries.
        aside: (reason, bytes, origin, messages or None) of what cannot be counted.
        sealed: (workspace, number of the month) closed by the queue's partition with this entry.
        forgotten, forget: of tracked records; see `HandedOn`.
    """

    id: int
    appended_at_ms: int
    data: bytes
    offset: int = 0
    more: bool = False
    tallies: Sequence[tuple[int, int, int, str, int]] = ()
    aside: Sequence[tuple[str, bytes, str, int | None]] = ()
    sealed: Sequence[tuple[int, int]] = ()
    forgotten: int = 0
    forget: Sequence[bytes] = ()


class QueuePart(NamedTuple):
    """The entries of one queue in a pack.

    Attributes:
        queue: UUID of the queue.
        previous: nothing for this partition stands in the queue behind this id and before the
            first entry, nor between entries.
        entries: ascending.
    """

    queue: str
    previous: int
    entries: Sequence[PackedEntry]


class PartitionOrderKind(IntEnum):
    """What a partition is told to do. Append only: it stands in the log."""

    SEAL = 0
    """Close a month for good."""
    CONFIRM = 1
    """Accept that it is a day, whatever came before, and count what waited for it."""
    FORGET = 2
    """Forget a person; see `headcount.stages.partition_forgetting`."""


class PartitionOrder(NamedTuple):
    """What all partitions of messages are to do, each where its log has it.

    Attributes:
        kind: what.
        day: on which it was decided, or which it is, days since 1970.
        workspace, period: whose month, and its number; 0 where it is about none.
        data: a `ForgetOrder`, packed; empty in others.
    """

    kind: int
    day: int
    workspace: int = 0
    period: int = 0
    data: bytes = b""


class Pack(NamedTuple):
    """What is published once.

    Attributes:
        origin: the node or partition that publishes, such as `n1` or `facts-3`.
        epoch: the how-manieth owner of that partition it is; 0 for a node.
        queues: entries.
        orders: what the partition is to do, where the log has it.
    """

    origin: str
    epoch: int
    queues: Sequence[QueuePart] = ()
    orders: Sequence[PartitionOrder] = ()


class _EntryHead(msgspec.Struct, frozen=True, array_like=True):
    id: int
    appended_at_ms: int
    length: int
    offset: int = 0
    more: bool = False
    tallies: list[tuple[int, int, int, str, int]] = []
    aside: list[tuple[str, bytes, str, int | None]] = []
    sealed: list[tuple[int, int]] = []
    forgotten: int = 0
    forget: list[bytes] = []


class _QueueHead(msgspec.Struct, frozen=True, array_like=True):
    queue: bytes
    previous: int
    entries: list[_EntryHead]


class _PackHead(msgspec.Struct, frozen=True, array_like=True):
    origin: str
    epoch: int
    queues: list[_QueueHead] = []
    orders: list[tuple[int, int, int, int]] = []
    forget: list[bytes] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_PackHead).decode


def encode_pack(pack: Pack, row_bytes: int = 0) -> bytes:
    """A pack as it is published.

    Args:
        pack: the pack.
        row_bytes: of what rows its entries' data consists; 0 where nobody knows.
    """
    body: list[bytes] = []
    queues = []
    for part in pack.queues:
        heads = []
        for entry in part.entries:
            body.append(entry.data)
            heads.append(
                _EntryHead(
                    *(entry.id, entry.appended_at_ms, len(entry.data), entry.offset, entry.more),
                    list(entry.tallies),
                    list(entry.aside),
                    list(entry.sealed),
                    *(entry.forgotten, list(entry.forget)),
                )
            )
        queues.append(_QueueHead(UUID(part.queue).bytes, part.previous, heads))
    head = _encode(
        _PackHead(
            pack.origin,
            pack.epoch,
            queues,
            [(o.kind, o.day, o.workspace, o.period) for o in pack.orders if not o.data],
            [order.data for order in pack.orders if order.data],
        )
    )
    coded = coded_rows(b"".join(body), row_bytes)
    content = b"".join([_PREFIX.pack(0, VERSION, len(head))[_CRC_BYTES:], head, coded])
    return struct.pack("<I", crc32(content)) + content


def decode_pack(data: bytes) -> Pack:
    """The pack that was published.

    Raises:
        PackError: it is none, or not what was published.
    """
    if len(data) < _PREFIX.size:
        raise PackError("it is too short")
    checksum, version, length = _PREFIX.unpack_from(data)
    if crc32(memoryview(data)[_CRC_BYTES:]) != checksum:
        raise PackError("it is not what was published")
    if version not in _READABLE:
        raise PackError(f"it has version {version}, and this version of Headcount reads {VERSION}")
    body = memoryview(data)[_PREFIX.size + length :]
    at = 0
    try:
        head = _decode(data[_PREFIX.size : _PREFIX.size + length])
        rows = bytes(body) if version == 1 else decoded_rows(body)
        queues = []
        for queue in head.queues:
            entries = []
            for each in queue.entries:
                content = rows[at : at + each.length]
                at += each.length
                entries.append(
                    PackedEntry(
                        *(each.id, each.appended_at_ms, content, each.offset, each.more),
                        *(each.tallies, each.aside, each.sealed),
                        *(each.forgotten, each.forget),
                    )
                )
            queues.append(QueuePart(str(UUID(bytes=queue.queue)), queue.previous, entries))
    except (msgspec.DecodeError, ValueError) as error:
        raise PackError(f"it cannot be read: {error}") from error
    if at != len(rows):
        raise PackError("it has another length than it says")
    orders = [PartitionOrder(*each) for each in head.orders]
    orders += [PartitionOrder(PartitionOrderKind.FORGET, 0, data=each) for each in head.forget]
    return Pack(head.origin, head.epoch, queues, orders)
