"""Large bodies work a few at a time, in order, and whoever would wait too long is turned away."""

import asyncio

import pytest

from headcount.intake import Reason
from headcount.intake.lane import Lane
from headcount.intake.reasons import Refused


async def test_places_are_given_in_order() -> None:
    lane = Lane(2, 100, 10)
    log: list[str] = []

    async def work(name: str) -> None:
        await lane.enter(1, 10)
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


@pytest.mark.parametrize("lane", [Lane(1, 40, 1), Lane(1, 4000, 1000)], ids=["bytes", "least"])
async def test_only_so_much_of_a_source_waits(lane: Lane) -> None:
    await lane.enter(1, 1000)
    waiting = [asyncio.create_task(lane.enter(1, 10)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        await lane.enter(1, 10)
    assert refused.value.reason is Reason.SOURCE_OVER_SHARE
    # There is room for another source, and its turn comes before the second of the first.
    waiting.append(asyncio.create_task(lane.enter(2, 10)))
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(waiting.pop(0), return_exceptions=True)
    for _task in waiting:
        lane.leave()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert all(task.done() for task in waiting)
    lane.leave()
    await lane.enter(1, 1000)
