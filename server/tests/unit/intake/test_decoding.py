"""Two decoders, one result; and no input that either of them trips over."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headcount.intake.admission import fact_tail
from headcount.intake.decoding import (
    ImportedRecord,
    Message,
    decode_batch,
    decode_batch_tolerantly,
    decode_message,
    decode_message_tolerantly,
    decode_record,
    decode_record_tolerantly,
)
from headcount.intake.reasons import Reason, Refused
from headcount.metering.facts import MESSAGE_TYPES
from unit.intake.support import HASHER

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


@given(any_bytes)
@example(b'{"userId":-0}')
@example(b'{"userId":1.0}')
@example(b'{"userId":"\xff"}')
@example(b'{"properties":"\xff","userId":"a","type":"page"}')
@example(b'{"user\\u0049d":"a"}')
@example(b'{"userId":' + b"9" * 4300 + b"}")
@example(b'{"userId":' + b"9" * 5000 + b"}")
@example(b'{"receivedAt":7,"timestamp":"2026-11-23T10:00:00Z"}')
def test_both_decoders_give_the_same_result(data: bytes) -> None:
    assert judged(decode_message(data)) == judged(decode_message_tolerantly(data))
    assert judged(decode_record(data)) == judged(decode_record_tolerantly(data))


items = st.lists(message_bytes | nearly_message_bytes | values.map(json.dumps).map(str.encode))
envelopes = st.builds(
    lambda key, items, tail: (
        b'{"writeKey":' + json.dumps(key).encode() + b',"batch":[' + b",".join(items) + b"]" + tail
    ),
    texts | st.none() | st.integers(),
    items,
    st.sampled_from(
        [b"}", b"}", b',"sentAt":"x"}', b"", b"]", b"} x", b',"batch":[]}', b',"x":1e9}']
    ),
)


@given(envelopes | any_bytes)
def test_both_decoders_see_the_same_batch(body: bytes) -> None:
    def seen(decode: Any) -> object:
        try:
            batch = decode(body, 100)
        except Refused as refused:
            return refused.reason
        # The text around a message may be white space in one and not in the other.
        return batch.write_key or None, [bytes(raw).strip() for raw in batch.batch]

    assert seen(decode_batch) == seen(decode_batch_tolerantly)


ODDITIES = {
    "a lone surrogate in an id": (rb'{"userId":"\ud800"}', "\ud800"),
    "a lone surrogate elsewhere": (rb'{"userId":"a","context":{"x":"\udfff"}}', "a"),
    "a NUL in an id": (rb'{"userId":"a\u0000"}', "a\0"),
    "a large integer": (b'{"userId":1180591620717411303424}', "1180591620717411303424"),
    "an integer": (b'{"userId":123}', "123"),
    "a negative zero": (b'{"userId":-0}', "0"),
    "a name twice": (b'{"userId":"first","userId":"last"}', "last"),
    "a name twice, first of another kind": (b'{"userId":{"a":1},"userId":"last"}', "last"),
    "a byte order mark": (b'\xef\xbb\xbf{"userId":"a"}', "a"),
    "a name in escapes": (rb'{"\u0075serId":"a","x":"\ud800"}', "a"),
    "an infinite number elsewhere": (b'{"userId":"a","properties":{"x":1e400}}', "a"),
    "an enormous integer elsewhere": (b'{"userId":"a","x":' + b"7" * 9999 + b"}", "a"),
    "fields of other kinds that do not matter": (
        b'{"userId":"a","event":[1],"groupId":{},"previousId":true,"writeKey":5}', "a",
    ),
    "deep arrays": (b'{"userId":"a","x":' + b"[" * 15_000 + b"]" * 15_000 + b"}", "a"),
    "deep objects": (b'{"x":' + b'{"":' * 8_000 + b"0" + b"}" * 8_000 + b',"userId":"a"}', "a"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "user_id"), ODDITIES.values(), ids=ODDITIES)
def test_ordinary_oddities_are_admitted(data: bytes, user_id: str) -> None:
    message = decode_message(data)
    assert isinstance(message, Message)
    assert str(message.user_id) == user_id
    tail = fact_tail(HASHER, message, "page", FRESH)
    assert isinstance(tail, bytes)
    assert tail[8:16] == HASHER.tracked(user_id)


@pytest.mark.parametrize(
    "value",
    [b"1e400", b"-1e400", b"1.0", b"1e2", b"0.0", b"true", b"false", b"[]", b"{}", b'["a"]',
     b"9" * 1025, b"9" * 5000, b"-" + b"9" * 5000, b'"' + b"a" * 1025 + b'"'],
)  # fmt: skip
@pytest.mark.parametrize("name", [b"userId", b"anonymousId"])
def test_what_can_be_no_id_rejects_the_message(name: bytes, value: bytes) -> None:
    message = decode_message(b'{"userId":"u","anonymousId":"a","' + name + b'":' + value + b"}")
    assert isinstance(message, Message)
    assert fact_tail(HASHER, message, "page") is Reason.INVALID_ID


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"{", b"}", b'{"a":1', b'{"a":1}}', b"{'a':1}", b'{"a":NaN}', b'{"a":Infinity}',
     b'{"a":-Infinity}', b'{"a":01}', b'{"a":1,}', b'{"userId":"\xff"}', b'{"a":"\x01"}', b"nope",
     b'{"a":"\\x"}', b"\xff\xfe{\x00}\x00", b'\x00{"a":1}', b'{"a":1}\x00', b'{"x":[}'],
)  # fmt: skip
def test_malformed_json_is_called_so(data: bytes) -> None:
    assert decode_message(data) is Reason.MALFORMED_JSON


@pytest.mark.parametrize("data", [b"null", b"[]", b"[{}]", b'"text"', b"1", b"true", b"1e400"])
def test_what_is_no_object_is_called_so(data: bytes) -> None:
    assert decode_message(data) is Reason.NOT_AN_OBJECT


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.MALFORMED_JSON),
        (b'{"batch":[', Reason.MALFORMED_JSON),
        (b'{"batch":[{}', Reason.MALFORMED_JSON),
        (b'{"batch":[{}]} {}', Reason.MALFORMED_JSON),
        (b'{"batch":[{},]}', Reason.MALFORMED_JSON),
        (b'{"batch":[NaN]}', Reason.MALFORMED_JSON),
        (b'{"batch":[],"x":NaN}', Reason.MALFORMED_JSON),
        (b"[{}]", Reason.NOT_AN_OBJECT),
        (b"null", Reason.NOT_AN_OBJECT),
        (b"{}", Reason.BATCH_NOT_ARRAY),
        (b'{"batch":null}', Reason.BATCH_NOT_ARRAY),
        (b'{"batch":{"type":"page"}}', Reason.BATCH_NOT_ARRAY),
        (b'{"batch":[],"batch":3}', Reason.BATCH_NOT_ARRAY),
        (b'{"batch":[1,2,3,4]}', Reason.BATCH_TOO_LONG),
        (b'\xef\xbb\xbf{"batch":[1,2,3,4]}', Reason.BATCH_TOO_LONG),
    ],
)
def test_what_is_no_batch_is_refused_by_name(body: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        decode_batch(body, 3)
    assert refused.value.reason is reason


def test_one_malformed_message_is_cut_out_of_its_batch() -> None:
    body = b'{"batch":[{"userId":"a"},{"x":NaN},{"x":[}},{"userId":"\\ud800"},null],"writeKey":"k"}'
    batch = decode_batch(body, 10)
    assert batch.write_key == "k"
    kinds = [decode_message(raw) for raw in batch.batch]
    assert [k if isinstance(k, Reason) else k.user_id for k in kinds] == [
        "a", Reason.MALFORMED_JSON, Reason.MALFORMED_JSON, "\ud800", Reason.NOT_AN_OBJECT,
    ]  # fmt: skip


def test_a_deep_message_does_not_spoil_its_batch() -> None:
    deep = b'{"userId":"deep","x":' + b"[" * 15_000 + b"]" * 15_000 + b"}"
    batch = decode_batch(b'{"batch":[' + deep + b',{"userId":"flat"}]}', 10)
    assert [getattr(decode_message(raw), "user_id", None) for raw in batch.batch] == [
        "deep",
        "flat",
    ]


def test_the_fast_decoder_takes_what_clients_send() -> None:
    # The tolerant one would take it too, only ten times slower: so this guards the speed.
    for kind in (Message, ImportedRecord):
        decoded = msgspec.json.decode(
            b'{"type":"track","event":"e","userId":7,"anonymousId":"a","messageId":"m",'
            b'"groupId":null,"previousId":"p","properties":{"x":[1,2.5,"\\u00e9"]}}',
            type=kind,
        )
        assert (decoded.user_id, decoded.anonymous_id, decoded.group_id) == (7, "a", None)
