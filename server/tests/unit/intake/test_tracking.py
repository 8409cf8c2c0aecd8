"""Bodies become facts, tallies and answers; one bad message costs only itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.facts import MESSAGE_TYPES, Rejection
from headcount.intake import Limits, Reason, SourceRef
from headcount.intake.reasons import Refused
from headcount.intake.tracking import BatchResult, Receipt, Tracker
from headcount.intake.work import at_once
from support.intake import APP, HASHER, NOW_MS, TODAY, WEB, Keys, unpack

RECEIPT = Receipt(NOW_MS, "analytics-python")
TRACKER = Tracker(Keys(), HASHER, Limits())

GOOD = {"type": "page", "userId": "u"}


def take(*messages: object, source: SourceRef | None = WEB, **envelope: object) -> BatchResult:
    body = json.dumps({"batch": messages, **envelope}).encode()
    return at_once(TRACKER.take_batch(body, RECEIPT, source))


def padded(size: int) -> bytes:
    """A good message of so many bytes."""
    start = b'{"type":"page","userId":"u","x":"'
    return start + b"x" * (size - len(start) - 2) + b'"}'


def test_a_message_becomes_a_fact() -> None:
    body = b'{"userId":"u","anonymousId":"a","messageId":"m","event":"e"}'
    (fact,) = unpack(TRACKER.take_message(body, "track", RECEIPT, WEB).facts)
    assert fact == (
        NOW_MS, 1, 2, "track", "analytics-python", 0,
        HASHER.message("m"), HASHER.tracked("u"), HASHER.tracked("a"), None,
    )  # fmt: skip


def test_the_path_decides_the_type_of_a_single_message() -> None:
    (fact,) = unpack(
        TRACKER.take_message(json.dumps(GOOD).encode(), "identify", RECEIPT, WEB).facts
    )
    assert fact.message_type == "identify"


@pytest.mark.parametrize("message_type", MESSAGE_TYPES)
def test_in_a_batch_each_message_says_its_type(message_type: str) -> None:
    message = {"type": message_type, "userId": "u", "event": "e", "groupId": "g", "previousId": "p"}
    (fact,) = unpack(take(message).facts)
    assert fact.message_type == message_type
    assert fact.previous == (HASHER.tracked("p") if message_type == "alias" else None)


def test_an_empty_batch_is_nothing_at_all() -> None:
    assert take() == BatchResult(b"", [], [], WEB)


def test_bad_messages_are_listed_tallied_and_cost_only_themselves() -> None:
    result = take(
        GOOD, None, {"type": "order"}, {"userId": "u"}, GOOD, 5, {"type": "track", "userId": "u"},
        {"type": "page", "userId": True}, {"type": "page", "userId": "u", "messageId": []},
        {"type": 5, "userId": "u"}, GOOD,
    )  # fmt: skip
    assert len(unpack(result.facts)) == 3
    assert result.rejected == [
        (1, Reason.NOT_AN_OBJECT), (2, Reason.UNKNOWN_TYPE), (3, Reason.UNKNOWN_TYPE),
        (5, Reason.NOT_AN_OBJECT), (6, Reason.EVENT_NOT_STRING), (7, Reason.INVALID_ID),
        (8, Reason.INVALID_MESSAGE_ID), (9, Reason.UNKNOWN_TYPE),
    ]  # fmt: skip
    assert sorted(result.rejections) == [
        Rejection(1, 2, TODAY, "event_not_string", 1),
        Rejection(1, 2, TODAY, "invalid_id", 1),
        Rejection(1, 2, TODAY, "invalid_message_id", 1),
        Rejection(1, 2, TODAY, "not_an_object", 2),
        Rejection(1, 2, TODAY, "unknown_type", 3),
    ]


@pytest.mark.parametrize("space", [b"", b" \n" * 40_000])
def test_a_message_may_have_32_kib_of_json_and_any_white_space_around(space: bytes) -> None:
    bound = 32 * 1024
    good, bad = padded(bound), padded(bound + 1)
    body = b'{"batch":[' + space + good + space + b"," + bad + b"]}"
    result = at_once(TRACKER.take_batch(body, RECEIPT, WEB))
    assert result.rejected == [(1, Reason.MESSAGE_TOO_LARGE)]
    assert result.rejections == [Rejection(1, 2, TODAY, "message_too_large", 1)]
    assert len(unpack(result.facts)) == 1
    assert TRACKER.take_message(space + good + space, "page", RECEIPT, WEB)
    with pytest.raises(Refused) as refused:
        TRACKER.take_message(bad, "page", RECEIPT, WEB)
    assert refused.value.reason is Reason.MESSAGE_TOO_LARGE
    assert refused.value.source is WEB


def test_a_key_in_the_header_goes_before_all_others() -> None:
    message = {**GOOD, "writeKey": "no-such-key"}
    result = take(message, source=APP, writeKey="web-key")
    assert [fact.source for fact in unpack(result.facts)] == [APP.source]


def test_a_key_in_the_body_goes_before_those_of_messages() -> None:
    result = take({**GOOD, "writeKey": "app-key"}, source=None, writeKey="web-key")
    assert [fact.source for fact in unpack(result.facts)] == [WEB.source]


def test_without_a_key_of_the_request_each_message_brings_its_own() -> None:
    result = take(
        {**GOOD, "writeKey": "app-key"},
        {**GOOD, "writeKey": "web-key"},
        {**GOOD, "writeKey": "no-such-key"},
        {**GOOD, "writeKey": "off-key"},
        GOOD,
        {"type": "page", "writeKey": "app-key"},
        source=None, writeKey=None,
    )  # fmt: skip
    assert [fact.source for fact in unpack(result.facts)] == [APP.source, WEB.source]
    assert result.rejected == [
        (2, Reason.UNKNOWN_WRITE_KEY), (3, Reason.UNKNOWN_WRITE_KEY), (4, Reason.NO_WRITE_KEY),
        (5, Reason.NO_USER_ANON_ID),
    ]  # fmt: skip
    # Only a rejection with a source can be put to somebody's account.
    assert result.rejections == [Rejection(1, APP.source, TODAY, "no_user_anon_id", 1)]


@pytest.mark.parametrize("write_key", ["", None, 5, "no-such-key", "off-key"])
def test_a_request_without_a_good_key_is_refused(write_key: object) -> None:
    reason = Reason.UNKNOWN_WRITE_KEY if str(write_key).endswith("-key") else Reason.NO_WRITE_KEY
    with pytest.raises(Refused) as refused:
        take(GOOD, source=None, writeKey=write_key)
    assert refused.value.reason is reason
    body = json.dumps({**GOOD, "writeKey": write_key}).encode()
    with pytest.raises(Refused) as refused:
        TRACKER.take_message(body, "page", RECEIPT, None)
    assert refused.value.reason is reason
    assert refused.value.source is None


def test_a_single_message_names_its_source_by_its_own_key() -> None:
    body = json.dumps({**GOOD, "writeKey": "app-key"}).encode()
    assert unpack(TRACKER.take_message(body, "page", RECEIPT, None).facts)[0].source == APP.source
    with pytest.raises(Refused) as refused:
        TRACKER.take_message(b'{"writeKey":"app-key"}', "page", RECEIPT, None)
    assert (refused.value.reason, refused.value.source) == (Reason.NO_USER_ANON_ID, APP)


@given(
    st.lists(st.sampled_from([GOOD, None, {}, {"type": "page"}, {"type": "alias", "userId": "u"}]))
)
def test_every_message_of_a_batch_is_either_a_fact_or_rejected(messages: list[object]) -> None:
    result = take(*messages)
    assert len(unpack(result.facts)) + len(result.rejected) == len(messages)
    assert sum(tally.messages for tally in result.rejections) == len(result.rejected)
    assert all(messages[index] != GOOD for index, _ in result.rejected)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"writeKey":"web-key","batch":[]}', WEB),
        (b'{"batch": [' + b" " * 5_000 + b'], "sentAt": "now", "writeKey": "app-key"}', APP),
        (b'{"batch":[],"writeKey":"off-key"}', None),
        (b'{"batch":[],"writeKey":"nobody\xff"}', None),
        (b'{"batch":[' + b" " * 5_000 + b'{"writeKey":"web-key"}' + b" " * 5_000 + b"]}", None),
        (b"", None),
    ],
)
def test_a_body_tells_its_source_before_it_is_decoded(body: bytes, found: SourceRef | None) -> None:
    assert TRACKER.likely_source(body) == found
