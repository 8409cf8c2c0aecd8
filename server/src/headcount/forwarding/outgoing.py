"""A letter as the request that a vendor gets: takes what was posted here, gives it unchanged but
for the vendor's write key, an id where a message had none, and without what is left out.

Where nothing has to be changed, the bytes are those that came. Else the values that change are cut
out and others put in their places; the bytes of all others stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from headcount.intake.batches import find_items
from headcount.intake.decoding import FAST_REFUSALS
from headcount.intake.delimiting import elements
from headcount.intake.reasons import Refused
from headcount.intake.scanning import (
    Malformed,
    Span,
    members,
    name_at,
    opened_object,
    separator,
    value_end,
    without_bom,
)
from headcount.intake.work import StepBudget, TooComplex, at_once
from headcount.spool.letters import Letter, made_id

__all__ = ["Outgoing", "Unreadable", "outgoing"]

# Intake has read all of this within its own bounds.
_STEPS = 1 << 40
_ITEMS_MAX = 1 << 40
_ABSENT = (b"null", b'""')


class Unreadable(Exception):
    """What intake has taken cannot be taken apart here: a fault of Headcount."""


class Outgoing(NamedTuple):
    """A request to a vendor.

    Attributes:
        path: of its tracking API, such as `/v1/track`.
        body: JSON.
    """

    path: str
    body: bytes


class _Keys(msgspec.Struct, rename="camel"):
    """What may have to be changed in a message."""

    message_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    write_key: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_keys_of = msgspec.json.Decoder(_Keys).decode


def outgoing(letter: Letter, write_key: str) -> Outgoing:
    """The request that delivers a letter.

    Args:
        letter: from the spool.
        write_key: the vendor's.

    Raises:
        Unreadable: the letter's body is not what intake takes.
    """
    data = without_bom(letter.body)
    try:
        if letter.message_type:
            body = _message(data, made_id(letter.id_stem, 0), write_key)
            return Outgoing(f"/v1/{letter.message_type}", body)
        return Outgoing("/v1/batch", _batch(data, letter, write_key))
    except (Malformed, TooComplex, Refused) as error:
        raise Unreadable from error


def _message(data: bytes, message_id: str, write_key: str) -> bytes:
    """A message with an id and, if it names a write key, the vendor's."""
    try:
        keys = _keys_of(data)
        if keys.write_key is msgspec.UNSET and not _is_absent(keys.message_id):
            return data
    except FAST_REFUSALS:
        pass  # what the fast decoder refuses may be a message all the same
    spans: list[tuple[Span, bytes]] = []
    has_id = False
    for name, (start, end) in members(data, StepBudget(_STEPS)):
        if name == b"writeKey":
            spans.append(((start, end), _text(write_key)))
        elif name == b"messageId":
            # Where a name stands twice, the last of them decides.
            has_id = data[start:end] not in _ABSENT
            if not has_id:
                spans.append(((start, end), _text(message_id)))
    if not has_id and not any(value == _text(message_id) for _, value in spans):
        _, at = opened_object(data)
        spans.insert(0, ((at, at), b'"messageId":' + _text(message_id) + b","))
    return _spliced(data, spans)


def _is_absent(value: msgspec.Raw | msgspec.UnsetType) -> bool:
    return value is msgspec.UNSET or bytes(value) in _ABSENT


def _batch(data: bytes, letter: Letter, write_key: str) -> bytes:
    """A batch without what is left out, its messages with ids."""
    found = at_once(find_items(data, _ITEMS_MAX, StepBudget(_STEPS)))
    left_out = set(letter.left_out)
    is_changed = bool(left_out)
    items: list[bytes] = []
    for index, raw in enumerate(found.batch):
        if index in left_out:
            continue
        item = bytes(raw)
        sent = _message(item, made_id(letter.id_stem, index), write_key)
        is_changed |= sent is not item
        items.append(sent)
    if not is_changed and found.write_key is None and b'"writeKey"' not in data:
        return data
    spans: list[tuple[Span, bytes]] = []
    for name, span in _members_around(data):
        if name == b"batch":
            spans.append((span, b"[" + b",".join(items) + b"]"))
        elif name == b"writeKey":
            spans.append((span, _text(write_key)))
    return _spliced(data, spans)


def _members_around(data: bytes) -> Iterator[tuple[bytes, Span]]:
    """The members of a batch's body, as `members`, though a message in it be malformed."""
    budget = StepBudget(_STEPS)
    mark, at = opened_object(data)
    while mark == b",":
        name, start = name_at(data, at)
        end = start
        if name == b"batch" and data[start : start + 1] == b"[":
            for _, reached in elements(data, start, budget):
                end = reached
        else:
            end = value_end(data, start, budget)
        yield name, (start, end)
        mark, at = separator(data, end, b"}")


def _spliced(data: bytes, spans: Iterable[tuple[Span, bytes]]) -> bytes:
    """Some bytes with others in the places of some spans, which come in order."""
    parts: list[bytes] = []
    done = 0
    for (start, end), value in spans:
        parts += (data[done:start], value)
        done = end
    parts.append(data[done:])
    return b"".join(parts)


def _text(text: str) -> bytes:
    return json.dumps(text).encode()
