"""What a repair makes of the tallies that stand in a journal's entries."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from headcount.counting.facts import FACT_BYTES, Rejection
from headcount.doctor.repair.journals import FoundJournal, find_journal
from headcount.journal.file import JournalFile

WORDS = ["Signed Up", "Größe gewählt", "購入"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal whose entries tell of words of several languages."""
    path = tmp_path / "j.sqlite"
    with closing(JournalFile(path)) as journal:
        for number, word in enumerate(WORDS, 1):
            journal.append(bytes(FACT_BYTES), [Rejection(1, 1, 20_000, word, 1)], number)
    return path


def found(path: Path) -> FoundJournal:
    with closing(apsw.Connection(str(path))) as connection:
        return find_journal(connection)


def test_entries_are_whole_in_whatever_language_their_tallies_are(path: Path) -> None:
    journal = found(path)
    assert list(journal.entries) == [1, 2, 3]
    assert (journal.damaged, journal.repaired) == ([], 0)


@pytest.mark.parametrize("entry", [1, 2, 3])
def test_a_bit_that_makes_no_text_of_it_is_put_back(path: Path, entry: int) -> None:
    before = found(path).entries
    with closing(apsw.Connection(str(path))) as connection:
        [(data,)] = connection.execute(
            "SELECT CAST(rejections AS BLOB) FROM entry WHERE id = ?", (entry,)
        )
        flipped = bytearray(data)
        flipped[data.index(b'"') + 1] ^= 0x80
        connection.execute(
            "UPDATE entry SET rejections = CAST(? AS TEXT) WHERE id = ?", (bytes(flipped), entry)
        )
    journal = found(path)
    assert journal.entries == before
    assert (journal.damaged, journal.repaired) == ([], 1)
