"""The auditor sees: for each kind of fault, a program without its handling fails within some seeds.

Each mistake is made in the real code. What the simulation says of the right program is in
`test_simulation.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.auditor import Violation
from sim.faults import DAMAGE, Fault
from sim.mutations import MUTATIONS
from sim.simulation import Outcome, room, simulate
from sim.world import Template

SEEDS_MAX = 150
STEPS = 60
SCALE = 6.0
"""Faults come often, so that few seeds do."""
DAMAGE_SCALE = 10.0
"""Most damage hits nothing that matters."""

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Path, Template]]:
    with room() as found:
        yield found


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_is_found(
    name: str, place: tuple[Path, Template], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation = MUTATIONS[name]
    mutation.make(monkeypatch)
    found = _first_failure(place, mutation.faults)
    monkeypatch.undo()
    assert found is not None, f"no seed up to {SEEDS_MAX} brings it out"
    print(f"{name}: seed {found.seed}: {found.failure}")
    assert isinstance(found.failure, Violation), "it is not the auditor who says so"
    right = simulate(*place, found.seed, STEPS, mutation.faults, _scale(mutation.faults))
    assert right.failure is None, "the right program fails as well"


def _scale(kinds: frozenset[Fault]) -> float:
    return SCALE if kinds.isdisjoint(DAMAGE) else DAMAGE_SCALE


def _first_failure(place: tuple[Path, Template], kinds: frozenset[Fault]) -> Outcome | None:
    for seed in range(SEEDS_MAX):
        outcome = simulate(*place, seed, STEPS, kinds, _scale(kinds))
        if outcome.failure is not None:
            return outcome
    return None


def test_every_kind_of_fault_brings_a_mistake_out() -> None:
    assert frozenset().union(*(mutation.faults for mutation in MUTATIONS.values())) == set(Fault)
