"""Processes that make the same thing at once agree on one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from headcount.catalog import Catalog


def test_processes_that_open_a_new_catalog_at_once_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    program = (
        "import sys; from pathlib import Path; from headcount.catalog import Catalog\n"
        "sys.stdin.readline()\n"
        "with Catalog(Path(sys.argv[1])) as catalog: catalog.add_workspace(sys.argv[2], 0)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), f"workspace {number}"],
            stdin=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in started:
        process.communicate()
    assert [process.returncode for process in started] == [0] * 4
    with Catalog(path) as catalog:
        assert len(catalog.workspaces()) == 4


def test_processes_that_start_at_once_agree_on_one_hash_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from headcount.catalog import Catalog\n"
        "from headcount.datafolder import load_hash_key, open_data_folder\n"
        "sys.stdin.readline()\n"
        "folder = open_data_folder(Path(sys.argv[1]), create=True)\n"
        "with Catalog(folder.catalog) as catalog: print(load_hash_key(folder, catalog).hex())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "deep" / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    keys = {process.communicate()[0] for process in started}
    assert len(keys) == 1
    assert len(keys.pop().strip()) == 64
