"""No body costs much more than an ordinary one of its size, and none keeps the others waiting.

Work is counted, not timed: in the steps that the tolerant decoder spends, in the calls that Python
makes, and in turns.
"""

from __future__ import annotations

import functools
import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.intake import Limits, Reason, SourceRef
from headcount.intake.batches import decode_batch, decode_item
from headcount.intake.decoding import Message, decode_message, decode_record
from headcount.intake.reasons import Refused
from headcount.intake.records import RecordTaker, take_records
from headcount.intake.tracking import BatchResult, Receipt, Tracker
from headcount.intake.work import (
    TURN_BYTES,
    TURN_MESSAGES,
    TURN_STEPS,
    StepBudget,
    TooComplex,
    Work,
    at_once,
    message_steps,
    messages_a_turn,
)
from support.call_count import counted_calls
from support.expensive_json import ODD, PLAIN, bodies, hostile_items, nested, ordinary
from support.intake import HASHER, NOW_MS, TODAY, WEB, Keys, Past, unpack

MIB = 1 << 20
RECEIPT = Receipt(NOW_MS, "other")
# A fraction of the real bounds, so that all kinds are soon tried.
SMALL = Limits(
    body_bytes_max=4 * MIB // 32,
    batch_messages_max=100_000 // 32,
    request_steps_max=Limits().request_steps_max // 32,
)
KINDS = [kind for kind, _ in bodies(1000)]


def test_kinds_have_names_of_their_own() -> None:
    assert len(set(KINDS)) == len(KINDS)


def body_of(kind: str, size: int) -> bytes:
    return next(body for each, body in bodies(size) if each == kind)


def tolerant_steps(body: bytes, steps: int) -> int:
    """How many steps a body takes, of so many."""
    budget = StepBudget(steps)
    try:
        batch = at_once(decode_batch(body, Limits(), budget))
    except Refused:
        return budget.spent
    for item in batch.items:
        decode_item(item, Limits(), budget)
    return budget.spent


def calls(work: Work[BatchResult]) -> int:
    """How often Python calls something during some work."""
    with counted_calls() as count, suppress(Refused):
        at_once(work)
    return count.calls


def take(body: bytes, source: SourceRef | None, limits: Limits = SMALL) -> Work[BatchResult]:
    return Tracker(Keys(), HASHER, limits).take_batch(body, RECEIPT, source)


def imported(body: bytes) -> Work[BatchResult]:
    taker = RecordTaker(lambda *_: WEB, Past().sealed, HASHER)
    taker.begin(NOW_MS)
    return take_records(body, taker, SMALL)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_linear_in_the_bytes(kind: str) -> None:
    small, large = body_of(kind, 10_000), body_of(kind, 100_000)
    assert tolerant_steps(small, 10**9) <= 2 * len(small) + 256
    assert tolerant_steps(large, 10**9) <= 2 * len(large) + 256


@functools.cache
def calls_for_ordinary(source: SourceRef | None) -> int:
    return calls(take(ordinary(SMALL.body_bytes_max), source))


@functools.cache
def calls_for_ordinary_import() -> int:
    return calls(imported(ordinary(SMALL.body_bytes_max)))


@pytest.mark.parametrize("kind", KINDS)
def test_no_body_costs_more_than_five_ordinary_ones(kind: str) -> None:
    body = body_of(kind, SMALL.body_bytes_max)
    for source in (WEB, None):
        assert calls(take(body, source)) <= 5 * calls_for_ordinary(source)
    assert calls(imported(body)) <= 5 * calls_for_ordinary_import()


@pytest.mark.parametrize("kind", [*KINDS, "ordinary"])
def test_no_turn_is_long(kind: str) -> None:
    size = 256 * 1024
    body = ordinary(size) if kind == "ordinary" else body_of(kind, size)
    # Nobody has a turn while one message is read, or what stands around them.
    longest = TURN_STEPS + message_steps(Limits().message_bytes_max)
    budget = StepBudget(Limits().request_steps_max)
    turns = decode_batch(body, Limits(), budget)
    spent = [0]
    batch = None
    while True:
        try:
            next(turns)
        except (Refused, StopIteration) as end:
            batch = end.value if isinstance(end, StopIteration) else None
            break
        finally:
            spent.append(budget.spent)
    assert max(after - before for before, after in itertools.pairwise(spent)) <= longest
    if batch is not None:
        count = len(batch.plain or batch.items)
        a_turn = messages_a_turn(count, len(body))
        assert a_turn <= TURN_MESSAGES
        assert (a_turn - 1) * len(body) // max(count, 1) <= TURN_BYTES
        assert sum(1 for _ in take(body, WEB, Limits())) >= count // a_turn - 1


