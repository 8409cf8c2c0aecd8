"""The package is typed for its users: what is right passes, and what is wrong is found."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "typing"
MISUSE = FOLDER / "misuse.py"


def mypy(path: Path, cache: Path) -> list[int]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file=",
            "--no-error-summary",
            f"--cache-dir={cache}",
            str(path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    pattern = rf"{re.escape(path.name)}:(\d+): error:"
    assert (done.returncode == 0) == (": error:" not in done.stdout)
    return [int(line) for line in re.findall(pattern, done.stdout)]


def pyright(path: Path, elsewhere: Path) -> list[int]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "--outputjson",
            "--pythonpath",
            sys.executable,
            str(path),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=elsewhere,
    )
    report = json.loads(done.stdout)
    return [
        finding["range"]["start"]["line"] + 1
        for finding in report["generalDiagnostics"]
        if finding["severity"] == "error"
    ]


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_typed_program_passes_and_its_mistakes_are_found(
    checker: Callable[[Path, Path], list[int]], tmp_path: Path
) -> None:
    assert checker(FOLDER / "public_api.py", tmp_path) == []
    wrong = [
        number
        for number, line in enumerate(MISUSE.read_text().splitlines(), start=1)
        if line.endswith("# wrong")
    ]
    assert sorted(set(checker(MISUSE, tmp_path))) == wrong
