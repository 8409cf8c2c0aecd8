"""Who may write which journal: one process each, and a dead one's file is taken over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from headcount.errors import DataFolderError
from headcount.journal import JournalDirectory

# Claims a journal, appends one entry, says which file it is, and lives until it is killed.
WRITER = """
import sys, pathlib
from headcount.journal import JournalDirectory
directory = JournalDirectory(pathlib.Path(sys.argv[1]))
journal = directory.claim()
journal.append(b"", [], int(sys.argv[2]))
print(journal.path, flush=True)
sys.stdin.read()
"""


@contextmanager
def writer(folder: Path, number: int) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that holds a journal, and the journal's file."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(number)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_living_processes_hold_files_of_their_own_and_a_killed_one_leaves_its_file(
    tmp_path: Path,
) -> None:
    directory = JournalDirectory(tmp_path / "journals")
    with ExitStack() as stack:
        processes = [stack.enter_context(writer(directory.path, n)) for n in range(2)]
        files = [path for _, path in processes]
        assert len(set(files)) == 2
        assert directory.paths() == sorted(files)
        mine = directory.claim()
        assert mine.path not in files
        processes[0][0].kill()
        processes[0][0].wait()
        adopted = JournalDirectory(directory.path)
        journal = adopted.claim()
        assert journal.path == files[0]
        # What its writer left is there, and goes on.
        assert [entry.appended_at_ms for entry in journal.entries(0)] == [0]
        assert journal.append(b"", [], 7) == 2
        assert len(directory.paths()) == 3
        for held in (mine, journal):
            held.close()
        adopted.close()
    directory.close()


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
