"""Outcomes where a partition that was put back has counted less than was told of it before."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from headcount.api.v1.outcomes import _outcomes
from headcount.counting.conflicts import CONFLICTING
from headcount.counting.facts import Rejection
from headcount.errors import DamagedDataError


@pytest.mark.parametrize(
    ("duplicate", "told", "shown"),
    [(5, 2, (3, 2)), (2, 2, (0, 2)), (1, 2, (0, 1)), (0, 2, (0, UNSET))],
)
def test_no_more_copies_conflict_than_there_are(
    duplicate: int, told: int, shown: tuple[int, object]
) -> None:
    conflicts = [Rejection(1, 1, 20_000, CONFLICTING, told)]
    outcomes = _outcomes([10, duplicate], conflicts)
    assert (outcomes.duplicate, outcomes.conflicting_duplicate) == shown
    assert (outcomes.accepted, outcomes.rejected) == (10, 0)


@pytest.mark.parametrize("counts", [(-1, 0), (3, -1)])
def test_fewer_than_none_are_damage(counts: tuple[int, int]) -> None:
    with pytest.raises(DamagedDataError):
        _outcomes(counts, [])
