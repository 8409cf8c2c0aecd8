"""The form of a segment's file: a head, a mark, and records; takes and gives bytes, opens nothing.

    0    head: which journal, source and boot it is of, and the salt of its key; never changes
    128  mark: up to which byte its records stand, and whether more will follow; written in place
    192  records, one behind the other: a head with a checksum, then what is sealed

A record is sealed with AES-256-GCM under a key of its segment's own, together with both heads, so
that none can be changed, moved or put into another place. Of a record that is being written when
its process is killed, less than the whole is there; it lies behind the mark and was never
acknowledged.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from isal.isal_zlib import crc32

__all__ = [
    "FIRST_RECORD",
    "HEAD_BYTES",
    "MARK_AT",
    "MARK_BYTES",
    "RECORD_HEAD_BYTES",
    "SEALED_BYTES_MAX",
    "Mark",
    "RecordHead",
    "SegmentHead",
    "associated",
    "nonce_of",
    "pack_head",
    "pack_mark",
    "pack_record_head",
    "segment_key",
    "unpack_head",
    "unpack_mark",
    "unpack_record_head",
]

_MAGIC = b"HCSPOOL\1"
_RECORD_MAGIC = b"HCRE"
_CRC = struct.Struct("<I")
_HEAD = struct.Struct("<8s36sqqq16s8s")
_MARK = struct.Struct("<qqB")
_RECORD = struct.Struct("<4sIqqqII")

HEAD_BYTES = _HEAD.size + _CRC.size
MARK_AT = 128
MARK_BYTES = _MARK.size + _CRC.size
FIRST_RECORD = 192
RECORD_HEAD_BYTES = _RECORD.size + _CRC.size
SEALED_BYTES_MAX = 64 << 20
"""No record is larger: a length beyond it is damage."""

assert HEAD_BYTES <= MARK_AT
assert MARK_AT + MARK_BYTES <= FIRST_RECORD


class SegmentHead(NamedTuple):
    """What a segment says of itself.

    Attributes:
        journal: the UUID of the journal by whose entries its records are counted.
        source: the number of its source.
        epoch: which boot of the machine its stamps are of; a later one is larger.
        created_at_ms: when it was begun, milliseconds since 1970.
        salt: makes its key one of its own.
        key_id: the fingerprint of the spool's key.
    """

    journal: str
    source: int
    epoch: int
    created_at_ms: int
    salt: bytes
    key_id: bytes


class Mark(NamedTuple):
    """How far a segment's records stand.

    Attributes:
        end: the byte behind the last record whose journal entry is durable.
        entry: that entry's id.
        closed: whether no record follows: what lies behind `end` then never counted.
    """

    end: int
    entry: int
    closed: bool


class RecordHead(NamedTuple):
    """What stands in the clear before what is sealed.

    Attributes:
        sealed_bytes: how much of it there is.
        entry: the id of the journal's entry that it stands or falls with.
        stamp_ns: when it was written, by a clock that all processes of one boot share and that
            never steps back.
        received_at_ms: when its request was received, milliseconds since 1970.
        messages: how many messages it is of.
        number: its place among the records ever written to the segment, from which its nonce is.
    """

    sealed_bytes: int
    entry: int
    stamp_ns: int
    received_at_ms: int
    messages: int
    number: int


def _with_crc(data: bytes) -> bytes:
    return data + _CRC.pack(crc32(data))


def _checked(data: bytes, form: struct.Struct) -> bytes | None:
    whole = data[: form.size + _CRC.size]
    if len(whole) < form.size + _CRC.size:
        return None
    body = whole[: form.size]
    return body if _CRC.unpack(whole[form.size :])[0] == crc32(body) else None


def pack_head(head: SegmentHead) -> bytes:
    """The bytes of a head, with its checksum."""
    return _with_crc(
        _HEAD.pack(
            _MAGIC, head.journal.encode("ascii"), head.source, head.epoch, head.created_at_ms,
            head.salt, head.key_id,
        )
    )  # fmt: skip


def unpack_head(data: bytes) -> SegmentHead | None:
    """The head in the first bytes of a file; None where they are none."""
    body = _checked(data, _HEAD)
    if body is None or not body.startswith(_MAGIC):
        return None
    _, journal, *rest = _HEAD.unpack(body)
    return SegmentHead(journal.decode("ascii", "replace"), *rest)


def pack_mark(mark: Mark) -> bytes:
    """The bytes of a mark, with its checksum."""
    return _with_crc(_MARK.pack(mark.end, mark.entry, mark.closed))


def unpack_mark(data: bytes) -> Mark | None:
    """The mark in some bytes; None where they are none, as while it is written for the first time
    or after a power cut."""
    body = _checked(data, _MARK)
    if body is None:
        return None
    end, entry, closed = _MARK.unpack(body)
    return Mark(end, entry, bool(closed))


def pack_record_head(head: RecordHead) -> bytes:
    """The bytes of a record's head, with its checksum."""
    return _with_crc(_RECORD.pack(_RECORD_MAGIC, *head))


def unpack_record_head(data: bytes) -> RecordHead | None:
    """The head of a record in some bytes; None where they are none."""
    body = _checked(data, _RECORD)
    if body is None or not body.startswith(_RECORD_MAGIC):
        return None
    head = RecordHead(*_RECORD.unpack(body)[1:])
    return head if head.sealed_bytes <= SEALED_BYTES_MAX else None


def segment_key(spool_key: bytes, salt: bytes) -> bytes:
    """The key of one segment: another one for each, so that no nonce is used twice under any."""
    return hashlib.blake2b(
        key=spool_key, salt=salt, person=b"hc spool segment", digest_size=32
    ).digest()


def nonce_of(number: int) -> bytes:
    """The nonce of a record; no two of a segment have the same, those that were undone included."""
    return number.to_bytes(12, "little")


def associated(segment_head: bytes, record_head: bytes) -> bytes:
    """What is sealed together with a record, and stands in the clear."""
    return segment_head + record_head
