"""One bit of any file of a stopped folder is flipped: what is counted is right, or it is said."""

from __future__ import annotations

import os
import random
import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from headcount.catalog import Catalog
from headcount.counting.calendar import parse_period
from headcount.counting.usage import UsageReading
from headcount.datafolder import DataFolder, load_hash_key, open_data_folder
from headcount.doctor import Level, examine
from headcount.errors import HeadcountError
from headcount.integrity import refuse_faults
from support.counted_folder import NOW_MS, CountedFolder, counted_folder

SEEDS = range(int(os.environ.get("HEADCOUNT_FLIPS", "20")))
MONTHS = [parse_period(f"2026-{month}-01") for month in ("10", "11")]


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Counts, runs and blocks of keys, and messages that wait, in databases and in their logs."""
    counted = counted_folder(tmp_path_factory.mktemp("master") / "data")
    path = tmp_path_factory.mktemp("killed") / "data"
    rig = counted.rig()
    journal = rig.journal()
    counted.append(rig, journal, counted.facts(40, random.Random(4)))
    rig.drain()
    counted.append(rig, journal, counted.facts(60, random.Random(5)))
    shutil.copytree(counted.folder.path, path)  # as a kill leaves it
    journal.close()
    rig.close()
    for left in path.rglob("*-shm"):
        left.unlink()
    return path


def counts_after_a_start(path: Path) -> list[tuple[object, ...]]:
    """What readers are shown once all that waits is counted."""
    folder = open_data_folder(path, create=True)
    refuse_faults(folder.path)
    with Catalog(folder.catalog) as catalog:
        load_hash_key(folder, catalog)
        names = [(s.number, s.name, s.write_key, s.enabled) for s in catalog.sources()]
    counted = CountedFolder(folder)
    rig = counted.rig()
    with closing(rig.meter), closing(rig.store):
        rig.drain()
        readings = [rig.store.read_usage(w, month) for w in (1, 2) for month in MONTHS]
    rig.writers.close()
    return [*names, *map(shown, readings)]


def shown(reading: UsageReading) -> tuple[object, ...]:
    return (
        reading.workspace.tobytes(),
        reading.sources.tobytes(),
        reading.source_numbers.tobytes(),
        reading.rejected,
        reading.last_metered_day,
    )


def is_said(path: Path) -> bool:
    """Whether doctor finds a problem."""
    folder = DataFolder(path)
    try:
        open_data_folder(path, create=False)
        found = list(examine(folder, None, NOW_MS))
    except HeadcountError:
        return True
    return any(f.level == Level.PROBLEM and f.check != "disk" for f in found)


@pytest.fixture(scope="module")
def expected(master: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    clean = shutil.copytree(master, tmp_path_factory.mktemp("clean") / "data")
    assert not is_said(clean)
    return counts_after_a_start(clean)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flipped_bit_changes_no_count_without_a_word(
    seed: int, master: Path, expected: list[tuple[object, ...]], tmp_path: Path
) -> None:
    rng = random.Random(seed)
    path = shutil.copytree(master, tmp_path / "data")
    files = sorted(f for f in path.rglob("*") if f.is_file() and f.stat().st_size)
    file = rng.choice(files)
    data = bytearray(file.read_bytes())
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    file.write_bytes(data)
    before = is_said(path)
    try:
        found = counts_after_a_start(path)
    except (HeadcountError, apsw.Error):
        return  # a start says it, and counts nothing
    assert found == expected or before or is_said(path), f"{file.relative_to(path)} at {at}"