@given(st.lists(hostile_items | st.just(PLAIN), max_size=8), st.sampled_from([WEB, None]))
def test_batch_mates_of_any_item_count_as_without_it(
    items: list[bytes], source: SourceRef | None
) -> None:
    items = [PLAIN, *items, PLAIN]
    body = b'{"writeKey":"web-key","batch":[' + b",".join(items) + b"]}"
    result = at_once(take(body, source, Limits()))
    rejected = {index for index, _ in result.rejected}
    assert not rejected & {index for index, item in enumerate(items) if item == PLAIN}
    assert len(unpack(result.facts)) + len(rejected) == len(items)
    assert sum(each.messages for each in result.rejections) == len(rejected)


DEAR = b"{" + ODD + b',"d":[' + b",".join([nested(b"[", b"]", 5)] * 2500) + b"]}"
SURROGATE = rb'{"userId":"\ud800","type":"page"}'


def test_what_is_too_complex_is_rejected_by_name_and_its_batch_mates_count() -> None:
    items = [PLAIN, *[DEAR] * 40, PLAIN, SURROGATE, b'{"a":1}', PLAIN]
    body = b'{"batch":[' + b",".join(items) + b"]}"
    result = at_once(take(body, WEB, Limits()))
    reasons = dict(result.rejected)
    too_complex = [index for index, reason in reasons.items() if reason is Reason.TOO_COMPLEX]
    assert too_complex
    assert set(too_complex) <= {*range(1, 41), 42}
    assert len(unpack(result.facts)) == 3 + (42 not in too_complex)
    assert {tally.reason: tally.messages for tally in result.rejections}["too_complex"] == len(
        too_complex
    )
    assert {tally.day for tally in result.rejections} == {TODAY}


def test_one_dear_message_leaves_the_others_their_steps() -> None:
    items = [SURROGATE, DEAR, *[SURROGATE] * 1000]
    result = at_once(take(b'{"batch":[' + b",".join(items) + b"]}", WEB, Limits()))
    assert [index for index, _ in result.rejected] == [1]


def test_a_message_that_is_dear_alone_is_refused_for_its_source() -> None:
    costly = b"{" + ODD + b',"d":[' + b",".join([nested(b"[", b"]", 4)] * 3200) + b"]}"
    assert len(costly) < Limits().message_bytes_max
    for decode in (decode_message, decode_record):
        assert decode(costly) is Reason.TOO_COMPLEX
    with pytest.raises(Refused) as refused:
        Tracker(Keys(), HASHER, Limits()).take_message(costly, "page", RECEIPT, WEB)
    assert (refused.value.reason, refused.value.source) == (Reason.TOO_COMPLEX, WEB)
    body = b'{"batch":[' + b",".join([SURROGATE, costly, SURROGATE]) + b"]}"
    assert at_once(take(body, WEB, Limits())).rejected == [(1, Reason.TOO_COMPLEX)]


def test_a_batch_whose_items_are_dear_to_find_is_refused_whole() -> None:
    items = [b'{"a":}', *[nested(b'{"":', b"}", 30)] * 400]
    with pytest.raises(Refused) as refused:
        at_once(take(b'{"batch":[' + b",".join(items) + b"]}", WEB, Limits(request_steps_max=900)))
    assert refused.value.reason is Reason.TOO_COMPLEX


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b"[ ", b" ]")])
def test_a_message_may_be_as_deep_as_it_is_large(opening: bytes, closing: bytes) -> None:
    levels = (Limits().message_bytes_max - 50) // len(opening + closing)
    message = b'{"userId":"a",' + ODD + b',"d":' + nested(opening, closing, levels) + b"}"
    decoded = decode_message(message)
    assert isinstance(decoded, Message)
    assert decoded.user_id == "a"


def test_sane_messages_with_lone_surrogates_are_all_taken() -> None:
    message = (
        rb'{"type":"track","userId":"u12345","event":"Seen \ud83d","messageId":"m123456789012",'
        rb'"context":{"library":{"name":"a","version":"2.3"},"ip":"1.2.3.4","page":{"url":"x"}},'
        rb'"properties":{"a":1,"b":[{"c":[1,2]},{"c":[3]}],"d":"x"},'
        rb'"timestamp":"2026-11-05T10:00:00.000Z","sentAt":null,"integrations":{}}'
    )
    # Twice what clients send at most at one time.
    body = b'{"batch":[' + b",".join([message] * (MIB // len(message))) + b'],"writeKey":"web-key"}'
    for source in (WEB, None):
        assert at_once(take(body, source, Limits())).rejected == []


def test_a_key_that_nobody_knows_ends_a_batch_before_its_items_are_decoded() -> None:
    body = b'{"writeKey":"no-such-key","batch":[' + b",".join([DEAR] * 8) + b"]}"
    known = calls(take(body, WEB))
    with pytest.raises(Refused):
        at_once(take(body, None))
    assert calls(take(body, None)) * 5 < known


def test_a_budget_is_spent_and_never_overdrawn() -> None:
    budget = StepBudget(10)
    budget.spend(4)
    with pytest.raises(TooComplex):
        budget.spend(7)
    assert (budget.left, budget.spent) == (0, 10)
    assert budget.part(5).left == 0
