"""Troubles: logged at their beginning and end, told in a file that a full disk cannot refuse."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headcount.troubles import Troubles, read_troubles


def test_a_trouble_is_logged_at_its_beginning_and_its_end_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now_ms = 1_000
    troubles = Troubles(tmp_path, "meter", lambda: now_ms)
    with caplog.at_level(logging.WARNING, "headcount.troubles"):
        for _ in range(5):
            troubles.begin("storage", "The disk is full.", "Free some space.")
        now_ms = 4_500
        [read] = read_troubles(tmp_path)
        troubles.end("storage")
        troubles.end("storage")
    assert [record.getMessage() for record in caplog.records] == [
        "The disk is full. Free some space.",
        "over after 3.5 s, met 5 times: The disk is full.",
    ]
    assert (read.kind, read.since_ms, read.times, read.hinders) == ("storage", 1_000, 5, True)
    assert read_troubles(tmp_path) == []
    troubles.close()


def test_it_is_said_though_the_files_of_metrics_are_gone(tmp_path: Path) -> None:
    program = (
        "import shutil, sys; from pathlib import Path\n"
        "from headcount.troubles import Troubles, read_troubles\n"
        "troubles = Troubles(Path(sys.argv[1]), 'meter', lambda: 0)\n"
        "shutil.rmtree(sys.argv[2])\n"
        "troubles.begin('storage', 'The disk is gone.')\n"
        "print([trouble.message for trouble in read_troubles(Path(sys.argv[1]))])\n"
        "troubles.end('storage')\n"
    )
    gone = tmp_path / "metrics"
    gone.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "troubles"), str(gone)],
        capture_output=True,
        text=True,
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(gone)},
    )
    assert "Traceback" not in done.stderr
    assert done.stdout == "['The disk is gone.']\n"


def test_the_file_takes_no_more_room_than_it_had_from_the_start(tmp_path: Path) -> None:
    troubles = Troubles(tmp_path, "meter", lambda: 0)
    [path] = tmp_path.iterdir()
    before = path.stat()
    troubles.begin("a", "x" * 100)
    troubles.begin("b", "y" * 100_000)  # more than there is room for: the former stands
    after = path.stat()
    assert (before.st_size, before.st_ino) == (after.st_size, after.st_ino)
    assert [trouble.kind for trouble in read_troubles(tmp_path)] == ["a"]
    troubles.close()


def test_troubles_of_a_process_that_is_gone_and_nonsense_are_not_read(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from headcount.troubles import Troubles;"
        "Troubles(Path(sys.argv[1]), 'intake', lambda: 0).begin('storage', 'Full.')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True)
    (tmp_path / f"api-{os.getpid()}.troubles").write_bytes(b"\0\xff{{{")
    assert len(list(tmp_path.iterdir())) == 2
    assert read_troubles(tmp_path) == []


def test_a_process_takes_over_the_room_of_one_that_is_dead(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from headcount.troubles import Troubles;"
        "Troubles(Path(sys.argv[1]), 'intake', lambda: 0).begin('storage', 'Full.')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True)
    [former] = tmp_path.iterdir()
    inode = former.stat().st_ino
    troubles = Troubles(tmp_path, "intake", lambda: 0)
    [own] = tmp_path.iterdir()
    assert own.stat().st_ino == inode
    assert read_troubles(tmp_path) == []
    troubles.begin("storage", "Still full.")
    assert [trouble.message for trouble in read_troubles(tmp_path)] == ["Still full."]
    troubles.close()
