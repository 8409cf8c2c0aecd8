"""When partitions of a node are told to erase deleted workspaces, and when nobody can undo that."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from headcount.catalog import Catalog
from headcount.errors import UsageError
from headcount.wiring.cluster_erasing import ErasedWorkspaces, say_erased


class Meter:
    """Notes what it is told to erase."""

    def __init__(self, name: str, until_ms: int | None) -> None:
        self.name = name
        self.moment = until_ms
        self.told: list[Collection[int]] = []

    def until_ms(self) -> int | None:
        return self.moment

    def erase(self, workspaces: Collection[int]) -> None:
        self.told.append(set(workspaces))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.sqlite") as catalog:
        for name in ("a", "b", "c"):
            catalog.add_workspace(name, 1)
        yield catalog


def test_a_deletion_can_be_taken_back_until_it_is_said_that_it_is_erased(
    catalog: Catalog,
) -> None:
    catalog.delete_workspace(1, 1_000, 5_000)
    say_erased(catalog, 4_999)
    erased, meter = ErasedWorkspaces(catalog), Meter("facts-0", 9_000)
    erased.erase([as_meter(meter)])
    assert (meter.told, erased.numbers()) == ([], set())
    say_erased(catalog, 5_000)
    with pytest.raises(UsageError):
        catalog.undelete_workspace(1)
    erased.erase([as_meter(meter)])
    assert (meter.told, erased.numbers()) == ([{1}], {1})


def test_all_is_looked_at_once_a_minute_also_while_something_waits(catalog: Catalog) -> None:
    now_s = 0.0
    erased = ErasedWorkspaces(catalog, lambda: now_s)
    behind, fresh = Meter("facts-0", 1_500), Meter("facts-1", 9_000)
    meters = [as_meter(behind), as_meter(fresh)]
    for number, moment in ((1, 1_000), (2, 2_000)):
        catalog.delete_workspace(number, moment, moment)
        say_erased(catalog, moment)
    for second in range(60):
        now_s = float(second)
        erased.erase(meters)
    assert (behind.told, fresh.told) == ([{1}], [{1, 2}])
    # It has counted what was taken before, and erases it at once.
    behind.moment = 2_000
    now_s = 59.5
    erased.erase(meters)
    assert (behind.told, fresh.told) == ([{1}, {1, 2}], [{1, 2}])
    now_s = 60.0
    erased.erase(meters)
    assert (behind.told[2:], fresh.told[1:]) == ([{1, 2}], [{1, 2}])
    # Another one is erased at once, whenever all was looked at.
    catalog.delete_workspace(3, 3_000, 3_000)
    say_erased(catalog, 3_000)
    erased.erase(meters)
    assert fresh.told[2:] == [{1, 2, 3}]


def as_meter(meter: Meter) -> Any:
    return meter
