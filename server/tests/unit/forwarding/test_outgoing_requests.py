"""What a vendor gets is what was posted, but for its key, ids that were missing, and what is left
out."""

from __future__ import annotations

import json

import pytest

from headcount.forwarding.outgoing import outgoing
from headcount.spool.letters import Letter


def single(body: bytes, message_type: str = "track") -> bytes:
    request = outgoing(Letter(message_type, "stem", [], body), "theirs")
    assert request.path == f"/v1/{message_type}"
    return request.body


def batch(body: bytes, left_out: list[int] | None = None) -> bytes:
    request = outgoing(Letter("", "stem", left_out or [], body), "theirs")
    assert request.path == "/v1/batch"
    return request.body


@pytest.mark.parametrize(
    "body",
    [
        b'{"userId": "u",\n "event":"x" ,"messageId":"m", "n":1.50, "big": 123456789012345678901}',
        b'{"messageId":7,"userId":"u"}',
        b'{"messageId":"\\ud800","userId":"u"}',
    ],
)
def test_a_message_that_lacks_nothing_goes_on_byte_for_byte(body: bytes) -> None:
    assert single(body) == body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{ "userId":"u"}', b'{ "messageId":"stem-0","userId":"u"}'),
        (b'{"messageId":"" ,"userId":"u"}', b'{"messageId":"stem-0" ,"userId":"u"}'),
        (b'{"messageId":null,"userId":"u"}', b'{"messageId":"stem-0","userId":"u"}'),
        (
            b'{"userId":"u","writeKey":"ours"}',
            b'{"messageId":"stem-0","userId":"u","writeKey":"theirs"}',
        ),
        (
            b'{"messageId":"m","writeKey":"ours","a":"\\ud800"}',
            b'{"messageId":"m","writeKey":"theirs","a":"\\ud800"}',
        ),
        # Of two of one name the last decides, here as everywhere.
        (b'{"messageId":"","messageId":"m","userId":"u"}', None),
        (b'{"messageId":"m","messageId":"","userId":"u"}', None),
    ],
)  # fmt: skip
def test_only_key_and_missing_id_change(body: bytes, expected: bytes | None) -> None:
    sent = single(body)
    if expected is not None:
        assert sent == expected
    given = json.loads(body)
    assert json.loads(sent)["messageId"] == (given.get("messageId") or "stem-0")


def test_a_byte_order_mark_goes_away_and_nothing_else() -> None:
    assert single(b'\xef\xbb\xbf{"messageId":"m"}') == b'{"messageId":"m"}'


def test_a_batch_that_lacks_nothing_goes_on_byte_for_byte() -> None:
    body = b'{"sentAt":"x", "batch": [ {"messageId":"1"} , {"messageId":"2"} ] }'
    assert batch(body) == body


def test_a_batch_keeps_what_stands_around_it_and_loses_what_is_left_out() -> None:
    body = (
        b'{"sentAt":"then","writeKey":"ours","batch":[{"messageId":"a","x":1.0},'
        b'{"type":"nope"},{"userId":"u"},{"messageId":"d","writeKey":"ours"}],"context":{"z":1}}'
    )
    assert batch(body, [1]) == (
        b'{"sentAt":"then","writeKey":"theirs","batch":[{"messageId":"a","x":1.0},'
        b'{"messageId":"stem-2","userId":"u"},{"messageId":"d","writeKey":"theirs"}],'
        b'"context":{"z":1}}'
    )


def test_a_malformed_item_that_was_rejected_is_cut_out() -> None:
    body = b'{"batch":[{"messageId":"a"},{"b":tru},{"messageId":"c"}]}'
    assert json.loads(batch(body, [1])) == {"batch": [{"messageId": "a"}, {"messageId": "c"}]}


def test_our_key_is_nowhere_in_what_is_sent() -> None:
    body = b'{"batch":[{"messageId":"a","writeKey":"ours"}],"write\\u004bey":"ours"}'
    assert b"ours" not in batch(body)
