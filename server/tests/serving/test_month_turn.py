"""The end of a month in the life of a real server, whose clock the test sets.

Clients post and readers look on while February becomes March. Each message is of the month in
which it was received, nothing that a reader has seen goes away, and a clock that is set back takes
no day back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from moved_clock import MovedClock
from support.server_fixture import Answer, Shop, eventually, serving

FEBRUARY, MARCH = "2028-02-01", "2028-03-01"
TURN = datetime(2028, 3, 1, tzinfo=UTC)
POSTERS = 3
MESSAGES = 20  # in a batch
MANY = 40  # batches on either side of the turn


@pytest.fixture
def clock(tmp_path: Path) -> MovedClock:
    return MovedClock(tmp_path / "clock", TURN - timedelta(minutes=10))


@pytest.fixture
def shop(tmp_path: Path, clock: MovedClock) -> Iterator[Shop]:
    with serving(tmp_path, "--workers", "2", **clock.environment()) as server:
        yield server.shop("Shop", "web", "app")


class Sent(NamedTuple):
    """An acknowledged batch: it was received between two moments."""

    after: datetime
    before: datetime
    source: str
    name: str


def send(shop: Shop, clock: MovedClock, source: str, name: str) -> Sent:
    """Post a batch over a connection of its own, so that both workers get their share."""
    ids = [f"{name}/{number}" for number in range(MESSAGES)]
    batch = [{"type": "page", "messageId": each, "anonymousId": each} for each in ids]
    after = clock.now()
    key = shop.write_keys[source]
    answer = shop.server.track("/v1/batch", {"batch": batch}, key, Connection="close")
    assert answer.status == 200, answer.body
    return Sent(after, clock.now(), source, name)


def month(shop: Shop, period: str, path: str = "mtu/daily", **query: object) -> Answer:
    """What the usage API answers about a month."""
    more = "".join(f"&pagination.{name}={value}" for name, value in query.items())
    return shop.ask(f"/usage/{path}?period={period}{more}")


def days(answer: Answer) -> list[str]:
    return [row["timestamp"][:10] for row in answer.data["dailyWorkspaceMTUUsage"]]


def visitors(answer: Answer) -> int:
    """How many ids a month holds; every message has one of its own."""
    return int(answer.data["dailyWorkspaceMTUUsage"][-1]["anonymous"])


def today(shop: Shop) -> str:
    """The last day of the month that runs."""
    return str(shop.ask("/headcount/v1/daily").data["days"][-1])


class Onlooker:
    """Reads both months again and again; nothing that it was told may go away."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._today = ""
        self._visitors = dict.fromkeys((FEBRUARY, MARCH), 0)

    def look(self) -> None:
        day = today(self._shop)
        assert day >= self._today, f"{self._today} became {day}"
        self._today = day
        february, march = month(self._shop, FEBRUARY), month(self._shop, MARCH)
        assert len(days(february)) == 29
        if day == "2028-03-01":
            assert "ETag" in february.headers
            assert days(march) == [day]
        elif march.status != 200:  # as it is when the turn comes between two questions
            assert march.status == 404
            march = None
        for period, answer in ((FEBRUARY, february), (MARCH, march)):
            if answer is not None:
                assert visitors(answer) >= self._visitors[period], f"{period} fell"
                self._visitors[period] = visitors(answer)


def while_the_month_turns(shop: Shop, clock: MovedClock) -> list[Sent]:
    """Everything that clients sent before, while and after the month turned."""
    sent: list[Sent] = []
    enough = threading.Event()

    def keep_posting(poster: int) -> None:
        for number in range(10_000):
            if enough.is_set():
                return
            sent.append(send(shop, clock, ("web", "app")[number % 2], f"{poster} {number}"))

    def keep_looking() -> None:
        onlooker = Onlooker(shop)
        while not enough.is_set():
            onlooker.look()
        onlooker.look()

    def sent_many(since: datetime) -> Callable[[], bool]:
        return lambda: (
            sum(each.after >= since for each in sent) >= MANY or any(each.done() for each in work)
        )

    with ThreadPoolExecutor(POSTERS + 2) as pool:
        work = [pool.submit(keep_posting, poster) for poster in range(POSTERS)]
        work += [pool.submit(keep_looking) for _ in range(2)]
        try:
            eventually(sent_many(since=TURN - timedelta(days=1)), "batches before the turn")
            clock.set(TURN - timedelta(milliseconds=300))
            eventually(sent_many(since=TURN), "batches after the turn")
        finally:
            enough.set()
        for each in work:
            each.result()
    return sent


def test_each_message_is_of_the_month_in_which_it_was_received(
    shop: Shop, clock: MovedClock
) -> None:
    first = month(shop, FEBRUARY, count=2)
    sent = while_the_month_turns(shop, clock)
    whole = MESSAGES * len(sent)

    def all_counted() -> bool:
        return visitors(month(shop, FEBRUARY)) + visitors(month(shop, MARCH)) == whole

    eventually(all_counted, "everything acknowledged to be counted")
    february, march = month(shop, FEBRUARY), month(shop, MARCH)
    surely_february = MESSAGES * sum(each.before < TURN for each in sent)
    surely_march = MESSAGES * sum(each.after >= TURN for each in sent)
    assert surely_february <= visitors(february) <= whole - surely_march
    for period, answer in ((FEBRUARY, february), (MARCH, march)):
        assert shop.usage(period)[""].api_calls == visitors(answer)

    # Who turned pages over the turn has met each day once.
    seen, cursor = days(first), first.data["pagination"]["next"]
    while cursor is not None:
        page = month(shop, FEBRUARY, count=5, cursor=cursor)
        seen, cursor = seen + days(page), page.data["pagination"].get("next")
    assert seen == [f"2028-02-{day:02d}" for day in range(1, 30)]

    # The month that is over has its final state, and what comes again from it is known.
    again = next(each for each in sent if each.before < TURN)
    send(shop, clock, again.source, again.name)

    def known() -> bool:
        duplicates: int = shop.ask("/headcount/v1/outcomes").data["totals"]["duplicate"]
        return duplicates == MESSAGES

    eventually(known, "a batch of February to be known in March")
    assert visitors(month(shop, MARCH)) == visitors(march)
    url = f"{shop.server.api}/usage/mtu/daily?period={FEBRUARY}"
    asking = {"Authorization": f"Bearer {shop.token}", "If_None_Match": february.headers["ETag"]}
    assert shop.server.send("GET", url, **asking).status == 304


def test_a_clock_that_is_set_back_takes_no_day_back(shop: Shop, clock: MovedClock) -> None:
    for moment in (clock.now(), TURN + timedelta(minutes=1)):
        clock.set(moment)
        send(shop, clock, "web", f"at {moment}")
    eventually(lambda: visitors(month(shop, MARCH)) == MESSAGES, "March to have begun")
    february = month(shop, FEBRUARY)
    assert visitors(february) == MESSAGES

    clock.set(TURN - timedelta(minutes=5))
    assert today(shop) == "2028-03-01"
    # Its day is the one on which the server, as far as it knows, received it.
    send(shop, clock, "web", "late")
    eventually(lambda: visitors(month(shop, FEBRUARY)) == 2 * MESSAGES, "February to have grown")
    assert month(shop, FEBRUARY).headers["ETag"] != february.headers["ETag"]
    assert (today(shop), days(month(shop, MARCH))) == ("2028-03-01", ["2028-03-01"])
    assert visitors(month(shop, MARCH)) == MESSAGES
