"""A checkpoint is kept exactly with its entry, and until it is taken away."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from headcount.errors import StorageUnavailableError
from headcount.journal import JournalFile


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JournalFile]:
    with closing(JournalFile(tmp_path / "j.sqlite")) as journal:
        yield journal


def test_a_checkpoint_outlives_its_entry_and_its_writer(journal: JournalFile) -> None:
    first = journal.append(b"", [], 0, b"one")
    journal.append(b"", [], 0)
    second = journal.append(b"", [], 0, b"two")
    assert (first, second) == (1, 3)
    assert journal.prune(second)
    with closing(JournalFile(journal.path)) as later:
        assert later.checkpoints() == {b"one", b"two"}
        later.drop_checkpoints([b"one", b"never there"])
    assert journal.checkpoints() == {b"two"}


def test_the_same_checkpoint_twice_is_one(journal: JournalFile) -> None:
    journal.append(b"", [], 0, b"one")
    assert journal.append(b"", [], 0, b"one") == 2
    assert journal.checkpoints() == {b"one"}


def test_an_entry_that_fails_leaves_no_checkpoint_and_one_that_fails_no_entry(
    journal: JournalFile,
) -> None:
    with closing(apsw.Connection(str(journal.path))) as other:
        other.execute("CREATE TRIGGER t BEFORE INSERT ON mark BEGIN SELECT raise(ABORT, 'no'); END")
    with pytest.raises(StorageUnavailableError):
        journal.append(b"", [], 0, b"one")
    assert (journal.last_id(), journal.checkpoints()) == (0, set())
