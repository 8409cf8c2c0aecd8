"""Turns the bytes of messages into typed parts, or gives the reason for refusing them.

Two decoders stand beside each other. The fast one knows the fields that matter and skips the
rest. What it refuses goes to the tolerant one, message by message: lone surrogates, nesting of any
depth, numbers of any size and fields of any kind are ordinary input. Where the fast one accepts,
both give the same result. The tolerant one works within a budget; a message that would take more is
too complex. Batches are taken apart in `headcount.intake.batches`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from headcount.intake.reasons import Reason
from headcount.intake.scanning import (
    Malformed,
    is_object,
    members,
    only_value,
    string_of,
    text_of,
    without_bom,
)
from headcount.intake.work import StepBudget, TooComplex, message_steps

__all__ = [
    "FAST_REFUSALS",
    "NO_AGENT",
    "NO_LIBRARY",
    "IdValue",
    "ImportedRecord",
    "Message",
    "MessageContext",
    "decode_message",
    "decode_message_tolerantly",
    "decode_record",
    "decode_record_tolerantly",
]

IdValue = str | int | float | None
"""An id as it came: a string, an integer, nothing; a float stands for whatever can be no id."""


NO_LIBRARY = msgspec.Raw()
"""What stands for the library of a message that names none."""


NO_AGENT = msgspec.Raw()
"""The same for the browser of a message."""


class MessageContext(msgspec.Struct, gc=False):
    """The context of a message; what it calls its library and its browser is left as it came."""

    library: msgspec.Raw = NO_LIBRARY
    browser: msgspec.Raw = msgspec.field(name="userAgent", default=NO_AGENT)


class Message(msgspec.Struct, rename="camel", gc=False):
    """The fields of a message that decide about it.

    A type, write key or event that is no string is None, like an absent one. A context that is no
    object is there, and nothing is in it.
    """

    type: str | None = None
    write_key: str | None = None
    message_id: IdValue = None
    user_id: IdValue = None
    anonymous_id: IdValue = None
    previous_id: IdValue = None
    group_id: IdValue = None
    event: str | None = None
    context: MessageContext | str | int | float | bool | list[msgspec.Raw] | None = None

    @property
    def library(self) -> msgspec.Raw:
        """What it calls its library, as it came; `NO_LIBRARY` where it does not."""
        context = self.context
        return context.library if isinstance(context, MessageContext) else NO_LIBRARY

    @property
    def browser(self) -> msgspec.Raw:
        """What it says of its browser, as it came; `NO_AGENT` where it does not."""
        context = self.context
        return context.browser if isinstance(context, MessageContext) else NO_AGENT


class ImportedRecord(Message, rename="camel", gc=False):
    """A message that brings its own time and source; a time that is no string is empty."""

    source_id: str | None = None
    project_id: str | None = None
    received_at: str | None = None
    occurred_at: str | None = msgspec.field(name="timestamp", default=None)


FAST_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the fast decoder raises for all that it leaves to the tolerant one."""

_fast_message = msgspec.json.Decoder(Message).decode
_fast_record = msgspec.json.Decoder(ImportedRecord).decode


def decode_message(raw: bytes | msgspec.Raw, budget: StepBudget | None = None) -> Message | Reason:
    """The message in a piece of JSON, or why it is none.

    Args:
        raw: the piece.
        budget: of the request that brings it, for the tolerant decoder; without one it has
            what a message may take.
    """
    try:
        return _fast_message(raw)
    except FAST_REFUSALS:
        if budget is not None and not budget.left:
            return Reason.TOO_COMPLEX
        return decode_message_tolerantly(bytes(raw), budget)


def decode_record(raw: bytes, budget: StepBudget | None = None) -> ImportedRecord | Reason:
    """The record in a line of JSON, or why it is none; see `decode_message`."""
    try:
        return _fast_record(raw)
    except FAST_REFUSALS:
        if budget is not None and not budget.left:
            return Reason.TOO_COMPLEX
        return decode_record_tolerantly(raw, budget)


def decode_message_tolerantly(raw: bytes, budget: StepBudget | None = None) -> Message | Reason:
    """What `decode_message` does, by the tolerant decoder alone."""
    return _decode_tolerantly(raw, Message, _MESSAGE_FIELDS, budget)


def decode_record_tolerantly(
    raw: bytes, budget: StepBudget | None = None
) -> ImportedRecord | Reason:
    """What `decode_record` does, by the tolerant decoder alone."""
    return _decode_tolerantly(raw, ImportedRecord, _RECORD_FIELDS, budget)


def _time(token: bytes) -> str | None:
    # A time of another kind is wrong, not absent: no later field may take its place.
    return None if token == b"null" else string_of(token) or ""


def _id(token: bytes) -> IdValue:
    if token.startswith(b'"'):
        return text_of(token)
    if token == b"null":
        return None
    if token.lstrip(b"-").isdigit():
        # An integer is its decimal text, however large: no conversion, so no limit to meet.
        return "0" if token == b"-0" else token.decode()
    return _NO_ID


_NO_ID = 0.5

# What it costs that the fast decoder has tried before, and to begin anew.
_FALL_STEPS = 4

_Field = tuple[str, Callable[[bytes], IdValue]]
_M = TypeVar("_M", bound=Message)

_MESSAGE_FIELDS: Mapping[bytes, _Field] = {
    b"type": ("type", string_of),
    b"writeKey": ("write_key", string_of),
    b"messageId": ("message_id", _id),
    b"userId": ("user_id", _id),
    b"anonymousId": ("anonymous_id", _id),
    b"previousId": ("previous_id", _id),
    b"groupId": ("group_id", _id),
    b"event": ("event", string_of),
}
_RECORD_FIELDS: Mapping[bytes, _Field] = {
    **_MESSAGE_FIELDS,
    b"sourceId": ("source_id", string_of),
    b"projectId": ("project_id", string_of),
    b"receivedAt": ("received_at", _time),
    b"timestamp": ("occurred_at", _time),
}


def _context(token: bytes, budget: StepBudget) -> MessageContext | None:
    if not token.startswith(b"{"):
        return None
    library, browser = NO_LIBRARY, NO_AGENT
    for name, (start, end) in members(token, budget):
        if name == b"library":
            library = msgspec.Raw(token[start:end])
        elif name == b"userAgent":
            browser = msgspec.Raw(token[start:end])
    return MessageContext(library, browser)


def _decode_tolerantly(
    raw: bytes, kind: type[_M], fields: Mapping[bytes, _Field], budget: StepBudget | None
) -> _M | Reason:
    data = without_bom(raw)
    steps = message_steps(len(data))
    own = StepBudget(steps) if budget is None else budget.part(steps)
    parts: dict[str, Any] = {}
    try:
        own.spend(_FALL_STEPS)
        if not is_object(data):
            only_value(data, own)
            return Reason.NOT_AN_OBJECT
        for name, (start, end) in members(data, own):
            field = fields.get(name)
            if field is not None:
                parts[field[0]] = field[1](data[start:end])
            elif name == b"context":
                parts["context"] = _context(data[start:end], own)
    except Malformed:
        return Reason.MALFORMED_JSON
    except TooComplex:
        return Reason.TOO_COMPLEX
    finally:
        if budget is not None:
            budget.spend(own.spent)
    return kind(**parts)
