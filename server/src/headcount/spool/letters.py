"""What one request leaves in the spool for one source: its body, and what to change in it.

The body is kept as it came, unpacked; what is left out of it and which ids are added are said
beside it, so that intake takes no JSON apart a second time. The process that delivers does.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

__all__ = ["Letter", "Posted", "made_id"]


class Letter(msgspec.Struct, frozen=True, array_like=True):
    """The messages of one request that one source is to forward.

    Attributes:
        message_type: what the path said that a single message is; empty for a batch.
        id_stem: what the ids begin with of messages that brought none; see `made_id`.
        left_out: the indexes of a batch's messages that are not forwarded: rejected, or of another
            source.
        body: an object, or for a batch an object with the array `batch`.
    """

    message_type: str
    id_stem: str
    left_out: list[int]
    body: bytes


class Posted(NamedTuple):
    """A letter, sealed up for the spool.

    Attributes:
        source: the source's number.
        received_at_ms: when its request was received, milliseconds since 1970.
        messages: how many of them are forwarded.
        letter: the `Letter`, encoded.
    """

    source: int
    received_at_ms: int
    messages: int
    letter: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Letter).decode


def encoded(letter: Letter) -> bytes:
    """A letter as bytes."""
    return _encode(letter)


def decoded(data: bytes) -> Letter:
    """The letter that `encoded` wrote.

    Raises:
        msgspec.MsgspecError: the bytes are no letter.
    """
    return _decode(data)


def made_id(id_stem: str, index: int) -> str:
    """The id of a message that brought none: the one that it is counted by, and is forwarded with.

    Args:
        id_stem: of its request, unlike that of any other.
        index: its place among the request's messages.
    """
    return f"{id_stem}-{index}"
