"""Pruning beside intake: how long it keeps the write lock, and what it gives back to the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from headcount.counting.facts import FACT_BYTES
from headcount.journal import JournalFile
from headcount.journal import file as journal_file
from headcount.sqlite import opening

ENTRY = bytes(FACT_BYTES) * 2_000
A_CALL_BYTES = 8 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "j.sqlite"


@pytest.fixture
def intake(path: Path) -> Iterator[JournalFile]:
    with closing(JournalFile(path)) as journal:
        yield journal


@pytest.fixture
def meter(path: Path) -> Iterator[JournalFile]:
    with closing(JournalFile(path)) as journal:
        yield journal


def test_intake_appends_while_it_is_read_what_is_to_be_deleted(
    intake: JournalFile, meter: JournalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        last = intake.append(ENTRY, [], 0)
    read_entries = journal_file.read_entries

    def reading(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for entry in read_entries(*args, **kwargs):
            intake.append(ENTRY, [], 1)  # which waits in vain where the lock is held
            yield entry

    monkeypatch.setattr(opening, "_BUSY_TIMEOUT_MS", 1)
    monkeypatch.setattr(journal_file, "read_entries", reading)
    assert meter.prune(last)
    monkeypatch.undo()
    assert [entry.id for entry in meter.entries(0)] == [4, 5, 6]


def test_nothing_is_deleted_by_what_was_read_before_another_pruned(
    intake: JournalFile, meter: JournalFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        intake.append(ENTRY, [], 0)
    with closing(JournalFile(path)) as other:
        read_entries = journal_file.read_entries

        def overtaken(*args: Any, **kwargs: Any) -> Iterator[Any]:
            monkeypatch.undo()
            entries = list(read_entries(*args, **kwargs))
            assert other.prune(3)
            yield from entries

        monkeypatch.setattr(journal_file, "read_entries", overtaken)
        assert not meter.prune(2)
    assert meter.pruned() == (3, 3 * 2_000)
    assert meter.prune(2)
    assert [entry.id for entry in meter.entries(0)] == [4]


def test_a_call_deletes_a_bounded_number_of_bytes(intake: JournalFile, meter: JournalFile) -> None:
    entries = 3 * A_CALL_BYTES // len(ENTRY)
    for _ in range(entries):
        last = intake.append(ENTRY, [], 0)
    calls, pruned = 0, 0
    while pruned < last:
        meter.prune(last)
        former, pruned = pruned, meter.pruned()[0]
        assert 0 < (pruned - former) * len(ENTRY) <= A_CALL_BYTES + len(ENTRY)
        calls += 1
    assert calls >= 3


def test_room_that_intake_is_about_to_fill_again_is_not_given_back_meanwhile(
    intake: JournalFile, meter: JournalFile, path: Path
) -> None:
    """Else the same pages would be moved out of the file and made anew, twice a second."""

    def pages() -> int:
        with closing(apsw.Connection(str(path))) as db:
            return int(db.pragma("page_count"))

    full = 0
    for _ in range(4):
        for _ in range(60):
            last = intake.append(ENTRY, [], 0)
        full = full or pages()
        assert pages() == full
        meter.prune(last)
        assert pages() == full
    # Nobody fills it any more.
    while not meter.prune(last):
        pass
    assert pages() < full / 2


def test_who_waits_for_anothers_transaction_looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal clock
        slept.append(seconds)
        clock += seconds

    monkeypatch.setattr(opening.time, "sleep", sleep)
    monkeypatch.setattr(opening.time, "monotonic", lambda: clock)
    patience = opening._Patience()
    for _ in range(2):
        slept.clear()
        while patience(len(slept)):
            pass
        assert max(slept[:100]) <= 0.001
        assert max(slept) <= 0.01
        assert sum(slept) == pytest.approx(10, abs=0.1)
