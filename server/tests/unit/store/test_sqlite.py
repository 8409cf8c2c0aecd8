"""What is particular to the store in one SQLite file: its size, its format, its refusals."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import numpy as np
import pytest

from headcount.counting.aside import Aside, AsideReason
from headcount.counting.calendar import parse_period
from headcount.counting.keys import MESSAGE, NEVER, TRACKED, Family, KeyBlock
from headcount.errors import DamagedDataError, DataFolderError, StorageUnavailableError
from headcount.store.protocol import Change
from headcount.store.run_folder import RunFolder
from headcount.store.sqlite import SqliteStore
from support.faulty_vfs import FaultyDisk
from support.owned_keys import new_keys

JANUARY = parse_period("2026-01-01")
BYTES_A_KEY_MAX = 16


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[FaultyDisk]:
    disk = FaultyDisk(request.node.name, random.Random(1))
    yield disk
    disk.forget()


@pytest.mark.parametrize("family", [TRACKED, MESSAGE])
def test_a_key_takes_little_disk_however_small_the_batches_were(
    tmp_path: Path, family: Family
) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "store.sqlite"
    total = 0
    with closing(SqliteStore(path)) as store:
        for size in [20] * 300 + [300] * 150 + [3000] * 40:
            keys = np.unique(rng.integers(1, 2**63, size, np.uint64))
            days = np.zeros(len(keys), np.uint8)
            identified = np.full(len(keys), NEVER, np.uint8) if family == TRACKED else None
            store.commit(Change({(JANUARY, family): new_keys(KeyBlock(keys, days, identified))}))
            total += len(keys)
    assert total > 170_000
    assert path.stat().st_size <= BYTES_A_KEY_MAX * total


@pytest.mark.parametrize("fault", ["full", "sync"])
def test_a_disk_that_refuses_is_reported_and_nothing_is_changed(
    tmp_path: Path, disk: FaultyDisk, fault: str
) -> None:
    with closing(SqliteStore(tmp_path / "store.sqlite", vfs=disk.name)) as store:
        for _ in range(60):  # what made the tables has left room in the log
            store.commit(Change(positions={"journal": 1}))
        disk.fill_for(1) if fault == "full" else disk.fail_syncs(1)
        with pytest.raises(StorageUnavailableError, match="the store did not take a change"):
            store.commit(Change(positions={"journal": 2}))
        assert store.state().positions == {"journal": 1}
        disk.fill_for(1) if fault == "full" else disk.fail_syncs(1)
        with pytest.raises(StorageUnavailableError, match="the store did not take a change"):
            store.commit(Change(counted_until_ms=5))
        store.commit(Change(positions={"journal": 2}))
        assert store.state().positions == {"journal": 2}


def test_what_is_set_aside_is_read_or_damaged_whatever_bit_flips(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with closing(SqliteStore(path)) as store:
        store.commit(Change(aside=[Aside(AsideReason.DAMAGED, b"", origin="entry 7", held=5)]))
    data = path.read_bytes()
    [page] = [at for at in range(0, len(data), 4096) if b"entry 7" in data[at : at + 4096]]
    damaged = 0
    for at in range(page, page + 4096):
        for bit in range(8) if data[at] or at < page + 16 else ():
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
            with closing(SqliteStore(path)) as store:
                try:
                    store.set_aside()
                except DamagedDataError:
                    damaged += 1
    assert damaged


def test_runs_that_outlive_their_merge_are_put_away_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteStore(tmp_path / "store.sqlite")) as store:
        for key in range(1, 5):
            block = KeyBlock(np.array([key], np.uint64), np.zeros(1, np.uint8), None)
            written = store.files.write_run(
                JANUARY, MESSAGE, [block], 0, keys=1, replace_existing=False
            )
            assert sum(written) == 1
        names = [run.name for run in store.files.runs(JANUARY, MESSAGE)]
        # As if killed after the commit.
        monkeypatch.setattr(RunFolder, "delete", lambda *_: None)
        list(store.files.merge_runs(JANUARY, MESSAGE, names))
    with closing(SqliteStore(tmp_path / "store.sqlite")) as store:
        store.files.tidy(1_000)
        (run,) = store.files.runs(JANUARY, MESSAGE)
        assert [block.fingerprints.tolist() for block in run.blocks()] == [[1, 2, 3, 4]]
        assert [path.name for path in (tmp_path / "keys").iterdir()] == [run.name]
        assert {path.name for path in (tmp_path / "trash").iterdir()} == set(names)


def test_what_a_newer_version_wrote_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    SqliteStore(path).close()
    db = apsw.Connection(str(path))
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(DataFolderError, match=r"newer version .*format 99"):
        SqliteStore(path)


@pytest.mark.parametrize("format_", [0, -3, 99 << 20])
def test_a_format_that_no_version_has_made_is_damage(tmp_path: Path, format_: int) -> None:
    path = tmp_path / "store.sqlite"
    SqliteStore(path).close()
    with closing(apsw.Connection(str(path))) as db:
        db.execute(f"PRAGMA user_version = {format_}")
    with pytest.raises(DamagedDataError, match=f"format {format_}, which no version"):
        SqliteStore(path)
