"""A commit that a killed process had written and not synced is durable before it is acted on.

The next process finds such a commit in the log and believes it. If it were counted, or what it
covers were pruned, and the power went then, the disk would take it back: entry ids would be given
a second time, below the metered position, or pruned entries would be missed by the store.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import apsw
import numpy as np
import pytest

from headcount.counting.calendar import parse_period
from headcount.counting.keys import MESSAGE, KeyBlock
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.journal import JournalFile
from headcount.store.opening import open_store
from headcount.store.protocol import Change, MeterStore
from support.faulty_vfs import FaultyDisk
from support.owned_keys import new_keys

# No commit here takes more operations, so that a kill meets each of them, the sync too.
OPERATIONS = range(1, 9)


@pytest.fixture(params=OPERATIONS)
def killed_at(request: pytest.FixtureRequest) -> int:
    """The operation of a commit within which the process is killed."""
    number: int = request.param
    return number


@pytest.fixture
def disk(killed_at: int) -> Iterator[FaultyDisk]:
    disk = FaultyDisk(f"unsynced-{killed_at}", random.Random(killed_at))
    yield disk
    disk.forget()


def ends(disk: FaultyDisk, close: Callable[[], None]) -> None:
    """Let a process end that a dead disk has left with open files."""
    with suppress(apsw.Error):
        close()
    close()
    disk.restart()


def test_an_entry_that_the_next_process_reads_survives_a_power_cut(
    disk: FaultyDisk, killed_at: int, tmp_path: Path
) -> None:
    def opened() -> JournalFile:
        return JournalFile(tmp_path / "journal.sqlite", vfs=disk.name)

    journal = opened()
    journal.append(b"", [], 1)
    disk.end_after(killed_at, "kill")
    with suppress(StorageUnavailableError):
        for number in range(2, 2 + killed_at):
            journal.append(b"", [], number)
    assert disk.ended
    ends(disk, journal.close)
    journal = opened()
    read = list(journal.entries(0))
    assert read
    disk.end_after(1, "power cut")
    with pytest.raises(StorageUnavailableError):
        journal.append(b"", [], 100)
    ends(disk, journal.close)
    with closing(opened()) as later:
        assert list(later.entries(0)) == read


def test_a_position_that_the_next_meter_finds_survives_a_power_cut(
    disk: FaultyDisk, killed_at: int, tmp_path: Path
) -> None:
    def opened() -> MeterStore:
        return open_store(tmp_path / "store.sqlite", vfs=disk.name)

    store = opened()
    store.commit(Change(positions={"journal": 1}))
    disk.end_after(killed_at, "kill")
    with suppress(StorageUnavailableError):
        for number in range(2, 2 + killed_at):
            store.commit(Change(positions={"journal": number}))
    assert disk.ended
    ends(disk, store.close)
    store = opened()
    found = store.state().positions
    assert found
    disk.end_after(1, "power cut")
    with pytest.raises(StorageUnavailableError):
        store.commit(Change(positions={"journal": 100}))
    ends(disk, store.close)
    with closing(opened()) as later:
        assert later.state().positions == found


@pytest.fixture(params=range(40))
def seed(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture
def failing(seed: int) -> Iterator[FaultyDisk]:
    """A disk that takes what it failed to sync for clean, so that to sync it later does nothing."""
    disk = FaultyDisk(f"failing-{seed}", random.Random(seed))
    yield disk
    disk.forget()


def test_a_commit_whose_sync_failed_is_whole_or_gone_after_a_power_cut(
    seed: int, failing: FaultyDisk, tmp_path: Path
) -> None:
    def opened() -> MeterStore:
        return open_store(tmp_path / "store.sqlite", vfs=failing.name)

    def change(number: int) -> Change:
        return Change(positions={f"journal {each}": number for each in range(400)})

    opened().close()
    store = opened()
    # A log of up to some hundred kilobytes stands before it.
    for _ in range(1 + seed % 8):
        store.commit(change(1))
    failing.fail_syncs(1)
    with pytest.raises(StorageUnavailableError):
        store.commit(change(2))
    failing.end_after(1, "kill")
    ends(failing, store.close)
    failing.end_after(1 + seed, "power cut")
    with suppress(StorageUnavailableError, DataFolderError, apsw.Error):
        store = opened()
        assert set(store.state().positions.values()) == {2}, "the next one believes it"
        store.close()  # moves the log into the database
    ends(failing, store.close)
    with closing(opened()) as later:
        later.files.check()
        assert len(set(later.state().positions.values())) == 1


def test_what_comes_behind_a_commit_whose_sync_failed_survives_a_power_cut(
    seed: int, failing: FaultyDisk, tmp_path: Path
) -> None:
    def opened() -> JournalFile:
        return JournalFile(tmp_path / "journal.sqlite", vfs=failing.name)

    opened().close()
    journal = opened()
    # SQLite's own VFS does not take the whole log at once where it is longer than 128 KiB.
    for number in range(1, 2 + seed % 12):
        journal.append(bytes(56), [], number)
    failing.fail_syncs(1)
    with pytest.raises(StorageUnavailableError):
        journal.append(bytes(56), [], 100)
    failing.end_after(1, "kill")
    ends(failing, journal.close)
    journal = opened()
    journal.append(bytes(56), [], 200)
    read = list(journal.entries(0))
    failing.end_after(1, "power cut")
    with pytest.raises(StorageUnavailableError):
        journal.append(bytes(56), [], 300)
    ends(failing, journal.close)
    with closing(opened()) as later:
        assert list(later.entries(0)) == read


def test_a_run_that_is_put_away_is_named_by_no_commit_that_comes_back(tmp_path: Path) -> None:
    """While others have the store open, nobody sees what a killed process wrote and did not sync.

    Once all have closed it, it is found in the log.
    """
    disk = FaultyDisk("stray", random.Random(1))
    period, keys = parse_period("2026-02-01"), np.arange(1, 9, dtype=np.uint64)
    block = KeyBlock(keys, np.ones(8, np.uint8), None)
    stores: dict[str, MeterStore] = {}

    def open_as(program: str) -> MeterStore:
        with disk.running(program):
            stores[program] = open_store(tmp_path / "store.sqlite", vfs=disk.name)
            return stores[program]

    open_as("reader")
    first = open_as("first")
    with disk.running("first"):
        first.commit(Change(keys={(period, MESSAGE): new_keys(block)}))
        written = first.files.write_run(
            period, MESSAGE, [block], first.files.newest_block(), keys=8, replace_existing=False
        )
        disk.end_after(1, "kill one", syncs=True)
        with pytest.raises(StorageUnavailableError):
            list(written)
        with suppress(apsw.Error):
            first.close()
    disk.bury("first")
    open_as("second").files.tidy(0)
    disk.kill("second")
    disk.kill("reader")
    for program in ("second", "reader"):
        with disk.running(program), suppress(apsw.Error):
            stores[program].close()
        disk.bury(program)
    with closing(open_store(tmp_path / "store.sqlite", vfs=disk.name)) as later:
        runs = later.files.runs(period, MESSAGE)
        held = sum(run.keys for run in runs) + later.files.keys_in_blocks(period, MESSAGE)
        assert held == len(keys)
    disk.forget()
