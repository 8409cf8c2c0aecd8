"""The look-up of vulnerabilities fails unless it looked at everything; by answers as they come.

The answers are those of pip-audit 2.10, taken down; what gives them is a stand-in, since the real
one asks services that a test must not need.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[3] / "scripts" / "audit.py"
REQUIREMENTS = Path(__file__).parents[3] / "requirements"

CLEAN = {"name": "idna", "version": "3.20", "vulns": []}
SKIPPED = {
    "name": "idna",
    "skip_reason": "Dependency not found on PyPI and could not be audited: idna (3.20)",
}
VULNERABLE = {
    "name": "urllib3",
    "version": "1.26.4",
    "vulns": [
        {"id": "PYSEC-2021-108", "fix_versions": ["1.26.5"], "aliases": [], "description": "x"}
    ],
}
FINE = {"name": "urllib3", "version": "1.26.4", "vulns": []}


def audited(tmp_path: Path, said: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """The script on a lock of two versions, with a tool that says this and ends so."""
    (tmp_path / "pip_audit.py").write_text(
        f"import sys; sys.stdout.write({said!r}); sys.stderr.write('it broke\\n')\n"
        f"sys.exit({status})\n"
    )
    lock = tmp_path / "run.txt"
    lock.write_text("idna==3.20 \\\n    --hash=sha256:00\nurllib3==1.26.4 ; python_version < '4'\n")
    return subprocess.run(
        [sys.executable, str(AUDIT), str(lock)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def answer(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


@pytest.mark.parametrize(
    ("said", "tool", "status", "words"),
    [
        (answer(CLEAN, FINE), 0, 0, "2 of 2 locked versions were looked at; 0 known"),
        (answer(CLEAN, VULNERABLE), 1, 1, "urllib3 1.26.4: PYSEC-2021-108, fixed in 1.26.5"),
        (answer(SKIPPED, VULNERABLE), 1, 1, "1 of 2"),
        (answer(SKIPPED, FINE), 0, 2, "idna 3.20: Dependency not found on PyPI"),
        (answer(FINE), 0, 2, "idna 3.20: the answer does not name it"),
        (answer({**CLEAN, "version": "3.19"}, FINE), 0, 2, "idna 3.20: the answer does not name"),
        (answer(), 0, 2, "0 of 2"),
        ("{}", 0, 2, "0 of 2"),
        ("", 1, 2, "pip-audit failed with status 1: it broke"),
        ("No known vulnerabilities found", 0, 2, "pip-audit failed with status 0"),
    ],
)
def test_it_fails_where_it_could_not_look(
    tmp_path: Path, said: str, tool: int, status: int, words: str
) -> None:
    done = audited(tmp_path, said, tool)
    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stdout + done.stderr


def test_a_lock_that_names_nothing_is_a_failure(tmp_path: Path) -> None:
    empty = tmp_path / "run.txt"
    empty.write_text("# nothing\n")
    done = subprocess.run(
        [sys.executable, str(AUDIT), str(empty)], capture_output=True, check=False
    )
    assert done.returncode == 2


def test_every_version_of_the_locks_is_asked_for() -> None:
    spec = importlib.util.spec_from_file_location("audit", AUDIT)
    assert spec is not None
    assert spec.loader is not None
    audit = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = audit
    spec.loader.exec_module(audit)
    for file in REQUIREMENTS.glob("*.txt"):
        text = file.read_text()
        pins = audit.pins_of(text)
        assert len(pins) == sum("==" in line.split(";")[0] for line in text.splitlines())
        rounds = audit.rounds_of(pins)
        assert sorted(pin for each in rounds for pin in each) == pins
        for each in rounds:
            assert len({pin.name for pin in each}) == len(each)
