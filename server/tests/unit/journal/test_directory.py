"""Who may write which journal: one process each, and a dead one's file is taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from headcount.errors import DataFolderError
from headcount.journal import JournalDirectory


def test_a_file_that_was_given_back_is_claimed_again(tmp_path: Path) -> None:
    directory = JournalDirectory(tmp_path / "journals")
    first = directory.claim()
    first.close()
    directory.close()
    directory.close()
    second = directory.claim()
    assert second.path == first.path
    second.close()
    directory.close()


def test_reading_needs_no_lock(tmp_path: Path) -> None:
    directory = JournalDirectory(tmp_path / "journals")
    journal = directory.claim()
    journal.append(b"", [], 1)
    reader = JournalDirectory(directory.path)
    (path,) = reader.paths()
    opened = reader.open(path)
    assert [entry.id for entry in opened.entries(0)] == [1]
    for held in (opened, journal):
        held.close()
    directory.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderError, match=r"file/journals cannot be written.*Name a folder"):
        JournalDirectory(tmp_path / "file" / "journals").claim()
