"""Which runs become one, and that they stay few however many keys come."""

from __future__ import annotations

import math
import os
import random
import shutil
from collections import Counter, deque
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.keys import MESSAGE, NEVER, KeyBlock
from headcount.errors import DamagedDataError
from headcount.meter.indexes import MeterIndexes
from headcount.meter.limits import MeterLimits
from headcount.meter.merging import runs_to_merge
from headcount.meter.messages import MessageKeys
from headcount.store import run_folder
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from headcount.store.run_folder import RunFolder
from headcount.store.runs import Run
from support.owned_keys import new_keys

JANUARY = parse_period("2026-01-01")
NOON_MS = (JANUARY.first_day + 9) * MS_PER_DAY + MS_PER_DAY // 2
IN_MEMORY = 100


@pytest.mark.parametrize(
    ("keys_of_runs", "chosen"),
    [
        ({}, ""),
        ({"a": 4, "b": 4, "c": 4}, ""),
        ({"a": 4, "b": 5, "c": 15, "d": 7}, "abcd"),
        ({"a": 4, "b": 5, "c": 15, "d": 16}, ""),
        ({"a": 4, "b": 5, "c": 6, "d": 7, "e": 8, "f": 90}, "abcde"),
        ({"a": 64, "b": 65, "c": 66, "d": 67, "e": 4, "f": 4, "g": 4, "h": 4}, "efgh"),
        ({"a": 0, "b": 1, "c": 2, "d": 3}, "abcd"),
    ],
)
def test_four_runs_of_about_one_size_become_one_the_smallest_first(
    keys_of_runs: dict[str, int], chosen: str
) -> None:
    assert runs_to_merge(keys_of_runs) == list(chosen)


@pytest.mark.parametrize("seed", range(3))
def test_runs_stay_few_and_a_key_is_written_few_times(seed: int) -> None:
    rng = random.Random(seed)
    runs: dict[str, int] = {}
    made = written = 0
    for number in range(1000):
        size = rng.randint(4_000_000, 4_060_000)
        runs[f"{number}"] = size
        made += size
        while chosen := runs_to_merge(runs):
            runs[f"{number} of {len(chosen)}"] = total = sum(map(runs.pop, chosen))
            written += total
        assert len(runs) <= 3 * (math.log(number + 1, 4) + 2)
    assert sum(runs.values()) == made
    assert written <= (math.log(1000, 4) + 1) * made


class Keys:
    """A store with its indexes, and the keys that it was given."""

    def __init__(self, path: Path) -> None:
        self.now_ms = NOON_MS
        self.store = open_store(path / "store.sqlite")
        self.store.files.tidy(0)
        limits = MeterLimits(message_keys_in_memory_max=IN_MEMORY)
        self.indexes = MeterIndexes(self.store, lambda: self.now_ms, 35, limits)
        self.given: dict[int, int] = {}

    def learn(self, rng: random.Random, count: int = 60) -> None:
        """Take in some keys, new ones and earlier days of known ones, as a batch does."""
        asked = {rng.randrange(1, 4000) << 50: rng.randrange(31) for _ in range(count)}
        keys = np.array(sorted(asked), np.uint64)
        days = np.array([asked[key] for key in keys.tolist()], np.uint8)
        index = self.indexes.of(JANUARY, MESSAGE)
        probe = index.probe(keys)
        assert probe.days.tolist() == [self.given.get(key, NEVER) for key in keys.tolist()]
        earlier = days < probe.days
        block = KeyBlock(keys[earlier], days[earlier], None)
        self.store.commit(Change({(JANUARY, MESSAGE): new_keys(block)}))
        index.upsert(block, probe.slots[earlier])
        self.given.update(zip(block.fingerprints.tolist(), block.days.tolist(), strict=True))
        self.indexes.upkeep()

    def runs(self) -> list[int]:
        return [run.keys for run in self.store.files.runs(JANUARY, MESSAGE)]

    def close(self) -> None:
        self.indexes.close()
        self.store.close()


def test_an_index_answers_the_same_while_its_runs_are_merged(tmp_path: Path) -> None:
    rng = random.Random(1)
    with closing(Keys(tmp_path)) as keys:
        names: set[str] = set()
        most = 0
        for _ in range(300):
            keys.learn(rng)
            runs = keys.store.files.runs(JANUARY, MESSAGE)
            names |= {run.name for run in runs}
            most = max(most, len(runs))
        index = keys.indexes.of(JANUARY, MESSAGE)
        assert isinstance(index, MessageKeys)
        assert sum(keys.runs()) > 10 * IN_MEMORY
        assert len(names) > 30
        assert most <= 3 * 3 + 1  # three of each of three sizes, and one that is to be merged
        given = keys.given
    with closing(Keys(tmp_path)) as again:
        again.given = given
        for _ in range(20):
            again.learn(rng)


