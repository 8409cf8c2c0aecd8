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
import pytest

from crash.faulty_vfs import FaultyDisk
from headcount.errors import StorageUnavailableError
from headcount.journal import JournalFile
from headcount.store.protocol import Change
from headcount.store.sqlite import SqliteStore

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
    def opened() -> SqliteStore:
        store = SqliteStore(tmp_path / "store.sqlite", vfs=disk.name)
        store.tidy(0)
        return store

    store = opened()
    store.commit(Change(positions={"journal": 1}))
    disk.end_after(killed_at, "kill")
    with suppress(StorageUnavailableError):
        for number in range(2, 2 + killed_at):
            store.commit(Change(positions={"journal": number}))
    assert disk.ended
    ends(disk, store.close)
    store = opened()
    found = store.positions()
    assert found
    disk.end_after(1, "power cut")
    with pytest.raises(StorageUnavailableError):
        store.commit(Change(positions={"journal": 100}))
    ends(disk, store.close)
    with closing(opened()) as later:
        assert later.positions() == found
