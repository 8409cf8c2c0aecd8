"""How much begins in one round of a loop."""

from __future__ import annotations

import asyncio

from headcount.http.rounds import Rounds


def test_no_more_than_a_portion_begins_in_a_round_and_nobody_is_passed() -> None:
    begun: list[tuple[int, int]] = []
    now = 0

    async def run() -> None:
        nonlocal now
        rounds = Rounds(4)
        for number in range(21):
            if rounds.begin(2):
                begun.append((now, number))
            else:
                rounds.join(2, lambda number=number: begun.append((now, number)))  # type: ignore[misc]
        while now < 20:
            now += 1
            await asyncio.sleep(0)

    asyncio.run(run())
    assert [number for _, number in begun] == list(range(21))
    assert max(sum(1 for at, _ in begun if at == now) for now in range(21)) == 2


def test_what_joins_again_while_it_begins_goes_to_the_end() -> None:
    begun = ""

    async def run() -> None:
        rounds = Rounds(10)

        def begin(name: str, times: int) -> None:
            nonlocal begun
            begun += name
            if times:
                rounds.join(10, lambda: begin(name, times - 1))

        assert rounds.begin(10)
        rounds.join(10, lambda: begin("a", 2))
        rounds.join(10, lambda: begin("b", 2))
        for _ in range(10):
            await asyncio.sleep(0)
        assert rounds.begin(10)

    asyncio.run(run())
    assert begun == "ababab"
