"""Bodies of the address that takes any: one message, an array of them, CloudEvents around them.

Takes a body, gives a message or a batch as the other addresses take them: unwrapped, and completed
by what an event says around its message: a type where that has none, and an id, so that an event
that is delivered again is counted once. An event is known by its source and id together
(CloudEvents 1.0, section 3.1).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

import msgspec

from headcount.counting.facts import MESSAGE_TYPES
from headcount.intake.admission import has_message_id
from headcount.intake.batches import find_array
from headcount.intake.decoding import FAST_REFUSALS, decode_message
from headcount.intake.headers import HeaderMap
from headcount.intake.ports import Limits
from headcount.intake.reasons import Reason, Refused
from headcount.intake.scanning import (
    JSON_SPACE,
    Malformed,
    members,
    skip_space,
    string_of,
    without_bom,
)
from headcount.intake.work import (
    TURN_STEPS,
    StepBudget,
    TooComplex,
    Work,
    message_steps,
    messages_a_turn,
)

__all__ = ["in_batch", "is_array", "plain_batch", "plain_message"]

# An event may have as much around its message as the message itself, or hold it in base64.
_ENVELOPE_FACTOR = 2
_SAID_OF_EVENT = (b"ce-id", b"ce-source", b"ce-type")
_WORD = re.compile("[A-Za-z]+")


class _Event(msgspec.Struct):
    """A CloudEvent in JSON."""

    specversion: str | None = None
    id: str | None = None
    source: str | None = None
    type: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None


_fast_event = msgspec.json.Decoder(_Event).decode
_EVENT_NAMES = frozenset(name.encode() for name in _Event.__struct_fields__)


def is_array(body: bytes) -> bool:
    """Whether a body begins like an array."""
    body = without_bom(body)
    at = skip_space(body, 0)
    return body[at : at + 1] == b"["


def in_batch(message: bytes) -> bytes:
    """The body of a batch of one message, which is known to be JSON."""
    return b'{"batch":[' + without_bom(message) + b"]}"


def plain_message(body: bytes, headers: HeaderMap, limits: Limits) -> bytes:
    """The message in a body that is one, or a CloudEvent around one, or that of a binary event.

    Raises:
        Refused: it is an event, and what it holds is no message.
    """
    budget = StepBudget(message_steps(limits.message_bytes_max))
    if b"ce-specversion" in headers:
        said = (headers.get(name, b"").decode("latin-1") for name in _SAID_OF_EVENT)
        message = _completed(body, budget, *said)
    else:
        message = _unwrapped(body, limits, budget)
    if isinstance(message, Reason):
        raise Refused(message)
    return message


def plain_batch(body: bytes, limits: Limits) -> Work[bytes]:
    """The batch of a body that is an array, each event in it unwrapped, turn by turn.

    What is no message in an event is left as nothing (null), so that all others keep their index.

    Raises:
        Refused: the array is unreadable as a whole, or too long.
    """
    budget = StepBudget(limits.request_steps_max)
    items = yield from find_array(body, limits, budget)
    parts: list[bytes] = []
    a_turn = messages_a_turn(len(items), len(body))
    next_index, next_steps = a_turn, budget.spent + TURN_STEPS
    for index, item in enumerate(items):
        if index >= next_index or budget.spent >= next_steps:
            next_index, next_steps = index + a_turn, budget.spent + TURN_STEPS
            yield
        message = _unwrapped(bytes(item), limits, budget)
        parts.append(b"null" if isinstance(message, Reason) else message)
    return b'{"batch":[' + b",".join(parts) + b"]}"


def _unwrapped(data: bytes, limits: Limits, budget: StepBudget) -> bytes | Reason:
    """The message in an event; whatever is none as it is, for others to refuse."""
    # Nearly all are plain messages, and this costs them next to nothing.
    if b'"specversion"' not in data or len(data) > _ENVELOPE_FACTOR * limits.message_bytes_max:
        return data
    event = _event(data, budget)
    if event is None or event.specversion is None:
        return data
    message = bytes(event.data)
    if event.data_base64 is not None:
        try:
            message = base64.b64decode(event.data_base64, validate=True)
        except (ValueError, binascii.Error):
            return Reason.MALFORMED_JSON
    # An event without data brings no message.
    return _completed(message or b"null", budget, event.id, event.source, event.type)


def _completed(
    data: bytes,
    budget: StepBudget,
    event_id: str | None,
    source: str | None,
    event_type: str | None,
) -> bytes | Reason:
    """A message with what its event says, where it says that not itself."""
    data = without_bom(data).strip(JSON_SPACE)
    message = decode_message(data, budget)
    if isinstance(message, Reason):
        return message
    said: dict[str, str] = {}
    # Types of events are names such as com.example.track.
    words = _WORD.findall(event_type or "")
    if message.type is None and words and words[-1] in MESSAGE_TYPES:
        said["type"] = words[-1]
    if event_id and not has_message_id(message):
        named = f"{source or ''}\0{event_id}".encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(named, digest_size=32).hexdigest()
        said["messageId"] = f"CloudEvent {digest}"
    if not said:
        return data
    # Behind all else, since of a name that occurs twice the last one counts.
    rest = data[:-1].rstrip(JSON_SPACE)
    comma = b"" if rest.endswith(b"{") else b","
    return rest + comma + msgspec.json.encode(said)[1:]


def _event(data: bytes, budget: StepBudget) -> _Event | None:
    """The event in a piece of JSON; None where there is none, or it costs too much to find."""
    try:
        return _fast_event(data)
    except FAST_REFUSALS:
        pass
    data = without_bom(data)
    own = budget.part(message_steps(len(data)))
    found: dict[str, Any] = {}
    try:
        for name, (start, end) in members(data, own):
            if name == b"data":
                found["data"] = msgspec.Raw(data[start:end])
            elif name in _EVENT_NAMES:
                found[name.decode()] = string_of(data[start:end])
    except (Malformed, TooComplex):
        return None
    finally:
        budget.spend(own.spent)
    return _Event(**found)