def four_runs(keys: Keys) -> None:
    """Write four runs of one key each, one step from being merged."""
    for number in range(4):
        block = KeyBlock(np.array([number + 1], np.uint64), np.zeros(1, np.uint8), None)
        write_run = keys.store.files.write_run
        for _ in write_run(JANUARY, MESSAGE, [block], 0, keys=1, replace_existing=False):
            pass


def test_runs_that_an_earlier_meter_has_left_are_merged_without_being_asked_for(
    tmp_path: Path,
) -> None:
    rng = random.Random(2)
    with closing(Keys(tmp_path)) as keys:
        keys.now_ms += 400 * MS_PER_DAY  # nothing asks for this month by itself
        four_runs(keys)
    with closing(Keys(tmp_path)) as keys:
        keys.now_ms += 400 * MS_PER_DAY
        for _ in range(10):
            keys.indexes.upkeep()
        assert keys.runs() == [4]
        assert len(list((tmp_path / "keys").iterdir())) == 1
        keys.given = dict.fromkeys(range(1, 5), 0)
        keys.learn(rng)


def test_a_disk_that_refuses_is_asked_again_even_when_the_clock_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = Counter[str]()

    def refuse(_self: object, name: str, *_: object, **__: object) -> None:
        refusals[name.split("-")[0]] += 1
        raise OSError(28, "No space left on device")

    rng = random.Random(3)
    with closing(Keys(tmp_path)) as keys:
        with monkeypatch.context() as patched:
            patched.setattr(RunFolder, "write", refuse)
            for _ in range(20):
                keys.learn(rng)
            assert refusals["message"] == 1
            keys.now_ms -= 30 * MS_PER_DAY
            keys.learn(rng)
            assert refusals["message"] == 2
            keys.now_ms += 60_000
            keys.learn(rng)
            assert refusals["message"] == 3
        keys.now_ms += 60_000
        for _ in range(20):
            keys.learn(rng)
        assert keys.runs()


def test_a_disk_without_room_for_a_merged_run_keeps_the_runs_and_writes_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path).free
    rng = random.Random(5)
    with closing(Keys(tmp_path)) as keys:
        with monkeypatch.context() as patched:
            patched.setattr("headcount.store.run_folder._RESERVE_BYTES", 2 * free)
            for _ in range(20):
                keys.learn(rng)
            runs = keys.runs()
            assert len(runs) > 4
        keys.now_ms += 600_000
        for _ in range(20):
            keys.learn(rng)
        assert len(keys.runs()) < len(runs)


def test_a_damaged_run_is_not_merged_and_stays_to_be_found(tmp_path: Path) -> None:
    with closing(Keys(tmp_path)) as keys:
        four_runs(keys)
    damaged = min((tmp_path / "keys").iterdir())
    with closing(Keys(tmp_path)) as keys:
        flip_a_bit(damaged)
        for _ in range(20):
            keys.indexes.upkeep()
        assert keys.runs() == [1, 1, 1, 1]
        assert not Run(damaged).intact()
        assert len(list((tmp_path / "keys").iterdir())) == 4


def flip_a_bit(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 3)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def test_nobody_counts_by_a_damaged_run(tmp_path: Path) -> None:
    with closing(Keys(tmp_path)) as keys:
        four_runs(keys)
    flip_a_bit(min((tmp_path / "keys").iterdir()))
    with pytest.raises(DamagedDataError, match="damaged"):
        Keys(tmp_path)


def test_a_large_run_is_read_whole_part_by_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "_VERIFIED_AT_ONCE_BYTES", 0)
    with closing(Keys(tmp_path)) as keys:
        four_runs(keys)
    flip_a_bit(min((tmp_path / "keys").iterdir()))
    with closing(Keys(tmp_path)) as keys, pytest.raises(DamagedDataError, match="damaged"):
        deque((keys.indexes.upkeep() for _ in range(20)), maxlen=0)


def test_a_run_that_cannot_be_read_stops_neither_metering_nor_other_months(tmp_path: Path) -> None:
    with closing(Keys(tmp_path)) as keys:
        four_runs(keys)
    min((tmp_path / "keys").iterdir()).write_bytes(b"cut off")
    rng = random.Random(4)
    with closing(open_store(tmp_path / "store.sqlite")) as store:
        later = NOON_MS + 400 * MS_PER_DAY  # nothing asks for that month by itself
        indexes = MeterIndexes(store, lambda: later, 35, MeterLimits(message_keys_in_memory_max=1))
        with closing(indexes):
            period = Period.of_day(later // MS_PER_DAY)
            for _ in range(40):
                index = indexes.of(period, MESSAGE)
                fingerprints = np.array(sorted({rng.getrandbits(62) + 1, 5}), np.uint64)
                probe = index.probe(fingerprints)
                block = KeyBlock(fingerprints, np.zeros(2, np.uint8), None)
                store.commit(Change({(period, MESSAGE): new_keys(block)}))
                index.upsert(block, probe.slots)
                indexes.upkeep()
            assert 1 <= len(store.files.runs(period, MESSAGE)) < 10
