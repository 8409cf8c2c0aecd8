"""The simulation in short: some seeds, every kind of fault, and that a seed is one history."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.faults import Fault
from sim.simulation import ALL_FAULTS, room, simulate
from sim.world import Template

SEEDS = 40
STEPS = 50

# A connection that could not be made is closed by the garbage collector, and a dead disk says no.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Path, Template]]:
    with room() as found:
        yield found


def test_whatever_happens_nothing_is_lost_or_counted_twice(place: tuple[Path, Template]) -> None:
    faults: Counter[str] = Counter()
    for seed in range(SEEDS):
        outcome = simulate(*place, seed, STEPS)
        faults += outcome.faults
        if outcome.failure is not None:
            pytest.fail(f"make sim SEED={seed} STEPS={STEPS}: {outcome.failure!r}")
    assert set(faults) == set(Fault), "a kind of fault was never injected"


def test_a_seed_is_one_history(place: tuple[Path, Template]) -> None:
    for seed in range(4):
        first, second = (simulate(*place, seed, STEPS, ALL_FAULTS) for _ in range(2))
        assert first.story == second.story


def test_a_room_leaves_logging_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="headcount")
    logger = logging.getLogger("headcount")
    with room():
        assert not logger.isEnabledFor(logging.ERROR)
    assert logger.level == logging.INFO
