"""Budgets: windows of a minute, one for each key."""

from headcount.api.wire.ratelimit import WINDOW_MS, RateLimiter


def test_a_window_lets_its_points_through_and_no_more() -> None:
    limiter = RateLimiter(2)
    first, second, third = (limiter.take("a", 1000 + step) for step in range(3))
    assert [s.remaining for s in (first, second, third)] == [1, 0, 0]
    assert [s.refused for s in (first, second, third)] == [False, False, True]
    assert third.consumed == 3
    assert third.resets_at_ms == 1000 + WINDOW_MS
    assert third.ms_before_next == WINDOW_MS - 2


def test_a_window_ends_and_refused_requests_do_not_prolong_it() -> None:
    limiter = RateLimiter(1)
    limiter.take("a", 0)
    assert limiter.take("a", WINDOW_MS - 1).refused
    assert not limiter.take("a", WINDOW_MS).refused


def test_keys_do_not_share() -> None:
    limiter = RateLimiter(1)
    limiter.take("a", 0)
    assert not limiter.take("b", 0).refused


def test_a_clock_set_back_makes_nobody_wait_for_longer_than_a_window() -> None:
    limiter = RateLimiter(1)
    limiter.take("a", 10 * WINDOW_MS)
    assert not limiter.take("a", 0).refused
    assert limiter.take("a", 1).ms_before_next < WINDOW_MS
