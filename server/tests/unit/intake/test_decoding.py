"""Two decoders, one result; and no input that either of them trips over."""

import msgspec
import pytest
from hypothesis import example, given

from headcount.intake.admission import fact_tail
from headcount.intake.decoding import (
    ImportedRecord,
    Message,
    decode_message,
    decode_message_tolerantly,
    decode_record,
    decode_record_tolerantly,
)
from headcount.intake.reasons import Reason
from support.generated_json import FRESH, any_bytes, judged
from support.intake import HASHER


@given(any_bytes)
@example(b'{"userId":-0}')
@example(b'{"userId":1.0}')
@example(b'{"userId":"\xff"}')
@example(b'{"properties":"\xff","userId":"a","type":"page"}')
@example(b'{"user\\u0049d":"a"}')
@example(b'{"\xff\\n":1,"userId":"a","type":"page"}')
@example(b'{"userId":' + b"9" * 4300 + b"}")
@example(b'{"userId":' + b"9" * 5000 + b"}")
@example(b'{"receivedAt":7,"timestamp":"2026-11-23T10:00:00Z"}')
def test_both_decoders_give_the_same_result(data: bytes) -> None:
    assert judged(decode_message(data)) == judged(decode_message_tolerantly(data))
    assert judged(decode_record(data)) == judged(decode_record_tolerantly(data))


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


def test_the_fast_decoder_takes_what_clients_send() -> None:
    # The tolerant one would take it too, only ten times slower: so this guards the speed.
    for kind in (Message, ImportedRecord):
        decoded = msgspec.json.decode(
            b'{"type":"track","event":"e","userId":7,"anonymousId":"a","messageId":"m",'
            b'"groupId":null,"previousId":"p","properties":{"x":[1,2.5,"\\u00e9"]}}',
            type=kind,
        )
        assert (decoded.user_id, decoded.anonymous_id, decoded.group_id) == (7, "a", None)
