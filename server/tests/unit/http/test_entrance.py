"""Which requests begin next, where more come than begin in a round of the loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from headcount.http.entrance import Entrance, Owner

WAITING_MAX = 50


class Rounds:
    """Requests, the rounds of the loop in which they began, and who answered them."""

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        def owner_of(scope: Mapping[str, Any]) -> Owner:
            return Owner(scope["path"].split("/")[1], waiting_max)

        self.now = 0
        self.begun: list[tuple[int, str, str]] = []
        self.entrance = Entrance(owner_of, "refused")

    def ask(self, path: str, then: Callable[[], None] = lambda: None, query: bytes = b"") -> None:
        def begin(app: str) -> None:
            self.begun.append((self.now, path, app))
            if app == "answered":
                then()

        scope = {"path": path, "raw_path": path.encode(), "query_string": query, "headers": []}
        self.entrance.enter(scope, begin, "answered")

    async def go_on(self, rounds: int) -> None:
        for _ in range(rounds):
            self.now += 1
            await asyncio.sleep(0)

    def of(self, path: str) -> list[int]:
        return [at for at, begun, app in self.begun if begun == path and app == "answered"]


def test_a_few_begin_in_a_round_in_the_order_in_which_they_came() -> None:
    rounds = Rounds()

    async def run() -> None:
        for number in range(30):
            rounds.ask(f"/one/{number}")
        await rounds.go_on(20)

    asyncio.run(run())
    assert [path for _, path, _ in rounds.begun] == [f"/one/{number}" for number in range(30)]
    assert max(Counter(at for at, _, _ in rounds.begun).values()) == 4


def test_a_reader_waits_for_one_request_of_each_other_owner() -> None:
    rounds = Rounds()

    async def run() -> None:
        def again() -> None:  # as soon as they are answered
            loop.call_soon(rounds.ask, "/strangers/", again)

        loop = asyncio.get_running_loop()
        for _ in range(4 + WAITING_MAX):
            rounds.ask("/strangers/", again)
        for number in range(10):
            await rounds.go_on(3)
            asked = rounds.now
            rounds.ask(f"/reader/{number}")
            await rounds.go_on(2)
            [begun] = rounds.of(f"/reader/{number}")
            assert begun <= asked + 1
        assert len(rounds.of("/strangers/")) > 100

    asyncio.run(run())


def test_what_finds_no_place_is_refused_and_others_find_theirs() -> None:
    rounds = Rounds()

    async def run() -> None:
        for _ in range(1000):
            rounds.ask("/strangers/")
        rounds.ask("/reader/")
        await rounds.go_on(100)

    asyncio.run(run())
    answered = Counter((path, app) for _, path, app in rounds.begun)
    assert answered == {
        ("/strangers/", "answered"): 4 + WAITING_MAX,
        ("/strangers/", "refused"): 1000 - 4 - WAITING_MAX,
        ("/reader/", "answered"): 1,
    }
    assert rounds.entrance.shed == 1000 - 4 - WAITING_MAX
    assert rounds.of("/reader/")[0] <= 2


def test_of_requests_that_take_much_memory_fewer_wait() -> None:
    rounds = Rounds(waiting_max=1000)

    async def run() -> None:
        for number in range(300):
            rounds.ask(f"/strangers/{number}", query=b"a" * 60_000)
        await rounds.go_on(100)

    asyncio.run(run())
    assert sum(app == "answered" for _, _, app in rounds.begun) == 4 + 128


def test_health_waits_for_nobody_unless_it_is_all_that_is_asked() -> None:
    rounds = Rounds()

    async def run() -> None:
        for _ in range(30):
            rounds.ask("/strangers/")
        rounds.ask("/healthz")
        assert rounds.begun[-1][1] == "/healthz"
        for _ in range(70):
            rounds.ask("/healthz")
        rounds.ask("/reader/")
        await rounds.go_on(100)

    asyncio.run(run())
    assert Counter(rounds.of("/healthz"))[0] == 32
    assert len(rounds.of("/healthz")) == 71
    assert rounds.of("/reader/")[0] <= 2


def test_nothing_is_remembered_of_owners_that_wait_for_nothing() -> None:
    rounds = Rounds()

    async def run() -> None:
        for number in range(1000):
            rounds.ask(f"/{number}/")
        await rounds.go_on(300)
        assert not rounds.entrance._waiting
        rounds.ask("/late/")
        assert rounds.begun[-1][1:] == ("/late/", "answered")

    asyncio.run(run())
