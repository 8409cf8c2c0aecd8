"""What relays, meters and mirrors tell one another, that may be lost: marks, confirmations, gaps.

Each is a few numbers of some queues; what does not fit into one telling goes in several. None of it
decides what counts: what is lost only delays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

import msgspec

from headcount.engines import TELL_BYTES_MAX

__all__ = [
    "Confirmation",
    "Gap",
    "RelayMark",
    "Tell",
    "decode_tells",
    "encode_tells",
    "positions_told",
    "queue_bytes",
    "queue_text",
]


class RelayMark(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """That all of a node or partition that was acknowledged before a moment is published.

    Attributes:
        origin: the node or partition.
        epoch: the how-manieth owner of the partition; 0 for a node.
        life: a number of the process that says so.
        round: which of its rounds this is; the moment of a later one counts, also if it is earlier.
        until_ms: the moment, milliseconds since 1970.
        queues: how many queues it has; the mark is of all of them, in as many tellings as it takes.
        last_ids: UUID of a queue and, by partition, the last entry that has anything for it.
    """

    origin: str
    epoch: int
    life: int
    round: int
    until_ms: int
    queues: int
    last_ids: list[tuple[bytes, list[int]]]


class Confirmation(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Up to which entries a partition has queues on its disk.

    Attributes:
        partition: its number.
        epoch: the how-manieth owner says so.
        positions: UUID of a queue and the entry.
    """

    partition: int
    epoch: int
    positions: list[tuple[bytes, int]]


class Gap(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """That a partition lacks what follows an entry.

    Attributes:
        partition: its number.
        epoch: the how-manieth owner says so.
        queue: UUID of the queue.
        position: the last entry that it has.
    """

    partition: int
    epoch: int
    queue: bytes
    position: int


Tell = RelayMark | Confirmation | Gap

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Tell]).decode
_ROOM = TELL_BYTES_MAX - 100


def _pieces(tell: Tell) -> Iterator[Tell]:
    """A telling as several that fit."""
    if isinstance(tell, Gap) or len(_encode(tell)) <= _ROOM:
        yield tell
        return
    if isinstance(tell, RelayMark):
        half = len(tell.last_ids) // 2
        parts = [tell.last_ids[:half], tell.last_ids[half:]]
        for part in parts:
            yield from _pieces(msgspec.structs.replace(tell, last_ids=part))
    else:
        half = len(tell.positions) // 2
        for positions in (tell.positions[:half], tell.positions[half:]):
            yield from _pieces(msgspec.structs.replace(tell, positions=positions))


def encode_tells(tells: Iterable[Tell]) -> list[bytes]:
    """Tellings, several of them together as far as they fit."""
    found: list[bytes] = []
    group: list[Tell] = []
    size = 0
    for tell in tells:
        for piece in _pieces(tell):
            more = len(_encode(piece))
            if group and size + more > _ROOM:
                found.append(_encode(group))
                group, size = [], 0
            group.append(piece)
            size += more
    if group:
        found.append(_encode(group))
    return found


def decode_tells(told: Iterable[bytes]) -> list[Tell]:
    """What was told; what cannot be read is as good as lost."""
    found: list[Tell] = []
    for data in told:
        try:
            found += _decode(data)
        except msgspec.DecodeError:
            continue
    return found


def queue_bytes(queue: str) -> bytes:
    """A queue's UUID as it is told."""
    return UUID(queue).bytes


def queue_text(queue: bytes) -> str:
    """A queue's UUID as it is kept."""
    return str(UUID(bytes=queue))


def positions_told(positions: Sequence[tuple[bytes, int]]) -> dict[str, int]:
    """Positions by queue."""
    return {queue_text(queue): position for queue, position in positions}
