"""The lane: few work at once, sources take turns before it, and whoever leaves makes a place."""

from __future__ import annotations

import asyncio

import pytest

from headcount.intake.lane import Lane
from headcount.intake.reasons import Reason, Refused

KIB = 1024


async def work(lane: Lane, owner: int, body_bytes: int, served: list[int]) -> None:
    await lane.enter(owner, body_bytes)
    await asyncio.sleep(0)
    served.append(owner)
    lane.leave()


async def test_a_source_waits_for_no_more_than_one_body_of_each_other() -> None:
    lane = Lane(places=2, waiting_bytes_max=10_000 * KIB, least_bytes=KIB)
    served: list[int] = []
    flood = [asyncio.create_task(work(lane, 1, 100 * KIB, served)) for _ in range(40)]
    await asyncio.sleep(0)
    await asyncio.gather(asyncio.create_task(work(lane, 2, 100 * KIB, served)), *flood)
    assert served.index(2) <= 4
    assert len(served) == 41


async def test_one_source_fills_half_of_the_room_and_the_others_still_come_in() -> None:
    lane = Lane(places=1, waiting_bytes_max=1_000 * KIB, least_bytes=100 * KIB)
    await lane.enter(1, 100 * KIB)
    served: list[int] = []
    flood = [asyncio.create_task(work(lane, 1, 10 * KIB, served)) for _ in range(9)]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        lane.check(1, 200 * KIB)
    assert refused.value.reason is Reason.SOURCE_OVER_SHARE
    lane.check(2, 200 * KIB)
    other = asyncio.create_task(work(lane, 2, 200 * KIB, served))
    await asyncio.sleep(0)
    lane.leave()
    results = await asyncio.gather(*flood, other, return_exceptions=True)
    assert [type(result) for result in results].count(Refused) == 4
    assert (served.count(1), served.count(2)) == (5, 1)


async def test_whoever_gives_up_waiting_keeps_nobody_from_a_place() -> None:
    lane = Lane(places=1, waiting_bytes_max=1_000 * KIB, least_bytes=KIB)
    await lane.enter(1, KIB)
    served: list[int] = []
    waiting = [asyncio.create_task(work(lane, 1, KIB, served)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    lane.leave()
    # The second has its place already when it gives up.
    waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert served == [1]
    assert not lane.is_full
