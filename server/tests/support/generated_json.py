"""Generated messages, right and nearly right, and what can become of them."""

import json
from typing import Any

from hypothesis import strategies as st

from headcount.counting.facts import MESSAGE_TYPES
from headcount.intake.admission import fact_tail
from headcount.intake.decoding import ImportedRecord, Message
from headcount.intake.reasons import Reason
from support.intake import HASHER

FRESH = b"fresh id"

FIELDS = [
    "type", "writeKey", "messageId", "userId", "anonymousId", "previousId", "groupId", "event",
    "sourceId", "receivedAt", "timestamp", "properties", "ключ",
]  # fmt: skip

texts = st.text(max_size=8) | st.sampled_from(["", *MESSAGE_TYPES, "\ud800", "a\0b", "x" * 1025])
scalars = (
    texts | st.none() | st.booleans() | st.integers() | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([2**64, 10**1023, 0, -1])
)  # fmt: skip
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
# A message as members in order, so that names can be there twice.
message_members = st.lists(
    st.tuples(st.sampled_from(FIELDS), scalars | values), max_size=8
) | st.tuples(st.sampled_from(MESSAGE_TYPES), texts, texts).map(
    lambda parts: [("type", parts[0]), ("userId", parts[1]), ("event", parts[2])]
)


def as_json(members: list[tuple[str, Any]], *, ascii_only: bool = True) -> bytes:
    body = ",".join(
        f"{json.dumps(name, ensure_ascii=ascii_only)}:{json.dumps(value, ensure_ascii=ascii_only)}"
        for name, value in members
    )
    return ("{" + body + "}").encode("utf-8", "surrogatepass")


message_bytes = st.builds(as_json, message_members, ascii_only=st.booleans())
nearly_message_bytes = st.builds(
    lambda data, at, extra: data[: at % (len(data) + 1)] + extra + data[at % (len(data) + 1) + 1 :],
    message_bytes,
    st.integers(0, 500),
    st.sampled_from([b"", b"\xff", b'"', b"\\", b"}", b"\x00", b"1e400", b"NaN", b"\xed\xa0\x80"]),
)
any_bytes = message_bytes | nearly_message_bytes | st.binary(max_size=40)


def judged(message: Message | Reason) -> list[object]:
    """All that can become of a message: its hashes or its refusal under every type."""
    if isinstance(message, Reason):
        return [message]
    tails: list[object] = [fact_tail(HASHER, message, t, FRESH) for t in MESSAGE_TYPES]
    record = isinstance(message, ImportedRecord)
    times = [message.source_id, message.received_at, message.occurred_at] if record else []
    return [message.type, message.write_key or None, *tails, *times]
