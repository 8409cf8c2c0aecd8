"""Counts of one scope, rebuilt from the counts of all others and the keys: those, or none."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from headcount.counting.calendar import Period
from headcount.counting.keys import MESSAGE, TRACKED, Family
from headcount.counting.metrics import ANONYMOUS, IDENTIFIED
from headcount.counting.usage import Counts
from headcount.doctor.rebuilding import MonthKeys, candidates
from headcount.store.opening import open_store
from headcount.store.recount import count_keys
from support.counted_folder import CountedFolder, counted_folder

Scope = tuple[int, int]
"""Workspace and source; 0 is the workspace itself."""


@dataclass
class Month:
    scopes: dict[Scope, Counts]
    keys: MonthKeys

    def candidates(self, scope: Scope, damaged: Counts, *, keys: bool = True) -> Iterator[Counts]:
        rest = {each: counts for each, counts in self.scopes.items() if each != scope}
        return candidates(
            damaged,
            rest.get((scope[0], 0)),
            [counts for each, counts in rest.items() if each[0] == scope[0] and each[1]],
            [counts for each, counts in rest.items() if each[0] != scope[0]],
            self.keys if keys else None,
        )


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    counted: CountedFolder = counted_folder(tmp_path_factory.mktemp("counted") / "data")
    store = open_store(counted.folder.store)
    period = Period.of_day(counted.now_ms // 86_400_000)
    scopes: dict[Scope, Counts] = {}
    for workspace in (1, 2):
        reading = store.read_usage(workspace, period)
        scopes[workspace, 0] = reading.workspace
        for number, counts in zip(reading.source_numbers.tolist(), reading.sources, strict=True):
            scopes[workspace, number] = counts

    def keys(family: Family) -> list[object]:
        runs = [part for run in store.files.runs(period, family) for part in run.blocks()]
        return [*runs, *store.files.blocks(period, family)]

    found = MonthKeys(*(count_keys(0, tuple, keys(each)) for each in (MESSAGE, TRACKED)))  # type: ignore[arg-type]
    store.close()
    return Month(scopes, found)


def test_any_one_count_that_is_wrong_is_found(month: Month) -> None:
    rng = random.Random(1)
    for scope, right in month.scopes.items():
        for _ in range(50):
            damaged = right.copy()
            damaged[rng.randrange(31), rng.randrange(5)] = rng.randrange(-(2**62), 2**62)
            found = list(month.candidates(scope, damaged))
            assert any((each == right).all() for each in found)
            assert len(found) <= 3  # the checksum says which


def test_several_days_are_found_where_one_kind_of_ids_is_left(month: Month) -> None:
    rng = random.Random(2)
    for scope, right in month.scopes.items():
        damaged = right.copy()
        for day in rng.sample(range(31), 6):
            damaged[day, rng.choice([IDENTIFIED, ANONYMOUS])] += 1 + rng.randrange(9)
        assert any((each == right).all() for each in month.candidates(scope, damaged))


def test_a_workspace_with_one_source_and_its_source_need_no_keys(month: Month) -> None:
    nothing = np.zeros((31, 5), np.int64)
    for scope in ((2, 0), (2, 3)):
        assert [
            bool((each == month.scopes[scope]).all())
            for each in month.candidates(scope, nothing, keys=False)
        ] == [True]
    for scope in ((1, 0), (1, 1)):
        assert list(month.candidates(scope, nothing, keys=False)) == []


def test_what_does_not_follow_is_not_offered_as_if_it_did(month: Month) -> None:
    rng = random.Random(3)
    garbage = np.frombuffer(rng.randbytes(1240), "<i8").reshape(31, 5)
    for scope in ((1, 0), (1, 1), (1, 2)):
        assert not any((each == garbage).all() for each in month.candidates(scope, garbage))
