"""How a process of a cluster rests between steps: as long as its last one asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headcount.errors import EngineAwayError
from headcount.troubles import Troubles
from headcount.wiring.cluster_steps import LOG_AWAY, PAUSE_MOST_S, step_until_stopped
from support.memory_log import MemoryLogServer


class Stopping:
    """An event that lets so many steps be done, and knows what was waited for it."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.waited: list[float] = []

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


class Child:
    """A process that is told to stop after so many steps."""

    def __init__(self, steps: int) -> None:
        self.stopping = Stopping(steps)


@pytest.fixture
def troubles(tmp_path: Path) -> Iterator[Troubles]:
    made = Troubles(tmp_path, "relay", lambda: 0)
    yield made
    made.close()


def _rests(steps: int, step: Callable[[], bool], troubles: Troubles, **more: Any) -> list[float]:
    child: Any = Child(steps)
    step_until_stopped(
        child, MemoryLogServer().open(), troubles, step, lambda: None,
        kind="cluster_relay", failing="Nothing goes on", **more,
    )  # fmt: skip
    waited: list[float] = child.stopping.waited
    return waited


def test_who_is_behind_does_not_rest(troubles: Troubles) -> None:
    assert _rests(5, lambda: True, troubles) == []


def test_the_more_a_step_took_the_longer_the_rest_up_to_a_bound(
    troubles: Troubles, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [0.0]
    takes_s = iter([0.0, 0.01, 0.03, 10.0])

    def step() -> bool:
        now_s[0] += next(takes_s)
        return False

    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    none, little, more, most = _rests(4, step, troubles)
    assert 0 < none < little < more < most == PAUSE_MOST_S
    takes_s = iter([10.0])
    assert _rests(1, step, troubles, pause_most_s=0.02) == [0.02]


def test_a_log_that_is_away_is_said_once_and_tried_again(troubles: Troubles) -> None:
    def step() -> bool:
        raise EngineAwayError("It does not answer.")

    assert len(set(_rests(3, step, troubles))) == 1
    assert [each.kind for each in troubles.now()] == [LOG_AWAY]
    _rests(1, lambda: False, troubles)
    assert troubles.now() == []
