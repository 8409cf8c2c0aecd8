"""Tests are handed out so that nobody waits at the end for a long one that came last."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from support.program import environment
from tidy.sources import ROOT

MANY = "\n".join(f"def test_{number}():\n    pass\n" for number in range(4))
ONE = "def test_one():\n    pass\n"
LONG = f"import pytest\n\n@pytest.mark.timeout(900)\n{ONE}"


def test_files_that_may_take_longest_begin_first_then_those_with_many_tests(tmp_path: Path) -> None:
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name, text in (("a_one", ONE), ("b_many", MANY), ("c_long", LONG)):
        (tmp_path / f"test_{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "1", "-vv", *sorted(tmp_path.glob("test_*.py"))],
        capture_output=True, text=True, cwd=tmp_path, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    begun = re.findall(r"PASSED test_(\w)_", done.stdout)
    assert begun == ["c", *"bbbb", "a"], done.stdout
