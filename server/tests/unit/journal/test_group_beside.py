"""What is written beside a journal stands exactly if the journal's entry does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from headcount.counting.facts import FACT_BYTES
from headcount.errors import SpoolUnavailableError, StorageUnavailableError
from headcount.journal import GroupCommit, JournalFile

FACT = bytes(FACT_BYTES)


class Beside:
    """Keeps what stands, and what was done, in order."""

    def __init__(self) -> None:
        self.must_undo = False
        self.refuses = self.cannot_undo = False
        self.written: list[Any] = []
        self.standing: list[tuple[int, Any]] = []
        self.did: list[str] = []

    def write(self, posted: Sequence[Any], entry: int) -> None:
        self.did.append(f"write {entry}")
        if self.refuses:
            raise SpoolUnavailableError("no room")
        self.written = [(entry, each) for each in posted]

    def committed(self, entry: int) -> None:
        self.did.append(f"committed {entry}")
        self.standing += self.written
        self.written = []

    def undo(self) -> None:
        self.did.append("undo")
        self.must_undo = self.cannot_undo
        if self.cannot_undo:
            raise StorageUnavailableError("it stays")
        self.written = []

    def close(self) -> None:
        self.did.append("close")


def facts_in(path: Path) -> list[int]:
    journal = JournalFile(path)
    found = [len(entry.facts) // FACT_BYTES for entry in journal.entries(0)]
    journal.close()
    return found


async def test_it_is_written_before_the_entry_and_stands_after_it(tmp_path: Path) -> None:
    beside = Beside()
    group = GroupCommit(JournalFile(tmp_path / "j.sqlite"), lambda: 7, beside=beside)
    await group.append(FACT)
    await group.append(FACT, (), ["letter"])
    await group.close()
    assert beside.standing == [(2, "letter")]
    assert beside.did == ["committed 1", "write 2", "committed 2", "close"]


async def test_where_it_is_refused_the_others_of_the_commit_are_taken(tmp_path: Path) -> None:
    beside = Beside()
    beside.refuses = True
    group = GroupCommit(JournalFile(tmp_path / "j.sqlite"), lambda: 7, beside=beside)
    results = await asyncio.gather(
        group.append(FACT, (), ["letter"]), group.append(2 * FACT), return_exceptions=True
    )
    assert isinstance(results[0], SpoolUnavailableError)
    assert results[1] is None
    with pytest.raises(SpoolUnavailableError):
        await group.append(FACT, (), ["alone"])
    assert group.pending_bytes == 0
    await group.close()
    assert facts_in(tmp_path / "j.sqlite") == [2]


async def test_where_the_entry_is_refused_it_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Beside()
    journal = JournalFile(tmp_path / "j.sqlite")
    group = GroupCommit(journal, lambda: 7, beside=beside)
    append = journal.append

    def refuse(*_: object) -> int:
        raise StorageUnavailableError("full")

    monkeypatch.setattr(journal, "append", refuse)
    with pytest.raises(StorageUnavailableError):
        await group.append(FACT, (), ["letter"])
    assert beside.did[-1] == "undo"
    monkeypatch.setattr(journal, "append", append)
    await group.append(FACT, (), ["again"])
    await group.close()
    assert beside.standing == [(1, "again")]


async def test_nothing_is_appended_while_something_is_left_that_never_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another entry would get its id, and make it stand."""
    beside = Beside()
    journal = JournalFile(tmp_path / "j.sqlite")
    group = GroupCommit(journal, lambda: 7, beside=beside)
    append = journal.append

    def refuse(*_: object) -> int:
        raise StorageUnavailableError("full")

    monkeypatch.setattr(journal, "append", refuse)
    beside.cannot_undo = True
    with pytest.raises(StorageUnavailableError):
        await group.append(FACT, (), ["letter"])
    monkeypatch.setattr(journal, "append", append)
    with pytest.raises(StorageUnavailableError, match="it stays"):
        await group.append(FACT)
    beside.cannot_undo = False
    await group.append(FACT)
    await group.close()
    assert beside.standing == []
    assert facts_in(tmp_path / "j.sqlite") == [1]
