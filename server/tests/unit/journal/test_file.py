"""One journal file: what was appended comes in order, once, and keeps its id for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from headcount.counting.facts import FACT_BYTES, Rejection
from headcount.errors import DataFolderError
from headcount.journal import JournalFile

TALLIES = [Rejection(1, 2, 20_000, "invalid_id", 3), Rejection(1, 2, 20_001, "caf\u00e9", 1)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JournalFile]:
    with closing(JournalFile(tmp_path / "j.sqlite")) as journal:
        yield journal


def fact(number: int) -> bytes:
    return number.to_bytes(FACT_BYTES, "little")


def test_entries_come_back_in_order_with_all_they_had(journal: JournalFile) -> None:
    ids = [journal.append(fact(n) * n, TALLIES[:n], 1_000 + n) for n in range(3)]
    assert ids == [1, 2, 3]
    for reader in (journal, JournalFile(journal.path)):
        entries = list(reader.entries(0))
        assert [entry.id for entry in entries] == ids
        assert [entry.facts for entry in entries] == [b"", fact(1), fact(2) * 2]
        assert [entry.rejections for entry in entries] == [[], TALLIES[:1], TALLIES]
        assert [entry.appended_at_ms for entry in entries] == [1_000, 1_001, 1_002]
        assert [entry.id for entry in reader.entries(1)] == [2, 3]
        assert list(reader.entries(3)) == []
        assert reader.uuid == journal.uuid
        assert reader.lag_facts(0) == 3
        assert reader.lag_facts(2) == 2
        if reader is not journal:
            reader.close()


def test_a_pruned_id_is_never_used_again(journal: JournalFile) -> None:
    for number in range(5):
        journal.append(fact(number), [], 0)
    assert journal.prune(3)
    assert [entry.id for entry in journal.entries(0)] == [4, 5]
    assert journal.prune(5)
    assert list(journal.entries(0)) == []
    assert journal.last_id() == 5
    journal.close()
    # Not even by a process that finds an empty table.
    with closing(JournalFile(journal.path)) as later:
        assert later.last_id() == 5
        assert later.append(fact(6), [], 0) == 6


@contextmanager
def before_reading(table: str, nth: int, act: Callable[[], object]) -> Iterator[None]:
    """What another process does before a connection made meanwhile reads a table the n-th time."""
    readings = 0

    def trace(_: apsw.Cursor, statement: str, __: Any) -> bool:
        nonlocal readings
        if statement.lstrip().startswith("SELECT") and f"FROM {table}" in statement:
            readings += 1
            if readings == nth:
                act()
        return True

    def watch(connection: apsw.Connection) -> None:
        connection.exec_trace = trace

    apsw.connection_hooks.append(watch)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(watch)
    assert readings >= nth, "nothing was done"


@pytest.mark.parametrize("table", ["journal", "entry"])
@pytest.mark.parametrize("nth", [1, 2], ids=["as it opens", "as it appends"])
def test_an_id_that_is_pruned_while_a_writer_begins_is_never_used_again(
    journal: JournalFile, table: str, nth: int
) -> None:
    for number in range(3):
        journal.append(fact(number), [], 0)
    with (
        before_reading(table, nth, lambda: journal.prune(3)),
        closing(JournalFile(journal.path)) as writer,
    ):
        assert writer.append(fact(4), [], 0) == 4
    # Whoever has metered what was pruned finds what came after it.
    assert [(entry.id, entry.total_facts) for entry in journal.entries(3)] == [(4, 4)]
    assert journal.last_id() == 4


def test_a_new_journal_has_no_entry_and_no_last_id(journal: JournalFile) -> None:
    assert journal.last_id() == 0
    assert journal.lag_facts(0) == 0
    assert list(journal.entries(0)) == []
    assert journal.prune(10)


def test_ids_can_be_skipped_but_not_taken_back(journal: JournalFile) -> None:
    journal.skip_to(7)
    assert journal.append(b"", [], 0) == 8
    journal.skip_to(3)
    assert journal.append(b"", [], 0) == 9


def test_a_long_backlog_is_pruned_in_several_calls_oldest_first(journal: JournalFile) -> None:
    for number in range(3000):
        journal.append(b"", [], number)
    left = []
    while not journal.prune(2900):
        ids = [entry.id for entry in journal.entries(0)]
        assert ids == list(range(ids[0], 3001))
        left.append(len(ids))
    assert len(left) >= 2
    assert [entry.id for entry in journal.entries(0)] == list(range(2901, 3001))


def test_two_that_open_a_new_file_agree_on_what_it_is(tmp_path: Path) -> None:
    one, other = (JournalFile(tmp_path / "j.sqlite") for _ in range(2))
    assert one.uuid == other.uuid
    one.append(fact(1), [], 0)
    assert [entry.facts for entry in other.entries(0)] == [fact(1)]
    assert other.prune(1)
    assert list(one.entries(0)) == []
    one.close()
    other.close()
    with closing(JournalFile(tmp_path / "other.sqlite")) as third:
        assert third.uuid != one.uuid


def test_reading_sees_one_moment_while_more_is_appended(journal: JournalFile) -> None:
    for number in range(3):
        journal.append(fact(number), [], 0)
    with closing(JournalFile(journal.path)) as reader, closing(reader.entries(0)) as entries:
        assert next(entries).id == 1
        journal.append(fact(9), [], 0)
        assert [entry.id for entry in entries] == [2, 3]


def test_what_a_newer_version_wrote_is_refused(
    journal: JournalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headcount.journal.file.FACT_FORMAT", 99)
    journal.append(fact(1), [], 0)
    with pytest.raises(DataFolderError, match=r"newer version .*format 99.* Install"):
        list(JournalFile(journal.path).entries(0))
    db = apsw.Connection(str(journal.path))
    db.execute("PRAGMA user_version = 98")
    db.close()
    with pytest.raises(DataFolderError, match=r"newer version .*format 98.* Install"):
        JournalFile(journal.path)


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be read as one" * 99])
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j.sqlite").write_bytes(content)
    with pytest.raises(DataFolderError, match=r"j\.sqlite cannot be opened"):
        JournalFile(tmp_path / "j.sqlite")
