"""Three ways to take a batch apart, one result; and no message spoils the others."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headcount.intake import Limits
from headcount.intake.batches import (
    Items,
    decode_batch,
    decode_item,
    decode_whole,
    find_items,
    find_items_tolerantly,
)
from headcount.intake.decoding import Message, decode_message
from headcount.intake.reasons import Reason, Refused
from headcount.intake.work import StepBudget, Work, at_once
from support.generated_json import (
    any_bytes,
    judged,
    message_bytes,
    nearly_message_bytes,
    texts,
    values,
)


def decoded(body: bytes, limits: Limits) -> tuple[str | None, list[Message | Reason]]:
    """The key of a batch, and what becomes of all its items."""
    budget = StepBudget(limits.request_steps_max)
    batch = at_once(decode_batch(body, limits, budget))
    others = [decode_item(item, limits, budget) for item in batch.items]
    return batch.write_key, [*batch.plain, *others]


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
def test_both_ways_find_the_same_items(body: bytes) -> None:
    def seen(find: Callable[[bytes, int, StepBudget], Work[Items]]) -> object:
        try:
            batch = at_once(find(body, 100, StepBudget(10**9)))
        except Refused as refused:
            return refused.reason
        # The text around a message may be white space in one and not in the other.
        return batch.write_key or None, [bytes(raw).strip() for raw in batch.batch]

    assert seen(find_items) == seen(find_items_tolerantly)


ids = st.text(max_size=3)
sent_messages = st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "page", "group"]), "messageId": ids},
    optional={
        "userId": ids | st.integers(),
        "event": ids,
        # What looks like the boundary between two messages, and is none.
        "products": st.lists(st.fixed_dictionaries({"type": ids}), max_size=3),
        "text": st.sampled_from(['}, {"type":', '"}]', '"batch"']),
    },
)
sent_bodies = st.builds(
    lambda messages, compact, tail: (
        json.dumps({"batch": messages}, separators=(",", ":") if compact else None)[:-1] + tail
    ).encode(),
    st.lists(sent_messages, min_size=1, max_size=8),
    st.booleans(),
    st.sampled_from(
        ["}", ', "sentAt": "x"}', ',"writeKey":"k"}', ', "writeKey": 5}', "", "}}", ".5}", ",}",
         ',"batch":[{"type":"page"}]}', r',"b\u0061tch":[{"type":"page"}]}', ',"x":[{"a":1}]}',
         ',"writeKey":"k","writeKey":"last"}', ',"x":{"batch":[]}}']
    ),
)  # fmt: skip


@given(sent_bodies | envelopes, st.integers(20, 200))
@example(b'{"batch":[{"a":1},{"a":[{"a":1},{"a":2}]},{"a":3}]}', 20)
@example(b'{"batch":[{"type":"page"}],"batch":[{"type":"x"}]}', 99)
@example(b'{"batch":[{"type":"page"}],"batch":[]}', 99)
@example(rb'{"batch":[{"type":"page"}],"b\u0061tch":null}', 99)
@example(b'{"batch":[{"type":"page"}].5}', 99)
def test_a_batch_is_what_its_items_are(body: bytes, bytes_max: int) -> None:
    limits = Limits(message_bytes_max=bytes_max, batch_messages_max=100)

    def together() -> object:
        write_key, messages = decoded(body, limits)
        return write_key or None, [judged(message) for message in messages]

    def one_by_one() -> object:
        items = at_once(find_items_tolerantly(body, limits.batch_messages_max, StepBudget(10**9)))
        messages = [
            Reason.MESSAGE_TOO_LARGE if len(item) > bytes_max else decode_message(item)
            for item in items.batch
        ]
        return items.write_key or None, [judged(message) for message in messages]

    def result_of(way: Callable[[], object]) -> object:
        try:
            return way()
        except Refused as refused:
            return refused.reason

    assert result_of(together) == result_of(one_by_one)


@pytest.mark.parametrize("separators", [None, (",", ":")], ids=["Python", "others"])
def test_batches_as_clients_send_them_are_decoded_whole(separators: tuple[str, str] | None) -> None:
    # Item by item they would be taken too, only slower: so this guards the speed.
    messages = [
        {"context": {"n": n, "list": [{"context": 1}]}, "type": "track", "userId": "u" * 300}
        for n in range(100)
    ]
    body = json.dumps({"batch": messages, "writeKey": "k"}, separators=separators).encode()
    whole = at_once(decode_whole(body, 4096))
    assert whole is not None
    assert (len(whole.plain), whole.write_key) == (100, "k")
    assert at_once(decode_batch(body, Limits(), StepBudget(0))).plain


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
        # However large it is.
        (b"nonsense" * 100_000, Reason.MALFORMED_JSON),
        (b"[" + b'{"userId":"u"},' * 50_000 + b"{}]", Reason.NOT_AN_OBJECT),
        (b'{"batch":[' + b'{"userId":"u"},' * 50_000, Reason.MALFORMED_JSON),
    ],
)
def test_what_is_no_batch_is_refused_by_name(body: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        decoded(body, Limits(batch_messages_max=3))
    assert refused.value.reason is reason


def test_one_malformed_message_is_cut_out_of_its_batch() -> None:
    body = b'{"batch":[{"userId":"a"},{"x":NaN},{"x":[}},{"userId":"\\ud800"},null],"writeKey":"k"}'
    write_key, messages = decoded(body, Limits())
    assert write_key == "k"
    assert [m if isinstance(m, Reason) else m.user_id for m in messages] == [
        "a", Reason.MALFORMED_JSON, Reason.MALFORMED_JSON, "\ud800", Reason.NOT_AN_OBJECT,
    ]  # fmt: skip


def test_a_deep_message_does_not_spoil_its_batch() -> None:
    deep = b'{"userId":"deep","x":' + b"[" * 15_000 + b"]" * 15_000 + b"}"
    _, messages = decoded(b'{"batch":[' + deep + b',{"userId":"flat"}]}', Limits())
    assert [getattr(message, "user_id", None) for message in messages] == ["deep", "flat"]
