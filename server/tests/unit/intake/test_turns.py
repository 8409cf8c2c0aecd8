"""Turns: who comes next, and who is refused, whatever comes in whatever order."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.intake.reasons import Reason, Refused
from headcount.intake.turns import FairQueue, Turns

ROOM = 1_000
COMINGS = st.lists(
    st.one_of(st.none(), st.tuples(st.integers(1, 6), st.integers(1, 400))), max_size=200
)
"""A request of an owner with so much work; or, None, one is served."""


@given(COMINGS)
def test_whoever_is_refused_has_no_less_waiting_than_room_is_left(
    comings: list[tuple[int, int] | None],
) -> None:
    queue: FairQueue[int] = FairQueue(ROOM)
    total = 0
    for coming in comings:
        if coming is None:
            if queue:
                total -= queue.next()[1]
            continue
        owner, work = coming
        before = {each: queue.waiting(each) for each in range(1, 7)}
        if queue.has_room(owner, work):
            queue.join(owner, work, owner)
            total += work
        else:
            # Nobody with as much would be let in with as much to do, and whoever asks for no more
            # than what is free, and has nothing waiting, is let in.
            more = [each for each, held in before.items() if held >= before[owner]]
            assert not any(queue.has_room(each, work) for each in more)
            assert before[owner] + work > ROOM - total
        assert total == sum(queue.waiting(each) for each in range(1, 7)) <= ROOM


@given(st.integers(1, 5), st.integers(2, 60))
def test_a_source_waits_for_one_request_of_each_other_and_no_more(
    floods: int, each_sends: int
) -> None:
    queue: FairQueue[int] = FairQueue(10**9)
    for number in range(each_sends):
        for flood in range(1, floods + 1):
            queue.join(flood, 100 + number, flood)
    for _ in range(floods):
        queue.next()  # some have been served by the time the other comes
    queue.join(99, 100, 99)
    before = []
    while (owner := queue.next()[0]) != 99:
        before.append(owner)
    assert len(before) <= floods


def test_requests_of_one_source_are_served_in_the_order_of_coming() -> None:
    queue: FairQueue[int] = FairQueue(ROOM)
    for number in range(10):
        queue.join(1, 10, number)
    assert [queue.next()[0] for _ in range(10)] == list(range(10))


def test_a_source_saves_up_no_turns_by_being_silent() -> None:
    queue: FairQueue[str] = FairQueue(ROOM)
    for _ in range(4):
        queue.join(1, 50, "early")
    for _ in range(3):
        queue.next()
    for _ in range(3):
        queue.join(2, 50, "late")
    queue.join(1, 50, "early")
    assert [queue.next()[0] for _ in range(5)] == ["late", "early", "late", "late", "early"]


async def test_a_modest_source_is_answered_amid_a_flood() -> None:
    turns = Turns(room=4_000_000)
    served: list[str] = []

    async def request(owner: int, name: str) -> None:
        await turns.take(owner, 100_000)
        served.append(name)

    flood = [asyncio.create_task(request(1, "flood")) for _ in range(200)]
    await asyncio.sleep(0)
    modest = asyncio.create_task(request(2, "modest"))
    results = await asyncio.gather(*flood, modest, return_exceptions=True)
    refused = [result for result in results if isinstance(result, Refused)]
    assert {each.reason for each in refused} == {Reason.SOURCE_OVER_SHARE}
    assert results[-1] is None
    # Two of the flood went before there was a queue, and one may come between.
    assert served.index("modest") <= 4
    # What was let in of the flood is served, half of the room and what went before.
    assert served.count("flood") + len(refused) == 200
    assert served.count("flood") * 108_192 <= 2_000_000 + 3 * 108_192


async def test_work_is_let_go_on_in_portions_with_a_round_of_the_loop_between() -> None:
    turns = Turns(room=100_000_000)
    rounds = 0
    when: list[int] = []

    async def request() -> None:
        await turns.take(1, 100_000)
        when.append(rounds)

    requests = [asyncio.create_task(request()) for _ in range(20)]
    while not all(each.done() for each in requests):
        await asyncio.sleep(0)
        rounds += 1
    assert max(when.count(each) for each in when) <= 2


async def test_whose_client_has_gone_takes_no_turn() -> None:
    turns = Turns(room=100_000_000)
    requests = [asyncio.create_task(turns.take(1, 200_000)) for _ in range(10)]
    await asyncio.sleep(0)
    for each in requests[2:9]:
        each.cancel()
    await asyncio.gather(*requests, return_exceptions=True)
    assert not requests[9].cancelled()
    await asyncio.sleep(0)
    await turns.take(1, 10)
    turns.check(1)


async def test_who_has_too_much_waiting_is_refused_before_its_body_is_read() -> None:
    turns = Turns(room=1_000_000)
    flood = [asyncio.create_task(turns.take(1, 0)) for _ in range(200)]
    turns.check(1)
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        turns.check(1)
    assert refused.value.reason is Reason.SOURCE_OVER_SHARE
    turns.check(2)
    await asyncio.gather(*flood, return_exceptions=True)
    turns.check(1)
