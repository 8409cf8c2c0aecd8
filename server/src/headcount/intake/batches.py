"""Takes the body of a batch apart: bytes in, a decoded message or a refusal for each item out.

There are three ways, and each leaves what it cannot take to the next, with the same result:

1. Whole. A body that looks as tracking libraries write it is cut between messages into pieces no
   longer than one message may be, and each piece is decoded in one go, which takes half the time.
   That all of them are arrays of messages proves that the cuts were right and no message too long.
2. Item by item. The fast decoder finds the items; each is measured and decoded by itself.
3. Tolerantly. The grammar of `scanning` finds the items, so that one that is malformed can be cut
   out of its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec

from headcount.intake.admission import ID_CHARACTERS_MAX, MESSAGE_ID_CHARACTERS_MAX
from headcount.intake.decoding import FAST_REFUSALS, Message, decode_message
from headcount.intake.ports import Limits
from headcount.intake.reasons import Reason, Refused
from headcount.intake.scanning import (
    Malformed,
    elements,
    is_object,
    members,
    only_value,
    string_of,
    without_bom,
)

__all__ = [
    "Batch",
    "Items",
    "PlainMessage",
    "decode_batch",
    "decode_whole",
    "find_items",
    "find_items_tolerantly",
]

_PlainId = Annotated[str, msgspec.Meta(max_length=ID_CHARACTERS_MAX)] | None


class PlainMessage(Message, rename="camel", gc=False):
    """A message like nearly all: its ids are strings of allowed lengths, or absent."""

    message_id: Annotated[str, msgspec.Meta(max_length=MESSAGE_ID_CHARACTERS_MAX)] | None = None
    user_id: _PlainId = None
    anonymous_id: _PlainId = None


class Batch(NamedTuple):
    """A batch whose items are decoded.

    Attributes:
        write_key: of the body.
        plain: its messages, where all of them are plain; else empty.
        messages: all its items otherwise, in order: messages, or why an item is none.
    """

    write_key: str | None
    plain: Sequence[PlainMessage]
    messages: Sequence[Message | Reason]


class Items(msgspec.Struct, rename="camel"):
    """A batch whose items are still to be decoded, each on its own."""

    batch: list[msgspec.Raw]
    write_key: str | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    """What stands around the items."""

    write_key: str | None = None


_fast_items = msgspec.json.Decoder(Items).decode
_fast_envelope = msgspec.json.Decoder(_Envelope).decode
_fast_messages = msgspec.json.Decoder(list[PlainMessage]).decode

# How a body begins, and what separates its items: as Python writes JSON, and as most others do.
_FORMS = ((b'{"batch": [', b", "), (b'{"batch":[', b","))


def decode_batch(body: bytes, limits: Limits) -> Batch:
    """The batch in a body.

    Raises:
        Refused: the body is no JSON object with an array named batch, or the array is too long.
    """
    whole = decode_whole(body, limits.message_bytes_max)
    if whole is not None:
        _check_length(whole.plain, limits.batch_messages_max)
        return whole
    items = find_items(body, limits.batch_messages_max)
    return Batch(items.write_key, (), [_decoded(item, limits) for item in items.batch])


def _decoded(item: msgspec.Raw, limits: Limits) -> Message | Reason:
    if len(item) > limits.message_bytes_max:
        return Reason.MESSAGE_TOO_LARGE
    return decode_message(item)


def decode_whole(body: bytes, message_bytes_max: int) -> Batch | None:
    """A batch of plain messages, decoded piece by piece; None where that cannot be done."""
    separator = next((sep for opening, sep in _FORMS if body.startswith(opening)), None)
    if separator is None:
        return None
    start = body.index(b"[") + 1
    end = body.rfind(b"}]") + 1
    rest = body[end + 1 :]
    # A name that occurs twice is decided by the last of them: no other batch may follow this one,
    # not even under a name in escapes.
    if end <= start or b"batch" in rest or b"\\" in rest:
        return None
    # Messages of one library begin alike: `{"integrations":`.
    boundary = b"}" + separator + body[start : body.find(b":", start, end) + 1]
    messages: list[PlainMessage] = []
    try:
        while end - start > message_bytes_max:
            cut = body.rfind(boundary, start, start + message_bytes_max) + 1
            if not cut:
                return None
            messages += _fast_messages(b"[" + body[start:cut] + b"]")
            start = cut + len(separator)
        messages += _fast_messages(b"[" + body[start:end] + b"]")
        return Batch(_fast_envelope(b'{"batch":[]' + rest).write_key, messages, ())
    except FAST_REFUSALS:
        return None


def find_items(body: bytes, items_max: int) -> Items:
    """The items in a body.

    Raises:
        Refused: the body is no JSON object with an array named batch, or the array is too long.
            Malformed JSON inside one item is found when that item is decoded.
    """
    try:
        items = _fast_items(body)
    except FAST_REFUSALS:
        return find_items_tolerantly(body, items_max)
    _check_length(items.batch, items_max)
    return items


def _check_length(items: Sequence[object], items_max: int) -> None:
    if len(items) > items_max:
        raise Refused(Reason.BATCH_TOO_LONG)


def find_items_tolerantly(body: bytes, items_max: int) -> Items:
    """What `find_items` does, by the tolerant decoder alone."""
    data = without_bom(body)
    array_at: int | None = None
    write_key: str | None = None
    try:
        if not is_object(data):
            only_value(data)
            raise Refused(Reason.NOT_AN_OBJECT)
        for name, (start, end) in members(data, loose=b"batch"):
            if name == b"batch":
                array_at = start if data[start : start + 1] == b"[" else None
            elif name == b"writeKey":
                write_key = string_of(data[start:end])
        if array_at is None:
            raise Refused(Reason.BATCH_NOT_ARRAY)
        found: list[msgspec.Raw] = []
        for start, end in elements(data, array_at):
            if len(found) == items_max:
                raise Refused(Reason.BATCH_TOO_LONG)
            found.append(msgspec.Raw(data[start:end]))
    except Malformed:
        raise Refused(Reason.MALFORMED_JSON) from None
    return Items(batch=found, write_key=write_key)
