"""A fact: what one admitted message leaves behind, as 56 bytes.

Takes the parts of an admitted message, gives packed little-endian records that NumPy reads in
place (`FACT_DTYPE` in `headcount.counting.batch`). A hash of zero means that the id is absent.
While ids are hashed under two keys, one up to a month and the next from it on, a fact is wide: 8
bytes more hold the hash of its message id under the other key, since a message id is compared
across the turn of a month. This module stays free of NumPy, so that an intake worker need not load
it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = [
    "ABSENT",
    "FACT_BYTES",
    "FACT_FORMAT",
    "FIRST_MS",
    "IMPORTED",
    "KEY_GENERATIONS",
    "KEY_MASK",
    "KEY_SHIFT",
    "LIBRARIES",
    "MESSAGE_TYPES",
    "WIDE",
    "WIDE_FACT_BYTES",
    "WIDE_FACT_FORMAT",
    "Rejection",
    "WideFacts",
    "fact_bytes",
    "fact_head",
    "pack_fact",
    "packed",
    "sources_of",
    "tags_of",
]

FACT_FORMAT = 1
"""Version of the record layout, stored beside every block of facts."""

WIDE_FACT_FORMAT = 2
"""The same of wide facts."""

_HEAD = struct.Struct("<qIIII")
_HASH_BYTES = 8
FACT_BYTES = _HEAD.size + 4 * _HASH_BYTES
"""Size of one fact: head, then the hashes of messageId, userId, anonymousId and previousId."""

pack_fact = struct.Struct(_HEAD.format + 4 * f"{_HASH_BYTES}s").pack
"""One fact in one call: the arguments of `fact_head`, all five of them, and the four hashes."""

WIDE_FACT_BYTES = FACT_BYTES + _HASH_BYTES
"""Size of a wide fact, which ends with the hash of its messageId under the other key."""

FIRST_MS = 946_684_800_000
"""The earliest time of receipt that is believed, 2000-01-01, in milliseconds since 1970."""

ABSENT = bytes(_HASH_BYTES)
"""What stands in a fact for an id that the message does not have."""

IMPORTED = 1
"""Flag of a fact whose time of receipt was set by an import, not by the server's clock."""

WIDE = 2
"""Flag of a wide fact."""

KEY_SHIFT, KEY_GENERATIONS = 8, 256
KEY_MASK = (KEY_GENERATIONS - 1) << KEY_SHIFT
"""Where in its flags a fact says under which hash key it was made: the first one is 0."""

MESSAGE_TYPES = ("track", "identify", "page", "screen", "group", "alias")
"""The six message types; the position is the tag. Append only: tags are stored."""

LIBRARIES = (
    "other",
    "analytics.js",
    "analytics-python",
    "analytics-node",
    "rudder-sdk-python",
    "import",
)
"""Tracking libraries told apart; the position is the tag. Append only: tags are stored."""


class Rejection(NamedTuple):
    """How many messages of one source were rejected on one day for one reason."""

    workspace: int
    source: int
    day: int
    reason: str
    messages: int


def tags_of(message_type: str, library: str) -> int:
    """The tags of a fact: message type in the low byte, library in the next."""
    return MESSAGE_TYPES.index(message_type) | LIBRARIES.index(library) << 8


def fact_head(received_at_ms: int, workspace: int, source: int, tags: int, flags: int = 0) -> bytes:
    """The first 24 bytes of a fact; the caller appends the four 8-byte hashes.

    Args:
        received_at_ms: milliseconds since 1970, UTC.
        workspace: the workspace's number in the catalog.
        source: the source's number in the catalog.
        tags: from `tags_of`.
        flags: 0, or `IMPORTED`.
    """
    return _HEAD.pack(received_at_ms, workspace, source, tags, flags)


def sources_of(facts: bytes) -> list[int]:
    """The number of the source of each of some facts."""
    size = fact_bytes(facts)
    return [_HEAD.unpack_from(facts, at)[2] for at in range(0, len(facts), size)]


class WideFacts(bytes):
    """Packed facts that are wide, all of them."""


def fact_bytes(facts: bytes) -> int:
    """Size of each of some packed facts."""
    return WIDE_FACT_BYTES if isinstance(facts, WideFacts) else FACT_BYTES


def packed(facts: bytes, flags: int) -> bytes:
    """Facts that were just put together, with what is known of their size.

    Args:
        facts: any number of facts.
        flags: of any of them.
    """
    return WideFacts(facts) if flags & WIDE else facts
