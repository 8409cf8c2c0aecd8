"""A folder of the former format, where nothing can be written, or where several want it at once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from headcount.folderformat import FORMAT_VERSION, stated_format
from support.disks import read_only, small_disk
from support.former_folder import unpack
from support.program import PROGRAM, Program, environment

ON_FREE_PORTS = ("--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0", "--workers", "1")
COMMANDS = (("serve", *ON_FREE_PORTS), ("doctor",), ("doctor", "--repair", "--yes"),
            ("source", "list"), ("backup", "backup"))  # fmt: skip


def refusals(data: Path, cwd: Path) -> dict[str, str]:
    """What each command says that must end, with status 1 and a sentence."""
    said = {}
    for command in COMMANDS:
        done = Program(data, cwd).run(*command)
        assert done.returncode == 1, done
        assert "Traceback" not in done.stderr
        assert 1 <= len(done.stderr.splitlines()) <= 6
        said[command[0] if command[1:] != ("--repair", "--yes") else "repair"] = done.stderr
    assert not (cwd / "backup").exists()
    return said


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith((".lock", "-shm"))
    }


def test_a_full_disk_is_said_with_a_remedy_and_nothing_is_changed(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=40) as disk:
        data = unpack(disk.path / "data")
        before = contents(data)
        disk.fill()
        said = refusals(data, tmp_path)
        for who in ("serve", "source", "repair"):
            assert "Make room on the disk" in said[who]
        assert "next `headcount serve` upgrades it" not in said["serve"]
        assert contents(data) == before
        disk.empty()
        with Program(data, tmp_path).serving():
            pass


def test_a_disk_for_reading_only_is_said_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "rw").mkdir()
    unpack(tmp_path / "rw" / "data")
    with read_only(tmp_path / "rw", tmp_path / "ro") as place:
        said = refusals(place / "data", tmp_path)
    for who in ("serve", "source"):
        assert (
            f"upgraded from format 1 to {FORMAT_VERSION}, and the disk refuses: Read-only"
            in said[who]
        )
        assert "Make room on the disk, or let the data folder be written" in said[who]
    assert "mounted for reading only" in said["repair"]


def test_of_several_servers_that_start_at_once_one_upgrades_and_serves(tmp_path: Path) -> None:
    data = unpack(tmp_path / "data")
    servers = [
        subprocess.Popen(
            [*PROGRAM, "serve", "--json", *ON_FREE_PORTS],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(HEADCOUNT_DATA=str(data)),
        )
        for _ in range(3)
    ]
    serving = []
    try:
        for server in servers:
            assert server.stdout is not None
            if line := server.stdout.readline():
                serving.append((server, json.loads(line)))
    finally:
        served = [each for each, _ in serving]
        ended = [each.communicate()[1] for each in servers if each not in served]
        for server in servers:
            server.terminate()
            server.communicate()
    assert len(serving) == 1
    assert serving[0][0].returncode == 0
    for said in ended:
        assert "uses" in said
        assert "Traceback" not in said
    assert stated_format(data) == FORMAT_VERSION


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_folder_may_be_moved(when: str, tmp_path: Path) -> None:
    data = unpack(tmp_path / "first")
    if when == "after":
        with Program(data, tmp_path).serving():
            pass
    moved = data.rename(tmp_path / "second")
    with Program(moved, tmp_path).serving():
        pass
    found = Program(moved, tmp_path).run("doctor", "--json")
    problems = {f["check"] for f in json.loads(found.stdout)["findings"] if f["level"] == "problem"}
    assert problems <= {"late messages"}  # which the folder has always had
