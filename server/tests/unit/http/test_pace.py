"""How soon those are answered who bring nothing."""

from __future__ import annotations

from itertools import pairwise

from headcount.http.pace import ProcessPace

SCOPE = {"raw_path": b"/nothing", "query_string": b"", "headers": [(b"host", b"t")]}


def test_nobody_is_put_off_while_the_loop_keeps_up() -> None:
    pace = ProcessPace("tracking")
    for late_s in (0.0, 0.02, 0.049):
        pace.tick(late_s)
        assert pace.delay_s(SCOPE) == 0
    assert pace.delayed == 0


def test_answers_are_put_off_for_longer_while_it_does_not_but_not_without_bound() -> None:
    pace = ProcessPace("tracking")
    delays = []
    for _ in range(12):
        pace.tick(0.1)
        delays.append(pace.delay_s(SCOPE))
    assert delays[0] <= 0.125
    assert all(later > sooner for sooner, later in pairwise(delays[:4]))
    assert max(delays) <= 2.5
    assert pace.delayed == 12


def test_they_come_at_once_again_when_it_has_caught_up() -> None:
    pace = ProcessPace("tracking")
    for _ in range(12):
        pace.tick(1.0)
    for _ in range(20):
        pace.tick(0.0)
    assert pace.delay_s(SCOPE) == 0


def test_those_who_ask_at_one_moment_are_not_answered_at_one_moment() -> None:
    pace = ProcessPace("tracking")
    pace.tick(1.0)
    assert len({pace.delay_s(SCOPE) for _ in range(100)}) > 50


def test_no_answer_to_a_large_head_is_put_off() -> None:
    pace = ProcessPace("tracking")
    pace.tick(1.0)
    for large in (
        {"raw_path": b"/" * 10_000},
        {"query_string": b"a" * 10_000},
        {"headers": [(b"cookie", b"a" * 10_000)]},
        {"headers": [(b"a", b"b")] * 100},
    ):
        assert pace.delay_s({**SCOPE, **large}) == 0
    assert pace.delay_s(SCOPE) > 0
