"""Who holds what: one process each, and what a dead one held is free."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from headcount.datafolder import DataFolder, FolderLock, open_data_folder
from headcount.errors import DataFolderError
from headcount.journal import JournalDirectory


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return open_data_folder(tmp_path / "data", create=True)


HOLDER = """
import os, sys
from pathlib import Path
from headcount.datafolder import FolderLock
lock = FolderLock(Path(sys.argv[1]), "serve")
if sys.argv[2] == "fork" and os.fork():
    os._exit(0)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def _holder(path: Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == "held\n"
        if mode == "fork":
            process.wait()
        yield process
    finally:
        process.stdin.close()
        process.stdout.read()  # ends when the last process that holds the pipe has
        process.stdout.close()
        process.wait()


def test_a_living_server_is_named_and_its_death_frees_the_folder(folder: DataFolder) -> None:
    with _holder(folder.serve_lock, "alone") as process:
        assert FolderLock.held(folder.serve_lock)
        with pytest.raises(DataFolderError, match=rf"headcount serve \(pid {process.pid}\) uses"):
            FolderLock(folder.serve_lock, "serve")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not FolderLock.held(folder.serve_lock)
        with FolderLock(folder.serve_lock, "serve"):
            assert FolderLock.held(folder.serve_lock)
        assert not FolderLock.held(folder.serve_lock)


def test_children_of_a_dead_server_are_waited_for(folder: DataFolder) -> None:
    with _holder(folder.serve_lock, "fork") as parent:
        with pytest.raises(DataFolderError, match=rf"ended \(pid {parent.pid}\) still use"):
            FolderLock(folder.serve_lock, "serve", wait_s=0.2)
        assert parent.stdin is not None
        parent.stdin.close()
        FolderLock(folder.serve_lock, "serve").release()


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
