"""Large bodies work a few at a time, in order, and whoever would wait too long is turned away."""

import asyncio

import pytest

from headcount.intake import Reason
from headcount.intake.lane import Lane
from headcount.intake.reasons import Refused


async def test_places_are_given_in_order() -> None:
    lane = Lane(2, 3, 100)
    log: list[str] = []

    async def work(name: str) -> None:
        await lane.enter(10)
        log.append(f"{name} begins")
        await asyncio.sleep(0)
        log.append(f"{name} ends")
        lane.leave()

    await asyncio.gather(*(work(name) for name in "abcde"))
    begun = [entry[0] for entry in log if "begins" in entry]
    assert begun == list("abcde")
    working = 0
    for entry in log:
        working += 1 if "begins" in entry else -1
        assert working <= 2


@pytest.mark.parametrize("lane", [Lane(1, 2, 100), Lane(1, 9, 20)], ids=["number", "bytes"])
async def test_only_so_many_wait(lane: Lane) -> None:
    await lane.enter(1000)
    waiting = [asyncio.create_task(lane.enter(10)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        await lane.enter(10)
    assert refused.value.reason is Reason.OVERLOADED
    # One who leaves the queue makes room in it.
    waiting[1].cancel()
    await asyncio.gather(*waiting[1:], return_exceptions=True)
    waiting[1] = asyncio.create_task(lane.enter(10))
    for task in waiting:
        lane.leave()
        await task
    lane.leave()
    await lane.enter(1000)
