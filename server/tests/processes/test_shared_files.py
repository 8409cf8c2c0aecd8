"""What processes tell each other in files: allowances, and troubles."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from headcount.allowances import Allowances, reserve_allowances
from headcount.troubles import Troubles, read_troubles

NOW_MS = 1_795_478_400_000

_OTHER_WORKER = """
import sys
from pathlib import Path
from headcount.allowances import Allowances
table = Allowances(Path(sys.argv[1]), worker=True)
table.add_messages(7, 40, int(sys.argv[2]))
print("done", flush=True)
sys.stdin.read()
"""


def test_what_all_workers_took_is_one_number_in_each_of_them(tmp_path: Path) -> None:
    path = tmp_path / "allowances"
    reserve_allowances(path, workers=2)
    with closing(Allowances(path, worker=True)) as own:
        own.add_messages(7, 2, NOW_MS)
        other = subprocess.Popen(
            [sys.executable, "-c", _OTHER_WORKER, str(path), str(NOW_MS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        with other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"done\n"
            assert own.messages(7, NOW_MS) == 42
            own.add_messages(7, 1, NOW_MS)
            assert own.messages(7, NOW_MS) == 43
            assert own.messages(8, NOW_MS) == 0
        # What a worker took that has ended since was taken all the same.
        assert own.messages(7, NOW_MS) == 43


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
