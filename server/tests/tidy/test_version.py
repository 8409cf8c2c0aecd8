"""The version is one, and is changed in one place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from support.program import environment
from tidy.sources import ROOT

SCRIPT = "scripts/version.py"
FILES = (
    SCRIPT,
    "VERSION",
    "sdk/pyproject.toml",
    "sdk/src/segment_public_api/_version.py",
    "server/pyproject.toml",
    "server/src/headcount/__init__.py",
)


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / SCRIPT), *arguments],
        capture_output=True, text=True, env=environment(),
    )  # fmt: skip


def copied(folder: Path) -> Path:
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_every_copy_of_the_version_is_the_version() -> None:
    finished = run(ROOT, "--check")
    assert finished.returncode == 0, finished.stderr


def test_the_changelog_says_what_is_in_it() -> None:
    version = (ROOT / "VERSION").read_text("utf-8").strip()
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"## {version}" in changelog


def test_one_command_changes_it_everywhere(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    former = {name: (tree / name).read_text("utf-8") for name in FILES}
    old = former["VERSION"].strip()
    assert run(tree, "7.8.9rc1").returncode == 0
    for name, text in former.items():
        if name != SCRIPT:
            assert (tree / name).read_text("utf-8") == text.replace(old, "7.8.9rc1"), name
    (tree / "VERSION").write_text("7.8.9\n")
    finished = run(tree, "--check")
    assert finished.returncode == 1
    assert finished.stderr.count("make version") == len(FILES) - 2
    assert run(tree).stdout == "7.8.9\n"
    assert run(tree, "--check").returncode == 0


def test_what_is_no_version_changes_nothing(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    for given in ("1.2", "v1.2.3", "1.2.3+local", ""):
        finished = run(tree, given)
        assert finished.returncode == 2, given
        assert "is no version" in finished.stderr
    assert (tree / "VERSION").read_text() == (ROOT / "VERSION").read_text()
