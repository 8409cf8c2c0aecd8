"""How far counting is behind, when it will have caught up, and how often that is said."""

from __future__ import annotations

import math

import pytest

from headcount.backlog import Backlog, duration_text
from headcount.meter.backlog import BacklogTeller, BacklogWatch

NOON_MS = 1_795_608_000_000  # 2026-11-25, 12:00 UTC


class Counting:
    """A meter of a given speed, messages of a given rate, a second at a time."""

    def __init__(self, waiting: int = 0) -> None:
        self.watch = BacklogWatch()
        self.second = 0
        self.counted = 0
        self.waiting = waiting
        self.began_ms = NOON_MS - 60_000 if waiting else NOON_MS

    def second_passes(self, arrivals: int, speed: int) -> Backlog:
        self.second += 1
        done = min(speed, self.waiting + arrivals)
        self.waiting += arrivals - done
        self.counted += done
        now_ms = NOON_MS + 1000 * self.second
        return self.watch.observe(
            float(self.second), now_ms, counted=self.counted, waiting=self.waiting,
            counted_until_ms=self.began_ms if self.waiting else now_ms,
        )  # fmt: skip


def test_the_estimate_is_when_it_has_caught_up() -> None:
    counting = Counting(waiting=20_000)
    estimates: dict[int, float] = {}
    backlog = None
    while backlog is None or backlog.caught_up_in_s != 0:
        backlog = counting.second_passes(arrivals=100, speed=300)
        if backlog.caught_up_in_s:
            estimates[counting.second] = counting.second + backlog.caught_up_in_s
    assert counting.second == 100
    assert set(estimates) == set(range(4, 100))
    assert estimates == {second: pytest.approx(100) for second in estimates}


def test_the_time_before_it_fell_behind_says_nothing_about_its_speed() -> None:
    counting = Counting()
    for _ in range(100):
        assert counting.second_passes(arrivals=10, speed=300).caught_up_in_s == 0
    counting.began_ms = NOON_MS + 100_000
    found = [counting.second_passes(arrivals=1000, speed=300) for _ in range(10)]
    assert [each.counted_per_s for each in found[4:]] == [300] * 6
    assert all(each.caught_up_in_s == math.inf for each in found[4:])
    for _ in range(40):
        backlog = counting.second_passes(arrivals=0, speed=30)
    assert backlog.arrivals_per_s == 0


def test_what_is_too_early_to_say_is_not_said() -> None:
    backlog = Counting(waiting=10).second_passes(arrivals=0, speed=1)
    assert backlog.caught_up_in_s is None
    assert backlog.sentence == (
        "9 messages wait, the oldest for 1 min 1 s; it is too early to say when they will be"
        " counted."
    )


@pytest.mark.parametrize(
    ("backlog", "words"),
    [
        (
            Backlog(NOON_MS, 1_234_567, 42_000, 250_000, 300_000),
            "1,234,567 messages wait, the oldest for 42 s; 250,000 a second come and 300,000 are"
            " counted: it will have caught up in about 25 s, by 12:00:25 UTC.",
        ),
        (
            Backlog(NOON_MS, 10_000_000, 42_000, 0, 100),
            "10,000,000 messages wait, the oldest for 42 s; 0 a second come and 100 are counted:"
            " it will have caught up in about 1 d 3 h, by 2026-11-26 15:46 UTC.",
        ),
        (
            Backlog(NOON_MS, 9, 42_000, 0, 0),
            "9 messages wait, the oldest for 42 s; 0 a second come and 0 are counted: it is not"
            " catching up.",
        ),
        (Backlog(NOON_MS, 50_000, 400, 2.0, 1.0), "Everything is counted within a second."),
    ],
)
def test_it_is_said_in_a_sentence(backlog: Backlog, words: str) -> None:
    assert backlog.sentence == words


def test_an_end_that_is_years_away_is_none() -> None:
    assert Backlog(NOON_MS, 10**9, 42_000, 100.0, 101.0).caught_up_in_s == math.inf


def test_a_clock_that_is_set_back_leaves_nothing_negative() -> None:
    watch = BacklogWatch()
    backlog = watch.observe(0.0, NOON_MS, counted=0, waiting=5, counted_until_ms=NOON_MS + 99)
    assert (backlog.behind_ms, backlog.caught_up_in_s) == (0, 0)


def test_an_operator_hears_of_it_once_then_rarely_and_at_the_end() -> None:
    counting = Counting()
    teller = BacklogTeller()
    heard: dict[int, str] = {}

    def pass_seconds(count: int, arrivals: int, speed: int) -> None:
        for _ in range(count):
            backlog = counting.second_passes(arrivals, speed)
            if said := teller.hear(float(counting.second), backlog):
                heard[counting.second] = said

    pass_seconds(10, arrivals=10, speed=300)
    counting.began_ms = NOON_MS + 10_000
    pass_seconds(600, arrivals=400, speed=300)
    pass_seconds(600, arrivals=0, speed=300)
    # Behind from the tenth second on; 60,000 are then counted in two hundred seconds.
    assert list(heard) == [15, 75, 195, 435, 810]
    first, *again, last = heard.values()
    assert first.startswith("counting has fallen behind: 500 messages wait, the oldest for 5 s; ")
    assert all(each.startswith("counting is still behind: ") for each in again)
    assert last == "counting has caught up, 13 min 15 s after it fell behind"


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(0, "1 s"), (59_400, "59 s"), (60_000, "1 min"), (3_661_000, "1 h 1 min"),
     (90_000_000, "1 d 1 h"), (86_400_000 * 1200, "1,200 d")],
)  # fmt: skip
def test_a_length_of_time_is_told_in_its_largest_units(duration_ms: int, text: str) -> None:
    assert duration_text(duration_ms) == text
