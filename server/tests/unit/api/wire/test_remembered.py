"""What is expensive to find out, found out a part of the time."""

from __future__ import annotations

import itertools

import pytest

from headcount.api.wire.remembered import Remembered


def test_no_more_than_a_fifth_of_the_time_goes_into_finding_out() -> None:
    now_s = 0.0
    found = itertools.count()

    def find() -> int:
        nonlocal now_s
        now_s += 0.01
        return next(found)

    remembered = Remembered(find, lambda: now_s)
    answers = []
    for _ in range(1000):
        answers.append(remembered())
        now_s += 0.0001
    assert answers[:399] == [0] * 399
    assert next(found) <= now_s / 0.05 + 1
    now_s += 1
    assert remembered() > answers[-1]


def test_what_cannot_be_found_out_is_asked_again() -> None:
    answers = iter([1, 2])

    def find() -> float:
        return 1 / (next(answers) - 1)

    remembered = Remembered(find)
    with pytest.raises(ZeroDivisionError):
        remembered()
    assert remembered() == 1
