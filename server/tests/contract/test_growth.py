"""What becomes many costs no more each, and reading costs the same: small sizes of the benchmark of
growth, with steps and bytes in the place of times.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from bench.growth import DIMENSIONS, Point, grown
from bench.growth_chart import draw

SMALL = {
    "messages of a month": (100, 1_000, 10_000),
    "ids of a month": (100, 1_000, 10_000),
    "sources of a workspace": (1, 10, 100),
    "workspaces": (1, 10, 100),
    "months of history": (1, 3, 10),
}
# Of these a batch and a read touch the same, however many there are.
UNTOUCHED = ("messages of a month", "ids of a month", "months of history")
STEPS_A_SCOPE = 400
KEYS_AN_ID = 3
"""Of its message, its source and its workspace."""


@cache
def measured(name: str) -> list[Point]:
    """The points of one thing that grows; each checks its counts."""
    (dimension,) = (each for each in DIMENSIONS if each.name == name)
    points = []
    for size in SMALL[name]:
        with TemporaryDirectory() as folder:
            points.append(grown(Path(folder), replace(dimension, sizes=[size]), size))
    return points


def test_all_that_grows_in_the_benchmark_is_held_to_it_here() -> None:
    assert [each.name for each in DIMENSIONS] == list(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_read_takes_the_same_steps_however_many_there_are(name: str) -> None:
    steps = [point.read_steps for point in measured(name)]
    assert max(each.sqlite for each in steps) <= steps[0].sqlite + 8
    assert max(each.python for each in steps) <= steps[0].python + 8


@pytest.mark.parametrize("name", UNTOUCHED)
def test_a_batch_takes_about_the_same_steps_however_many_there_are(name: str) -> None:
    steps = [point.message_steps for point in measured(name)]
    assert max(each.sqlite for each in steps) <= 1.3 * steps[0].sqlite
    assert max(each.python for each in steps) <= 1.5 * steps[0].python


@pytest.mark.parametrize("name", ["sources of a workspace", "workspaces"])
def test_a_batch_takes_some_steps_for_each_scope_that_it_touches(name: str) -> None:
    few, *more = measured(name)
    for point in more:
        scopes = point.size - few.size
        assert point.message_steps.sqlite - few.message_steps.sqlite <= STEPS_A_SCOPE * scopes
        assert point.message_steps.python - few.message_steps.python <= STEPS_A_SCOPE * scopes


def test_an_id_takes_so_many_bytes_of_memory_and_disk() -> None:
    few, *_, many = measured("ids of a month")
    ids = many.size - few.size
    assert many.index_bytes - few.index_bytes <= 24 * KEYS_AN_ID * ids
    assert many.disk_bytes - few.disk_bytes <= 16 * KEYS_AN_ID * ids


def test_what_is_measured_can_be_drawn() -> None:
    pytest.importorskip("vl_convert")
    picture = draw({name: measured(name) for name in SMALL})
    assert picture.startswith("<svg")
    assert all(name in picture for name in SMALL)
