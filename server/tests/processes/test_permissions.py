"""A user who may not read, or not write, is told so: by processes that are nobody's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headcount.datafolder import DataFolder, open_data_folder
from support.counted_folder import NOW_MS, CountedFolder, counted_folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> CountedFolder:
    return counted_folder(tmp_path_factory.mktemp("permissions") / "data")


@pytest.fixture
def folder(template: CountedFolder, tmp_path: Path) -> DataFolder:
    copy = tmp_path / "data"
    shutil.copytree(template.folder.path, copy)
    return DataFolder(copy)


def test_a_folder_that_cannot_be_written_is_refused_by_those_who_must_write(
    tmp_path: Path,
) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from headcount.datafolder import open_data_folder\n"
        "from headcount.errors import DataFolderError\n"
        "os.chdir(sys.argv[1])\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "for path in (Path('data'), Path('new')):\n"
        "    try: open_data_folder(path, create=True)\n"
        "    except DataFolderError as error: print(error)\n"
        "open_data_folder(Path('data'), create=False)\n"
    )
    folder = open_data_folder(tmp_path / "data", create=True)
    if os.geteuid() == 0:  # permissions do not bind root, so the program becomes nobody
        for each in (folder.path, *folder.path.iterdir()):
            os.chown(each, 65534, 65534)
    folder.path.chmod(0o555)
    tmp_path.chmod(0o555)
    finished = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True
    )
    tmp_path.chmod(0o755)
    folder.path.chmod(0o755)
    assert finished.stderr == ""
    first, second = finished.stdout.splitlines()
    assert "data cannot be used: Permission denied. Headcount must be able to write" in first
    assert "new cannot be used: Permission denied. Headcount must be able to write" in second


def told_to_nobody(folder: DataFolder) -> str:
    """The problems that a user is told who is not the superuser, and owns the folder."""
    program = (
        "import os, sys; from pathlib import Path\n"
        "from headcount.datafolder import DataFolder\n"
        "from headcount.doctor import Level, examine\n"
        "os.chdir(sys.argv[1])\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "for f in examine(DataFolder(Path('data')), None, int(sys.argv[2])):\n"
        "    if f.level == Level.PROBLEM: print(f.check + ':', f.message)\n"
    )
    if os.geteuid() == 0:
        for path in (folder.path, *folder.path.rglob("*")):
            os.chown(path, 65534, 65534)
    finished = subprocess.run(
        [sys.executable, "-c", program, str(folder.path.parent), str(NOW_MS)],
        capture_output=True,
        text=True,
    )
    assert finished.stderr == ""
    return finished.stdout


@pytest.mark.parametrize(
    "pattern",
    ["confirmed", "**/*.confirmed", "**/*.sqlite", "journals", "keys", "keys/*", "*.lock"],
)
def test_a_user_who_may_not_read_all_is_told_so(folder: DataFolder, pattern: str) -> None:
    folder.serve_lock.touch()
    folder.path.parent.chmod(0o755)
    closed = list(folder.path.glob(pattern))
    assert closed
    for path in closed:
        path.chmod(0)
    told = told_to_nobody(folder)
    for path in closed:
        path.chmod(0o700)
    assert "permissions: data/" in told
    assert "cannot be read by this user" in told


def test_a_user_who_may_read_nothing_is_told_so_by_every_check(folder: DataFolder) -> None:
    folder.path.chmod(0)
    told = told_to_nobody(folder)
    folder.path.chmod(0o700)
    said = {line.partition(":")[0] for line in told.splitlines()}
    assert said >= {"parts", "store", "catalog"}
