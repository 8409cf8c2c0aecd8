"""The rules that a message must meet, and what is kept of it: takes a `Message`, gives its hashes
as the end of a fact, or the reason for which it is rejected.

Order matters where a message breaks several rules, so that its reason is always the same one:
first the ids' kinds and lengths, then what its type needs.
"""

from __future__ import annotations

from headcount.counting.facts import ABSENT, LIBRARIES, MESSAGE_TYPES, tags_of
from headcount.counting.hashing import IdHasher
from headcount.intake.decoding import IdValue, Message
from headcount.intake.reasons import Reason

__all__ = ["ID_CHARACTERS_MAX", "MESSAGE_ID_CHARACTERS_MAX", "TAGS", "fact_tail", "has_message_id"]

ID_CHARACTERS_MAX = 1024
MESSAGE_ID_CHARACTERS_MAX = 100

TAGS = {
    library: {message_type: tags_of(message_type, library) for message_type in MESSAGE_TYPES}
    for library in LIBRARIES
}
"""The tags of a fact by library and message type."""


def has_message_id(message: Message) -> bool:
    """Whether a message brings an id of its own; null and the empty string are none."""
    return message.message_id is not None and message.message_id != ""


def fact_tail(
    hasher: IdHasher, message: Message, message_type: str, made_message_id: bytes | None = None
) -> bytes | Reason:
    """The hashes that end a message's fact, or why the message is rejected.

    Args:
        hasher: hashes ids under the key of the message's month.
        message: what was decoded.
        message_type: one of `MESSAGE_TYPES`; the path or the message itself said so.
        made_message_id: hash to use for a message without an id; without it, a fresh one is made.
    """
    message_id = _id_text(message.message_id, MESSAGE_ID_CHARACTERS_MAX)
    if message_id is None:
        return Reason.INVALID_MESSAGE_ID
    user_id = _id_text(message.user_id, ID_CHARACTERS_MAX)
    anonymous_id = _id_text(message.anonymous_id, ID_CHARACTERS_MAX)
    if user_id is None or anonymous_id is None:
        return Reason.INVALID_ID
    previous = ABSENT
    if message_type == "alias":
        previous_id = _id_text(message.previous_id, ID_CHARACTERS_MAX)
        if previous_id is None:
            return Reason.INVALID_ID
        if not user_id:
            return Reason.NO_USER_ID
        if not previous_id:
            return Reason.NO_PREVIOUS_ID
        previous = hasher.tracked(previous_id)
    elif not user_id and not anonymous_id:
        return Reason.NO_USER_ANON_ID
    elif message_type == "track":
        if message.event is None:
            return Reason.EVENT_NOT_STRING
    elif message_type == "group":
        group_id = message.group_id
        if isinstance(group_id, float):
            return Reason.INVALID_ID
        if group_id is None or group_id == "":
            return Reason.NO_GROUP_ID
    if message_id:
        known_by = hasher.message(message_id)
    else:
        known_by = made_message_id or hasher.fresh_message()
    hashes = (
        known_by,
        hasher.tracked(user_id) if user_id else ABSENT,
        hasher.tracked(anonymous_id) if anonymous_id else ABSENT,
        previous,
    )
    if hasher.also is None:
        return b"".join(hashes)
    # An id that was made is never met in another month: one is fresh, and the other is made of all
    # bytes of a record, its time among them.
    return b"".join((*hashes, hasher.also(message_id) if message_id else known_by))


def _id_text(value: IdValue, characters_max: int) -> str | None:
    """The text of an id, empty when it is absent; None when it can be no id."""
    if isinstance(value, str):
        text = value
    elif value is None:
        return ""
    elif isinstance(value, float) or value.bit_length() > 4 * characters_max:
        # An integer of so many bits has more digits than that; writing them would cost much.
        return None
    else:
        text = str(value)
    return text if len(text) <= characters_max else None
