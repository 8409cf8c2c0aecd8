"""Small files by which processes tell one another: what is asked often is read where it changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headcount import runfiles
from headcount.runfiles import WholeFile, write_whole


def test_a_file_that_stays_is_read_once_and_one_that_changes_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read_whole = runfiles.read_whole
    monkeypatch.setattr(
        runfiles, "read_whole", lambda path, kind: reads.append(path) or read_whole(path, kind)
    )
    path = tmp_path / "told.json"
    file = WholeFile(path, int)
    assert file.read() is None
    for moment_s, number in enumerate((1, 2, 3), 1):
        write_whole(path, number)
        os.utime(path, (moment_s, moment_s))
        assert [file.read() for _ in range(5)] == [number] * 5
        assert len(reads) == moment_s
    path.unlink()
    assert file.read() is None


def test_files_that_are_written_at_one_moment_are_not_taken_for_one_another(
    tmp_path: Path,
) -> None:
    path = tmp_path / "told.json"
    file = WholeFile(path, int)
    for number in range(100, 200):
        write_whole(path, -number)
        write_whole(path, number)
        assert file.read() == number
