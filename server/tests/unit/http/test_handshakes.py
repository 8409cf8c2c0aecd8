"""Whose handshake begins next, where more want one than there is time for."""

from __future__ import annotations

import asyncio
from collections import Counter

from headcount.http.handshakes import Handshakes


class Rounds:
    """Clients that want a handshake, and the rounds of the loop in which theirs began."""

    def __init__(self) -> None:
        self.now = 0
        self.begun: dict[str, int] = {}
        self._handshakes = Handshakes()
        self._tasks: set[asyncio.Task[None]] = set()

    def come(self, name: str, address: str) -> asyncio.Task[None]:
        async def wait() -> None:
            await self._handshakes.turn(address)
            self.begun[name] = self.now

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        return task

    async def go_on(self, rounds: int) -> None:
        for _ in range(rounds):
            self.now += 1
            await asyncio.sleep(0)


def test_a_few_begin_in_a_round() -> None:
    rounds = Rounds()

    async def run() -> None:
        for number in range(20):
            rounds.come(str(number), "192.0.2.1")
        await rounds.go_on(30)

    asyncio.run(run())
    assert len(rounds.begun) == 20
    assert max(Counter(rounds.begun.values()).values()) == 2


def test_an_address_does_not_wait_for_all_of_another() -> None:
    rounds = Rounds()

    async def run() -> None:
        for number in range(1000):
            rounds.come(f"stranger {number}", "192.0.2.1")
            rounds.come(f"neighbour {number}", f"2001:db8::{number:x}")
        await rounds.go_on(5)
        rounds.come("client", "192.0.2.2")
        for number in range(1000):  # so that it is neither the oldest nor the newest
            rounds.come(f"late stranger {number}", "192.0.2.1")
        asked = rounds.now
        await rounds.go_on(6)
        assert rounds.begun["client"] <= asked + 5

    asyncio.run(run())


def test_of_one_address_the_newest_do_not_wait_for_all_and_the_oldest_are_served_too() -> None:
    rounds = Rounds()

    async def run() -> None:
        for number in range(1000):
            rounds.come(f"stranger {number}", "192.0.2.1")
        await rounds.go_on(5)
        rounds.come("client", "192.0.2.1")
        asked = rounds.now
        await rounds.go_on(6)
        assert rounds.begun["client"] <= asked + 5
        await rounds.go_on(600)

    asyncio.run(run())
    assert len(rounds.begun) == 1001
    assert rounds.begun["stranger 0"] < 10


def test_whoever_has_gone_takes_nobody_s_turn() -> None:
    rounds = Rounds()

    async def run() -> None:
        gone = [rounds.come(str(number), "192.0.2.1") for number in range(100)]
        await rounds.go_on(1)
        for each in gone:
            each.cancel()
        await rounds.go_on(1)
        rounds.come("client", "192.0.2.1")
        await rounds.go_on(5)

    asyncio.run(run())
    assert "client" in rounds.begun
