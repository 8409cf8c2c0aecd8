"""Takes the body of a batch apart: bytes in, decoded messages or items still to be decoded out.

There are three ways, and each leaves what it cannot take to the next, with the same result:

1. Whole. A body that looks as tracking libraries write it is cut between messages into pieces no
   longer than one message may be, and each piece is decoded in one go, which takes half the time.
   That all of them are arrays of messages proves that the cuts were right and no message too long.
2. Item by item. The fast decoder finds the items; each is measured and decoded by itself.
3. Tolerantly. The grammar of `scanning` finds the items, so that one that is malformed can be cut
   out of its batch.

Each way begins anew, so a body is read three times at most. The first two cost little for any
byte; the third is paid from the budget of the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, NamedTuple

import msgspec

from headcount.intake.admission import ID_CHARACTERS_MAX, MESSAGE_ID_CHARACTERS_MAX
from headcount.intake.decoding import FAST_REFUSALS, Message, MessageContext, decode_message
from headcount.intake.delimiting import elements
from headcount.intake.ports import Limits
from headcount.intake.reasons import Reason, Refused
from headcount.intake.scanning import (
    Malformed,
    is_object,
    name_at,
    only_value,
    opened_object,
    separator,
    skip_space,
    string_of,
    value_end,
    without_bom,
)
from headcount.intake.work import TURN_BYTES, TURN_STEPS, StepBudget, TooComplex, Work, at_once

__all__ = [
    "Batch",
    "Items",
    "PlainMessage",
    "decode_batch",
    "decode_item",
    "decode_whole",
    "find_array",
    "find_items",
    "find_items_tolerantly",
    "plain_batch",
    "plain_message",
]

# What stands around the items is little in any batch: a key, a time, a context.
_ENVELOPE_STEPS_MAX = 8_000
# What it costs to begin with an array of items, of which there may be several.
_ARRAY_STEPS = 10
_PlainId = Annotated[str, msgspec.Meta(max_length=ID_CHARACTERS_MAX)] | None


class PlainMessage(Message, rename="camel", gc=False):
    """A message like nearly all: its ids are strings of allowed lengths, its context is an object,
    and what is not so is absent."""

    message_id: Annotated[str, msgspec.Meta(max_length=MESSAGE_ID_CHARACTERS_MAX)] | None = None
    user_id: _PlainId = None
    anonymous_id: _PlainId = None
    context: MessageContext | None = None


class Batch(NamedTuple):
    """A batch as it is found.

    Attributes:
        write_key: of the body.
        plain: its messages, where all of them are plain; else empty.
        items: all its items otherwise, in order, each still to be decoded.
    """

    write_key: str | None
    plain: Sequence[PlainMessage]
    items: Sequence[msgspec.Raw]


class Items(msgspec.Struct, rename="camel"):
    """A batch whose items are still to be decoded, each on its own."""

    batch: list[msgspec.Raw]
    write_key: str | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    """What stands around the items."""

    write_key: str | None = None


_fast_items = msgspec.json.Decoder(Items).decode
_fast_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_fast_envelope = msgspec.json.Decoder(_Envelope).decode
_fast_message = msgspec.json.Decoder(PlainMessage).decode
_fast_messages = msgspec.json.Decoder(list[PlainMessage]).decode

# How a body begins, and what separates its items: as Python writes JSON, and as most others do.
_FORMS = ((b'{"batch": [', b", "), (b'{"batch":[', b","))


def plain_message(body: bytes) -> PlainMessage | None:
    """The plain message that a body is; None where it is anything else."""
    try:
        return _fast_message(body)
    except FAST_REFUSALS:
        return None


def plain_batch(body: bytes, limits: Limits) -> Batch | None:
    """The batch of plain messages that a small body is; None where it is anything else."""
    batch = at_once(decode_whole(body, limits.message_bytes_max))
    if batch is None or not 0 < len(batch.plain) <= limits.batch_messages_max:
        return None
    return batch


def decode_batch(body: bytes, limits: Limits, budget: StepBudget) -> Work[Batch]:
    """The batch in a body.

    Raises:
        Refused: the body is no JSON object with an array named batch, or the array is too long, or
            finding its items would take more than the budget.
    """
    body = without_bom(body)
    whole = yield from decode_whole(body, limits.message_bytes_max)
    if whole is not None:
        _check_length(whole.plain, limits.batch_messages_max)
        return whole
    items = yield from find_items(body, limits.batch_messages_max, budget)
    return Batch(items.write_key, (), items.batch)


def find_array(body: bytes, limits: Limits, budget: StepBudget) -> Work[list[msgspec.Raw]]:
    """The items of a body that is an array.

    Raises:
        Refused: the body is no JSON array, or a too long one, or finding its items would take more
            than the budget. Malformed JSON inside one item is found when that item is decoded.
    """
    data = without_bom(body)
    try:
        items = _fast_array(data)
    except FAST_REFUSALS:
        try:
            items, end = yield from _items_of(
                data, skip_space(data, 0), limits.batch_messages_max, budget
            )
            if skip_space(data, end) != len(data):
                raise Malformed from None
        except Malformed:
            raise Refused(Reason.MALFORMED_JSON) from None
        except TooComplex:
            raise Refused(Reason.TOO_COMPLEX) from None
    _check_length(items, limits.batch_messages_max)
    return items


def decode_item(item: msgspec.Raw, limits: Limits, budget: StepBudget) -> Message | Reason:
    """The message in an item, or why it is none."""
    if len(item) > limits.message_bytes_max:
        return Reason.MESSAGE_TOO_LARGE
    return decode_message(item, budget)


def decode_whole(body: bytes, message_bytes_max: int) -> Work[Batch | None]:
    """A batch of plain messages, decoded piece by piece; None where that cannot be done."""
    comma = next((comma for opening, comma in _FORMS if body.startswith(opening)), None)
    if comma is None:
        return None
    start = body.index(b"[") + 1
    end = body.rfind(b"}]") + 1
    rest = body[end + 1 :]
    # A name that occurs twice is decided by the last of them: no other batch may follow this one,
    # not even under a name in escapes.
    if end <= start or b"batch" in rest or b"\\" in rest:
        return None
    # Messages of one library begin alike: `{"integrations":`.
    boundary = b"}" + comma + body[start : body.find(b":", start, end) + 1]
    messages: list[PlainMessage] = []
    turn_ends_at = start + TURN_BYTES
    try:
        while end - start > message_bytes_max:
            cut = body.rfind(boundary, start, start + message_bytes_max) + 1
            if not cut:
                return None
            messages += _fast_messages(b"[" + body[start:cut] + b"]")
            start = cut + len(comma)
            if start >= turn_ends_at:
                turn_ends_at = start + TURN_BYTES
                yield
        messages += _fast_messages(b"[" + body[start:end] + b"]")
        return Batch(_fast_envelope(b'{"batch":[]' + rest).write_key, messages, ())
    except FAST_REFUSALS:
        return None


def find_items(body: bytes, items_max: int, budget: StepBudget) -> Work[Items]:
    """The items in a body.

    Raises:
        Refused: the body is no JSON object with an array named batch, or the array is too long, or
            finding its items would take more than the budget. Malformed JSON inside one item is
            found when that item is decoded.
    """
    try:
        items = _fast_items(body)
    except FAST_REFUSALS:
        return (yield from find_items_tolerantly(body, items_max, budget))
    _check_length(items.batch, items_max)
    return items


def _check_length(items: Sequence[object], items_max: int) -> None:
    if len(items) > items_max:
        raise Refused(Reason.BATCH_TOO_LONG)


def find_items_tolerantly(body: bytes, items_max: int, budget: StepBudget) -> Work[Items]:
    """What `find_items` does, by the tolerant decoder alone."""
    data = without_bom(body)
    around = budget.part(_ENVELOPE_STEPS_MAX)
    items: list[msgspec.Raw] | None = None
    write_key: str | None = None
    try:
        if not is_object(data):
            # If it is too much to check, it is no object still.
            with suppress(TooComplex):
                only_value(data, around)
            raise Refused(Reason.NOT_AN_OBJECT)
        mark, at = opened_object(data)
        while mark == b",":
            around.spend()
            name, start = name_at(data, at)
            if name == b"batch" and data[start : start + 1] == b"[":
                around.spend(_ARRAY_STEPS)
                items, end = yield from _items_of(data, start, items_max, budget)
            else:
                end = value_end(data, start, around)
                if name == b"batch":
                    items = None
                elif name == b"writeKey":
                    write_key = string_of(data[start:end])
            mark, at = separator(data, end, b"}")
        if at != len(data):
            raise Malformed
    except Malformed:
        raise Refused(Reason.MALFORMED_JSON) from None
    except TooComplex:
        raise Refused(Reason.TOO_COMPLEX) from None
    if items is None:
        raise Refused(Reason.BATCH_NOT_ARRAY)
    _check_length(items, items_max)
    return Items(batch=items, write_key=write_key)


def _items_of(
    data: bytes, at: int, items_max: int, budget: StepBudget
) -> Work[tuple[list[msgspec.Raw], int]]:
    """The items of the array that starts at `at`, at most one too many, and where it ends."""
    items: list[msgspec.Raw] = []
    end = at
    turn_ends_at, next_steps = at + TURN_BYTES, budget.spent + TURN_STEPS
    for start, end in elements(data, at, budget):
        if start < end and len(items) <= items_max:
            items.append(msgspec.Raw(data[start:end]))
        if end >= turn_ends_at or budget.spent >= next_steps:
            turn_ends_at, next_steps = end + TURN_BYTES, budget.spent + TURN_STEPS
            yield
    return items, end
